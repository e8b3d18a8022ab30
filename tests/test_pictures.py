from pathlib import Path

import pytest
from PIL import Image

from egoframe.errors import UserError
from egoframe.pictures import choose_pairs, find_pictures, picture_path
from tests.little_dataset import write_dataset

NAMES = ["a.1", "clip/3", "b"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in NAMES:
        path = picture_path(tmp_path, name)
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(path)
    return tmp_path


def test_pictures_are_found_by_their_pairs_in_the_order_asked_for(folder):
    found = find_pictures(folder, ["b", "a.1"], NAMES)
    assert [path.relative_to(folder).as_posix() for path in found] == ["b.png", "a.1.png"]


def test_other_formats_and_the_releases_folders_are_found(folder):
    (folder / "b.png").rename(folder / "b.JPEG")
    (folder / "clip" / "3.png").unlink()
    (folder / "clip" / "3").mkdir()
    Image.new("RGB", (8, 8)).save(folder / "clip" / "3" / "000012.jpg")
    found = find_pictures(folder, NAMES, NAMES)
    assert [path.name for path in found] == ["a.1.png", "000012.jpg", "b.JPEG"]


def test_what_does_not_match_is_named(folder):
    with pytest.raises(UserError, match="no picture of 2 of 3 pairs, such as c"):
        find_pictures(folder, ["c", "b", "d"], [*NAMES, "c", "d"])
    with pytest.raises(UserError, match=r"b\.png: belongs to no pair"):
        find_pictures(folder, ["a.1"], NAMES[:2])
    Image.new("RGB", (8, 8)).save(folder / "b.webp")
    with pytest.raises(UserError, match=r"b\.webp: pair b has another picture"):
        find_pictures(folder, NAMES, NAMES)
    with pytest.raises(UserError, match="no such folder"):
        find_pictures(folder / "absent", NAMES, NAMES)


@pytest.mark.parametrize("name", ["../a", "/a", "x/../../a", ""])
def test_no_picture_leaves_its_folder(tmp_path, name):
    with pytest.raises(UserError, match="names no file"):
        picture_path(tmp_path, name)


def test_pairs_are_chosen_at_random_and_the_same_again(tmp_path):
    write_dataset(tmp_path)
    chosen = [list(choose_pairs(tmp_path, "train", 10, seed)["pair_id"]) for seed in (0, 0, 1)]
    assert chosen[0] == chosen[1] != chosen[2]
    assert len(set(chosen[0])) == 10
    assert len(choose_pairs(tmp_path, "train")) == 40
