import json
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from egoframe.errors import UserError
from egoframe.pairs import Box
from egoframe.sources.epic import EpicSource
from egoframe.sources.visor import Visor

VIDEOS = {"P01_03": 61, "P04_26": 4, "P03_22": 46, "P32_07": 6}  # real ones: frames annotated
HANDS = ("left hand", "right hand")


def square(x: float, y: float, size: float = 192) -> list[list[list[float]]]:
    return [[[x, y], [x + size, y], [x + size, y + size / 2], [x, y + size / 2]]]


def thing(key: str, name: str, x: float = 0, **more) -> dict:
    return {"id": key, "name": name, "class_id": 0, "segments": square(x, 0), **more}


def frame(number: int, *annotations, video: str = "P01_01") -> dict:
    name = f"{video}_frame_{number:010d}.jpg"
    return {"image": {"name": name, "video": video}, "annotations": list(annotations)}


def write(folder: Path, *frames, name: str = "visor/P01_01.json") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"info": {}, "video_annotations": list(frames)}))
    return folder


def read(folder: Path, rate: float = 60, extracted: bool = False):
    anomalies: Counter[str] = Counter()
    return Visor(folder, anomalies).boxes("P01_01", rate, extracted), anomalies


@pytest.mark.parametrize("video", VIDEOS)
def test_real_files_give_every_hand_object_and_contact(shared_data, video):
    """Against the JSON itself, its polygons' extent taken by NumPy."""
    anomalies: Counter[str] = Counter()
    visor = Visor(shared_data, anomalies)
    boxes = visor.boxes(video, 60, False)
    told = json.loads(next((shared_data / "visor").glob(f"*_{video}.json")).read_text())
    assert len(boxes) == len(told["video_annotations"]) == VIDEOS[video]
    hands = contacts = 0
    for shown in told["video_annotations"]:
        number = int(re.search(r"(\d+)\.jpg", shown["image"]["name"])[1])
        names = {a["id"]: a["name"].split("/")[0] for a in shown["annotations"]}
        expected = []
        for annotation in shown["annotations"]:
            points = np.concatenate([np.array(s) for s in annotation["segments"]])
            low, high = (np.clip(f(0) / (1920, 1080), 0, 1) for f in (points.min, points.max))
            touched = names.get(annotation.get("in_contact_object"))
            expected.append((names[annotation["id"]], *low, *high, touched))
            hands += annotation["name"] in HANDS
            contacts += touched is not None
        found = [(b.label, b.x0, b.y0, b.x1, b.y1, b.in_contact) for b in boxes[(number - 1) / 60]]
        assert found == expected
    everything = [box for found in boxes.values() for box in found]
    assert hands == sum(box.label in HANDS for box in everything) > 0
    assert contacts == sum(box.in_contact is not None for box in everything) > 0
    assert not anomalies


def test_real_files_in_figures(shared_data):
    visor = Visor(shared_data, Counter())
    assert visor.files.keys() == VIDEOS.keys()
    found = [visor.boxes(video, 60, False) for video in VIDEOS]
    boxes = [box for frames in found for shown in frames.values() for box in shown]
    assert sum(map(len, found)) == 117
    assert len(boxes) == 338
    assert sum(box.label in HANDS for box in boxes) == 137
    assert sum(box.in_contact is not None for box in boxes) == 107


def test_real_actions_get_the_frames_around_them(shared_data, tmp_path):
    for table in (shared_data / "epic100").iterdir():
        (tmp_path / table.name).symlink_to(table)
    (tmp_path / "visor").symlink_to(shared_data / "visor")
    clips = [clip for clip in EpicSource(tmp_path).clips() if clip.video_id in VIDEOS]
    assert Counter(clip.video_id for clip in clips) == {"P03_22": 26, "P04_26": 3, "P32_07": 3}
    numbers = {}
    for video in VIDEOS:
        told = json.loads(next((shared_data / "visor").glob(f"*_{video}.json")).read_text())
        names = [shown["image"]["name"] for shown in told["video_annotations"]]
        numbers[video] = [int(name[-14:-4]) for name in names]
    for clip in clips:
        times = [(number - 1) / 60 for number in numbers[clip.video_id]]
        assert list(clip.boxes) == [t for t in times if clip.start - 2 <= t <= clip.stop + 1]
        assert clip.boxes
    with_hands = [c for c in clips if any(b.label in HANDS for f in c.boxes.values() for b in f)]
    assert len(with_hands) == 32


def test_times_are_those_of_visors_own_table(tmp_path):
    """Some that VISOR publishes, of P26_02."""
    published = {241: 4.0, 3555: 59.233333333333334, 22253: 370.8666666666667}
    boxes, _ = read(write(tmp_path, *[frame(n, thing("a", "cup")) for n in published]))
    assert list(boxes) == pytest.approx(list(published.values()))


def test_extracted_frames_have_the_numbers_of_the_mapping(tmp_path):
    write(tmp_path, frame(298, thing("a", "cup")), frame(400, thing("b", "cup")))
    told = {"P01_01": {"P01_01_frame_0000000298.jpg": "frame_0000000301.jpg"}}
    (tmp_path / "visor" / "frame_mapping.json").write_text(json.dumps(told))
    assert list(read(tmp_path, 50, extracted=True)[0]) == [6.0, 7.98]
    assert list(read(tmp_path, 50)[0]) == [5.94, 7.98]


@pytest.mark.parametrize(
    "place",
    [
        "visor/train_P01_01.json",
        "visor/P01_01.json",
        "visor/val/P01_01.json",
        "GroundTruth-SparseAnnotations/annotations/train/P01_01.json",
        "VISOR/GroundTruth-SparseAnnotations/annotations/val/P01_01.json",
    ],
)
def test_files_are_found_in_a_release_or_by_themselves(tmp_path, place):
    boxes, _ = read(write(tmp_path, frame(1, thing("a", "cup")), name=place))
    assert boxes == {0.0: [Box("cup", 0, 0, 0.1, 96 / 1080)]}


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        # On one hand: the glove is the hand, and touches what the hand touches.
        (
            [
                thing("h", "left hand", in_contact_object="g"),
                thing("g", "glove", 192, on_which_hand=["left hand"], in_contact_object="c"),
                thing("c", "cup", 384),
            ],
            [("left hand", 0.0, 0.2, "cup"), ("cup", 0.2, 0.3, None)],
        ),
        # No hand is seen beside it.
        (
            [
                thing("g", "right glove", on_which_hand="right hand", in_contact_object="c"),
                thing("c", "bin/garbage can/recycling bin", 384),
            ],
            [("right hand", 0.0, 0.1, "bin"), ("bin", 0.2, 0.3, None)],
        ),
        # The other hand's glove is the other hand.
        (
            [
                thing("h", "left hand", in_contact_object="g"),
                thing("g", "glove", 192, on_which_hand=["right hand"], in_contact_object="c"),
                thing("c", "cup", 384),
            ],
            [
                ("left hand", 0.0, 0.1, "right hand"),
                ("right hand", 0.1, 0.2, "cup"),
                ("cup", 0.2, 0.3, None),
            ],
        ),
        # On both, on neither, or nobody knows: a thing.
        *[
            (
                [
                    thing("h", "left hand", in_contact_object="g"),
                    thing("g", "gloves", 192, on_which_hand=sides, in_contact_object="h"),
                ],
                [("left hand", 0.0, 0.1, "gloves"), ("gloves", 0.1, 0.2, None)],
            )
            for sides in (["left hand", "right hand"], None, "inconclusive", [], 3)
        ],
        *[
            ([thing("h", "right hand", in_contact_object=why)], [("right hand", 0.0, 0.1, None)])
            for why in ("hand-not-in-contact", "none-of-the-above", "inconclusive", None, [], "q")
        ],
    ],
)
def test_hands_gloves_and_contacts(tmp_path, annotations, expected):
    boxes, anomalies = read(write(tmp_path, frame(1, *annotations)))
    found = [(b.label, b.x0, b.x1, b.in_contact) for b in boxes[0.0]]
    assert found == [(a, pytest.approx(x0), pytest.approx(x1), c) for a, x0, x1, c in expected]
    assert not anomalies


@pytest.mark.parametrize(
    ("change", "remark"),
    [
        ({"id": None}, "VISOR object without an id of its own"),
        ({"id": "b"}, "VISOR object without an id of its own"),
        *[
            ({"segments": segments}, "VISOR object without a shape")
            for segments in (
                None, [], [[]], 3, "x", [[[1]]], [[[1, "2"]]], [[[1, None]]], [[1, 2]], {},
                [[[1, 1], [1, 5]]], [[[-9, -9], [-5, -5]]], [[[2000, 9], [3000, 20]]],
            )
        ],
    ],
)  # fmt: skip
def test_objects_that_cannot_be_read_are_counted(tmp_path, change, remark):
    odd = {**thing("a", "cup"), **change}
    boxes, anomalies = read(write(tmp_path, frame(1, odd, thing("b", "plate", 192))))
    assert [box.label for box in boxes[0.0]] == ["plate"]
    assert anomalies == {remark: 1}


@pytest.mark.parametrize("odd", [None, 3, [], {}, {"image": {"name": 3}}, frame(0),
                                 {"image": {"name": "P01_01.jpg"}}])  # fmt: skip
def test_frames_that_cannot_be_read_are_counted(tmp_path, odd):
    boxes, anomalies = read(write(tmp_path, odd, frame(61, thing("a", "cup"))))
    assert list(boxes) == [1.0]
    assert anomalies == {"VISOR frame without a number": 1}


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"video_annotations": 3}', "[" * 100_000])
def test_files_of_something_else_are_named(tmp_path, content):
    write(tmp_path)
    (tmp_path / "visor" / "P01_01.json").write_text(content)
    with pytest.raises(UserError, match=r"P01_01\.json") as error:
        read(tmp_path)
    assert "\n" not in str(error.value)


def test_without_visor_there_are_no_boxes(tmp_path):
    assert read(tmp_path)[0] == {}
    shutil.rmtree(tmp_path)
    assert read(tmp_path)[0] == {}
