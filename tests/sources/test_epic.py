import ast
import csv
import json
from collections import Counter
from pathlib import Path

import pytest

from egoframe.errors import UserError
from egoframe.pairs import Box
from egoframe.sources.epic import EpicSource, seconds

COLUMNS = ["narration_id", "video_id", "start_timestamp", "stop_timestamp", "narration", "verb",
           "noun"]  # fmt: skip
DRAWER = ["open drawer", "open", "drawer"]


def write(folder: Path, rows, columns=COLUMNS, split: str = "train") -> Path:
    with (folder / f"EPIC_100_{split}.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])
    return folder


def write_info(folder: Path, text: str) -> None:
    (folder / "EPIC_100_video_info.csv").write_text(f"video_id,duration,fps\n{text}")


def real_table(shared_data, name: str) -> list[dict[str, str]]:
    with (shared_data / "epic100" / f"EPIC_100_{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def time_of(stamp: str) -> float:
    hours, minutes, rest = stamp.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


def test_every_annotation_of_the_real_validation_split_is_read(shared_data):
    clips = list(EpicSource(shared_data / "epic100").clips())
    rows = real_table(shared_data, "validation")
    assert len(clips) == len(rows) == 9668
    assert len({clip.clip_id for clip in clips}) == 9668
    for clip, row in zip(clips, rows, strict=True):
        assert (clip.clip_id, clip.video_id) == (row["narration_id"], row["video_id"])
        assert clip.start == pytest.approx(time_of(row["start_timestamp"]))
        assert clip.stop == pytest.approx(time_of(row["stop_timestamp"]))
        assert (clip.narration, clip.verb, clip.noun) == (
            row["narration"],
            row["verb"],
            row["noun"],
        )
        assert (clip.source, clip.split, clip.flaw) == ("epic-kitchens-100", "validation", None)


def test_what_is_odd_about_the_real_annotations_is_counted(shared_data):
    """Against counts taken from the tables another way, each pair of actions compared."""
    source = EpicSource(shared_data / "epic100")
    list(source.clips())
    info = {row["video_id"]: row for row in real_table(shared_data, "video_info")}
    verbs = {r["id"]: ast.literal_eval(r["instances"])
             for r in real_table(shared_data, "verb_classes")}  # fmt: skip
    expected: Counter[str] = Counter()
    spans: dict[str, list[tuple[float, float]]] = {}
    for row in real_table(shared_data, "validation"):
        first, last = time_of(row["start_timestamp"]), time_of(row["stop_timestamp"])
        spans.setdefault(row["video_id"], []).append((first, last))
        told = row["narration_timestamp"]
        expected["no narration time"] += not told
        outside = bool(told) and not first <= time_of(told) <= last
        expected["narrated before or after the action"] += outside
        video = info[row["video_id"]]
        expected["stops after the video's end"] += last > float(video["duration"])
        odd_rate = round(float(video["fps"])) not in (50, 60)
        expected["frames numbered at another rate than the video's"] += odd_rate
        expected["verb not of its class"] += row["verb"] not in verbs[row["verb_class"]]
    for found in spans.values():
        for k, (first, last) in enumerate(found):
            others = found[:k] + found[k + 1 :]
            expected["overlaps another action"] += any(a < last and first < b for a, b in others)
    assert source.anomalies == expected
    assert expected == {
        "narrated before or after the action": 4505,
        "overlaps another action": 4236,
        "frames numbered at another rate than the video's": 140,
        "no narration time": 70,
        "stops after the video's end": 1,
        "verb not of its class": 1,
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("00:00:01.89", 1.89),
        ("01:02:03.500", 3723.5),
        (" 00:10:00", 600),
        ("-00:00:01", -1),
        ("00:00:nan", None),
        ("00:00:1e3", None),
        ("1.5", None),
        ("00:00:00:00", None),
        ("", None),
        ("००:००:०१", None),
    ],
)
def test_timestamps(text, expected):
    assert seconds(text) == (None if expected is None else pytest.approx(expected))


def test_annotations_of_no_use_are_clips_with_their_flaw(tmp_path):
    rows = [
        ["a", "P01_01", "00:00:01", "00:00:02", *DRAWER],
        ["b", "P01_01", "00:00:05", "00:00:04", *DRAWER],
        ["c", "P01_01", "later", "00:00:04", *DRAWER],
        ["a", "P01_01", "00:00:01", "00:00:02", *DRAWER],
        ["d", "P01_01", "00:00:01", "00:09:00", *DRAWER],
        ["e", "P01_01", "00:00:01"],
        ["f", "P01_01", "-00:00:02", "00:00:03", *DRAWER],
        ["", "P01_01", "00:00:02", "00:00:03", *DRAWER],
        ["g", "../../etc", "00:00:02", "00:00:03", *DRAWER],
        ["h", "P01_01", "00:00:02", "00:00:03", " ", "open", "drawer"],
        ["a", "P01_01", "00:00:01", "00:00:02", *DRAWER],
    ]
    write_info(write(tmp_path, rows), "P01_01,60,50\n")
    source = EpicSource(tmp_path)
    clips = list(source.clips())
    assert {clip.clip_id: clip.flaw for clip in clips} == {
        "a": None,
        "b": "stops before it starts",
        "c": "timestamp cannot be read",
        "a#2": "id given twice",
        "d": None,
        "e": "row cut short",
        "f": "negative time",
        "EPIC_100_train.csv:9": "no narration_id",
        "g": "video_id names no file",
        "h": "no narration",
        "a#3": "id given twice",
    }
    assert len(clips) == len(rows)
    assert {clip.video_id for clip in clips} == {"P01_01", "______etc"}
    assert source.anomalies == {"stops after the video's end": 1, "overlaps another action": 3}


COUNTED = ["narration_timestamp", "start_frame", "stop_frame"]


@pytest.mark.parametrize(
    ("numbers", "anomalies"),
    [
        (("00:00:30.5", "1800", "1860"), {}),
        (("00:00:40", "1800", "1860"), {"narrated before or after the action": 1}),
        (("", "1800", "1860"), {"no narration time": 1}),
        (("00:00:30", "1700", "1860"), {"frame number disagrees with its time": 1}),
        (("00:00:30", "", "many"), {}),
    ],
)
def test_remarks_cost_no_pair(tmp_path, numbers, anomalies):
    row = ["a", "P01_01", "00:00:30", "00:00:31", *DRAWER, *numbers]
    write_info(write(tmp_path, [row], COLUMNS + COUNTED), "P01_01,60,59.94\n")
    source = EpicSource(tmp_path)
    (clip,) = source.clips()
    assert (clip.flaw, source.anomalies) == (None, anomalies)


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("videos/P01/P01_01.MP4", False),
        ("videos/P01/P01_01.mp4", False),
        ("P01/videos/P01_01.MP4", False),
        ("rgb_frames/P01/P01_01", True),
        ("P01/rgb_frames/P01_01", True),
    ],
)
@pytest.mark.parametrize(
    ("own", "last", "rate"),
    [(59.94, 60000, 60), (29.97, 60000, 60), (50, 50000, 50), (30, 30000, 30)],
)
def test_frames_of_a_folder_count_at_the_rate_of_the_tables_numbers(
    tmp_path, path, folder, own, last, rate
):
    row = ["a", "P01_01", "00:16:39", "00:16:40", *DRAWER, str(last - rate), str(last)]
    write_info(
        write(tmp_path, [row], [*COLUMNS, "start_frame", "stop_frame"]), f"P01_01,9e3,{own}\n"
    )
    if folder:
        (tmp_path / path).mkdir(parents=True)
    else:
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).touch()
    (clip,) = EpicSource(tmp_path).clips()
    assert clip.media == tmp_path / path
    assert clip.fps == (rate if folder else own)


def test_a_missing_video_is_named_by_its_place(tmp_path):
    write(tmp_path, [["a", "P01_01", "00:00:01", "00:00:02", *DRAWER]])
    source = EpicSource(tmp_path)
    (clip,) = source.clips()
    assert clip.media == tmp_path / "videos" / "P01" / "P01_01.MP4"
    assert source.anomalies == {"video not in EPIC_100_video_info.csv": 1}


def test_a_kitchen_tells_critical_frames_boxes_and_facts(tmp_path):
    write(tmp_path, [["a", "P01_01", "00:00:01", "00:00:02", *DRAWER],
                     ["b", "P01_01", "00:00:03", "00:00:04", *DRAWER]])  # fmt: skip
    hand = {"label": "left hand", "x0": 0.1, "y0": 0.2, "x1": 0.3, "y1": 0.4}
    mug = {**hand, "label": "item3", "noun": "mug", "color": "red"}
    times = {"start": 1.0, "pre": 0.7, "contact": 1.02, "pnr": 1.3, "post": 1.9, "stop": 2.0}
    frames = {"pre": {"boxes": [hand, mug]}, "contact": {}, "pnr": {"boxes": [hand]}, "post": {}}
    told = {"narration_id": "a", "times": times, "frames": frames}
    (tmp_path / "simulator.jsonl").write_text(json.dumps(told) + "\n")
    first, second = EpicSource(tmp_path).clips()
    assert first.source == "kitchen"
    assert first.critical == {key: times[key] for key in ("pre", "contact", "pnr", "post")}
    left, red = Box("left hand", 0.1, 0.2, 0.3, 0.4), Box("red mug", 0.1, 0.2, 0.3, 0.4)
    assert first.boxes == {first.critical["pre"]: [left, red], first.critical["pnr"]: [left]}
    assert json.loads(first.facts) == told
    assert (second.source, second.critical, second.boxes) == ("epic-kitchens-100", {}, {})


def test_a_scene_that_is_no_kitchen_is_a_source_of_its_own(tmp_path):
    write(tmp_path, [["a", "W01_01", "00:00:01", "00:00:02", *DRAWER]])
    told = {**json.loads(UNKNOWN_SCENE), "scene": "workshop"}
    (tmp_path / "simulator.jsonl").write_text(json.dumps(told) + "\n")
    (clip,) = EpicSource(tmp_path).clips()
    assert (clip.source, clip.video_id) == ("workshop", "W01_01")


UNKNOWN_SCENE = json.dumps({"narration_id": "a", "scene": "moon", "times": {
    "start": 1.0, "pre": 0.7, "contact": 1.02, "pnr": 1.3, "post": 1.9, "stop": 2.0}})  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("EPIC_100_video_info.csv", "video_id,duration,fps\nP01_01,long,50\n", "is no number"),
        ("EPIC_100_video_info.csv", "video_id,duration,fps\nP01_01,60,0\n", "is no number"),
        ("EPIC_100_video_info.csv", "video_id,duration,fps\nP01_01\n", "is no number"),
        ("EPIC_100_verb_classes.csv", "id,instances\n0,open(\n", "instances are no list"),
        ("EPIC_100_noun_classes.csv", "id,key\n0,tap\n", "no column instances"),
        ("simulator.jsonl", "{", "not a simulator's"),
        ("simulator.jsonl", '{"narration_id": "a"}', "not a simulator's"),
        ("simulator.jsonl", "[]", "not a simulator's"),
        ("simulator.jsonl", UNKNOWN_SCENE, "not a simulator's record .*moon"),
        ("simulator.jsonl", '{"narration_id": "a", "times": [], "frames": 3}', "not a simulator's"),
        ("EPIC_100_train.csv", "x,y\n1,2\n", "no column narration_id"),
        ("EPIC_100_train.csv", b"\xff\xfe\x00", "cannot be read"),
        ("EPIC_100_train.csv", ",".join(COLUMNS) + '\n"' + "x" * 200_000, "cannot be read"),
    ],
)  # fmt: skip
def test_files_of_something_else_are_named_in_one_line(tmp_path, name, content, message):
    write(tmp_path, [["a", "P01_01", "00:00:01", "00:00:02", *DRAWER]])
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=message) as error:
        list(EpicSource(tmp_path).clips())
    assert name in str(error.value)
    assert "\n" not in str(error.value)


def test_a_folder_without_tables_is_named(tmp_path):
    with pytest.raises(UserError, match="EPIC_100_train"):
        EpicSource(tmp_path / "absent").clips()
