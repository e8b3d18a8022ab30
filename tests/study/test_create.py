"""What is copied and asked, and what makes no study."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from egoframe.errors import UserError
from egoframe.images import open_photo
from egoframe.pictures import choose_pairs
from egoframe.study.create import create_study
from egoframe.study.design import Study, open_study
from tests.study.drawn import changed, color, draw, pairs, write_dataset


@pytest.fixture
def dataset(tmp_path) -> str:
    return str(write_dataset(tmp_path / "pairs"))


@pytest.fixture
def drawn(tmp_path) -> dict[str, Path]:
    return {name: draw(tmp_path / name, k) for k, name in enumerate(("lego", "label", "copy"))}


def pixels(source: Path | bytes) -> list[int]:
    return np.asarray(open_photo(source)).ravel().tolist()


def number(pair_id: str) -> int:
    return int(pair_id.rpartition("/")[2])


@pytest.mark.parametrize(("kind", "questions"), [("choice", 12), ("ranking", 36)])
def test_every_picture_is_where_it_belongs(tmp_path, dataset, drawn, kind, questions):
    out = tmp_path / "study"
    made = create_study(out, dataset, drawn, kind)
    assert open_study(out) == made
    assert len(made.questions) == questions
    assert (made.each, made.checks_each) == (min(30, questions), 6)
    for question in made.questions:
        k = number(question.pair_id)
        assert (question.action, question.verb) == (pairs()[k].action, pairs()[k].verb)
        assert pixels(out / "pictures" / question.photo) == pixels(pairs()[k].input_frame)
        for model, name in question.options.items():
            picture = open_photo(out / "pictures" / name)
            assert picture.getpixel((3, 3)) == color(list(drawn).index(model), k)
    shown = {tuple(question.options) for question in made.questions}
    assert all(len(group) == (3 if kind == "choice" else 2) for group in shown)


def test_pictures_tell_nobody_who_drew_them(tmp_path, dataset, drawn):
    out, again = tmp_path / "study", tmp_path / "again"
    one, other = (create_study(folder, dataset, drawn, "choice") for folder in (out, again))
    for kind in ("questions", "checks"):  # so that answers of one are none of the other
        ids = [{question.id for question in getattr(study, kind)} for study in (one, other)]
        assert ids[0].isdisjoint(ids[1])
    names = {path.name for path in (out / "pictures").iterdir()}
    assert names.isdisjoint(path.name for path in (again / "pictures").iterdir())
    for path in (out / "pictures").iterdir():
        with Image.open(path) as picture:
            assert (picture.format, picture.info, picture.size) == ("PNG", {}, (16, 16))


def test_checks_have_one_right_picture_among_as_many(tmp_path, dataset, drawn):
    out = tmp_path / "study"
    made = create_study(out, dataset, drawn, "choice", pairs=4, checks=2)
    assert len(made.checks) == 8
    frames = {json.dumps(pixels(p.action_frame)): p for p in pairs()}
    assert len(frames) == 12
    unused = {check.pair_id for check in made.checks} - {q.pair_id for q in made.questions}
    assert len(unused) == 8  # nobody sees a pair's true frame before they judge what was drawn
    for check in made.checks:
        assert len(check.options) == 3
        for option, name in check.options.items():
            of = frames[json.dumps(pixels(out / "pictures" / name))]
            if option == check.right:
                assert of.pair_id == check.pair_id
            else:
                assert of.verb != check.verb
                assert of.video_id != pairs()[number(check.pair_id)].video_id
    used = [name for check in made.checks for name in check.options.values()]
    assert len(set(used)) == len(used)  # a name seen before gives nothing away


def test_descriptions_are_asked_about(tmp_path):
    dataset = write_dataset(tmp_path / "pairs", changed(5, description=None))
    out = tmp_path / "study"
    made = create_study(out, str(dataset), {}, "alignment")
    assert len(made.questions) == 11
    for question in made.questions:
        k = number(question.pair_id)
        assert question.text == pairs()[k].description
        assert pixels(out / "pictures" / question.frame) == pixels(pairs()[k].action_frame)
        assert tuple(question.options) == ("yes", "no")
    assert [check.right for check in made.checks[:4]] == ["no", "yes", "no", "yes"]
    for check in made.checks:
        own = pairs()[number(check.pair_id)]
        if check.right == "yes":
            assert check.text == f"{own.action.capitalize()}."
        else:
            assert check.text.startswith("Hand")
            assert own.verb not in check.text


def test_the_pairs_are_those_that_are_drawn_by_the_same_seed(tmp_path, dataset, drawn):
    made = create_study(tmp_path / "study", dataset, drawn, "choice", pairs=5, seed=3)
    chosen = choose_pairs(dataset, "validation", 5, 3)["pair_id"]
    assert [question.pair_id for question in made.questions] == list(chosen)


def test_what_is_stopped_leaves_nothing(tmp_path, dataset, drawn):
    def stop(done: int, total: int) -> None:
        assert 0 < done <= total
        if done == 7:
            raise KeyboardInterrupt

    before = set(tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt):
        create_study(tmp_path / "study", dataset, drawn, "choice", advance=stop)
    assert set(tmp_path.iterdir()) == before


def refused(tmp_path: Path, match: str, *arguments, **settings) -> None:
    with pytest.raises(UserError, match=match) as told:
        create_study(tmp_path / "study", *arguments, **settings)
    assert "\n" not in str(told.value)
    assert not (tmp_path / "study").exists()


def test_folders_that_do_not_match_are_refused(tmp_path, dataset, drawn):
    (drawn["label"] / "clip" / "3.png").unlink()
    refused(tmp_path, r"label: has no picture of 1 of 12 pairs, such as clip/3",
            dataset, drawn, "choice")  # fmt: skip
    draw(drawn["copy"], 2, count=13)
    del drawn["label"]
    refused(tmp_path, r"12\.png: belongs to no pair", dataset, drawn, "choice")
    refused(tmp_path, "no such folder", dataset, drawn | {"copy": tmp_path / "absent"}, "choice")


def test_pictures_that_cannot_be_shown_are_refused(tmp_path, dataset, drawn):
    path = drawn["copy"] / "clip" / "3.png"
    Image.new("RGB", (32, 32)).save(path)
    refused(tmp_path, r"3\.png: has 32×32 pixels, the dataset's first frame 16×16",
            dataset, drawn, "choice")  # fmt: skip
    path.write_bytes(path.read_bytes()[:60])
    refused(tmp_path, r"3\.png: is damaged", dataset, drawn, "choice")
    path.write_bytes(b"no picture")
    refused(tmp_path, r"3\.png: is not a JPEG", dataset, drawn, "choice")


def test_frames_that_cannot_be_shown_are_refused(tmp_path, drawn):
    first = choose_pairs(write_dataset(tmp_path / "pairs"), "validation", 1, 0)[0]["pair_id"]
    for k in {number(first), 3}:
        dataset = write_dataset(tmp_path / f"pairs{k}", changed(k, input_frame=b"no picture"))
        refused(tmp_path, rf"pairs{k}: input_frame of pair clip/{k}: the picture: is not a JPEG",
                str(dataset), drawn, "choice")  # fmt: skip
    large = Image.new("RGB", (32, 32))
    large.save(tmp_path / "large.png")
    frame = (tmp_path / "large.png").read_bytes()
    dataset = write_dataset(tmp_path / "mixed", changed(4, action_frame=frame))
    create_study(tmp_path / "unseen", str(dataset), drawn, "choice", checks=0)  # nobody sees it
    refused(tmp_path, "mixed: .* the dataset's first frame", str(dataset), {}, "alignment")


def test_what_compares_nothing_is_refused(tmp_path, dataset, drawn):
    refused(tmp_path, r"one model \(lego\) compares nothing", dataset, {"lego": drawn["lego"]},
            "choice")  # fmt: skip
    refused(tmp_path, "no model compares nothing", dataset, {}, "ranking")
    refused(tmp_path, "leave out NAME=PICTURES", dataset, drawn, "alignment")
    refused(tmp_path, r"at most 9, or --kind ranking", dataset, dict.fromkeys("abcdefghij"),
            "choice")  # fmt: skip
    refused(tmp_path, "--pairs 13: .*validation split has 12", dataset, drawn, "choice", pairs=13)
    refused(tmp_path, "each=13: from 1 to the 12", dataset, drawn, "choice", each=13)
    refused(tmp_path, "no dataset of action pairs", str(tmp_path / "absent"), drawn, "choice")
    refused(tmp_path, "no dataset .*train", dataset, drawn, "choice", "train")


def test_a_dataset_without_unrelated_pairs_has_no_checks(tmp_path, drawn):
    same = [changed(k, noun="mug") for k in range(12)]
    dataset = str(write_dataset(tmp_path / "pairs", *same))
    refused(tmp_path, "--checks 6: the validation split has 0 pairs", dataset, drawn, "choice")
    assert isinstance(create_study(tmp_path / "study", dataset, drawn, "choice", checks=0), Study)


def test_descriptions_must_be_there(tmp_path):
    none = [changed(k, description=None) for k in range(12)]
    dataset = str(write_dataset(tmp_path / "pairs", *none))
    refused(tmp_path, "no descriptions; write them with `egoframe describe`", dataset, {},
            "alignment")  # fmt: skip


def test_a_study_is_never_written_over(tmp_path, dataset, drawn):
    create_study(tmp_path / "study", dataset, drawn, "choice")
    with pytest.raises(UserError, match="study: is there already; give a new folder"):
        create_study(tmp_path / "study", dataset, drawn, "ranking")
    assert open_study(tmp_path / "study").kind == "choice"
