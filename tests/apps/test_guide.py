import json
from pathlib import Path

import pytest
from PIL import Image

from egoframe.apps.guide import Guide, Step
from egoframe.apps.guide_files import make_page, write_files
from egoframe.errors import UserError
from egoframe.generator.pipeline import ActionFramePipeline
from tests.generator.tiny import tiny_pipeline

PHOTO = Image.new("RGB", (64, 64), "red")
TOLD = {"task": "make tea", "model": "tiny", "photo_sha256": "0"}
STEPS = [Step("open drawer"), Step("take mug"), Step("cut bread")]


@pytest.fixture(scope="module")
def pipe() -> ActionFramePipeline:
    return tiny_pipeline()


@pytest.fixture
def drawn(pipe, tmp_path: Path) -> Path:
    guide = Guide.create(tmp_path / "tea", TOLD, PHOTO, STEPS)
    assert list(guide.draw(pipe, guide.missing())) == [1, 2, 3]
    return guide.folder


def frames(folder: Path) -> list[bytes]:
    return [(folder / f"{number}.png").read_bytes() for number in (1, 2, 3)]


def test_a_stopped_one_goes_on_where_it_was(pipe, drawn, tmp_path):
    guide = Guide.create(tmp_path / "stopped", TOLD, PHOTO, STEPS)
    next(guide.draw(pipe, guide.missing()))
    again = Guide.begun(tmp_path / "stopped", TOLD)
    assert again is not None
    assert again.missing() == [2, 3]
    assert list(again.draw(pipe, again.missing())) == [2, 3]
    assert frames(again.folder) == frames(drawn)
    assert again.missing() == []


def test_one_step_is_redone_and_the_others_stay(pipe, drawn):
    before = frames(drawn)
    guide = Guide.begun(drawn, TOLD)
    assert guide is not None
    guide.change(2, None, None, None)
    assert list(guide.draw(pipe, [2])) == [2]
    after = frames(drawn)
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False, True]
    steps = json.loads((drawn / "storyboard.json").read_text(encoding="utf-8"))["steps"]
    assert [step["seed"] for step in steps] == [0, 1, 0]
    guide.change(2, "take mug", None, 0)  # as it was at first
    list(guide.draw(pipe, [2]))
    assert frames(drawn) == before


def test_a_step_may_be_another(pipe, drawn):
    guide = Guide.begun(drawn, TOLD)
    assert guide is not None
    told = guide.steps[0].description
    assert told is not None
    guide.change(1, "cut bread", None, None)
    assert guide.steps[0] == Step("cut bread", None, 0)  # to be described anew
    guide.change(2, None, "With the left hand.", None)
    list(guide.draw(pipe, [1, 2]))
    assert guide.steps[0].description is not None
    assert guide.steps[1] == Step("take mug", "With the left hand.", 0)
    with pytest.raises(UserError, match="--redo 4: there are steps 1 to 3"):
        guide.change(4, None, None, None)


def test_what_a_folder_holds_is_not_mixed_up(drawn, tmp_path):
    assert Guide.begun(tmp_path / "none", TOLD) is None
    with pytest.raises(UserError, match="storyboard of another task"):
        Guide.begun(drawn, {**TOLD, "task": "make coffee"})
    (drawn / "latents.safetensors").write_bytes(b"no")
    guide = Guide.begun(drawn, TOLD)
    assert guide is not None
    with pytest.raises(UserError, match=r"latents.safetensors: damaged .*; delete it"):
        guide.missing()
    (drawn / "storyboard.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UserError, match=r"storyboard.json: damaged"):
        Guide.begun(drawn, TOLD)


def test_files_for_people(tmp_path):
    import av

    shown = [("open drawer", "The right hand.", PHOTO), ("take <mug>", None, PHOTO)]
    made = write_files(tmp_path, "make tea", PHOTO, shown)
    assert [path.name for path in made] == [
        "sheet.png", "storyboard.gif", "storyboard.html", "storyboard.mp4",
    ]  # fmt: skip
    with Image.open(made[1]) as animation:
        assert animation.n_frames == 1 or animation.n_frames == 3
    with av.open(str(made[3])) as video:
        assert sum(1 for _ in video.decode(video=0)) == 3 * 40


def test_the_page_stands_alone_and_its_words_are_words():
    page = make_page("make <b>tea", PHOTO, [("take <mug>", "It is <i>.", PHOTO)])
    assert "<h1>Make &lt;b&gt;tea</h1>" in page
    assert "take &lt;mug&gt;" in page
    assert "It is &lt;i&gt;." in page
    assert page.count("data:image/jpeg;base64,") == 2
    assert "http://" not in page
    assert "https://" not in page
    assert "<script" not in page
