import contextlib
import copy
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from egoframe.errors import UserError
from egoframe.pairs import Box
from egoframe.sources.ego4d import Ego4dSource

UID, CLIP = "0f2a11c0-video", "77aa-clip"  # of the video and of its annotated clip
START = 300.0  # of the clip in the video, seconds
FRAMES = {"pre_45": 9045, "pre_30": 9060, "pre_15": 9075, "pre_frame": 9090,
          "contact_frame": 9105, "pnr_frame": 9120, "post_frame": 9150}  # fmt: skip


def box(kind: str, x: float, noun: str | None = None) -> dict[str, Any]:
    corners = {"x": x, "y": 54.0, "width": 192.0, "height": 108.0}
    return {"object_type": kind, "structured_noun": noun, "instance_number": 1, "bbox": corners}


def action(**more: Any) -> dict[str, Any]:
    """As `fho_main.json` tells of one: "#C C turns on the tap", PRE at 303 s and PNR at 304 s."""
    tap = box("object_of_change", 960, "tap_(faucet,_tap)")
    seen = {"pre_frame": [box("left_hand", 0)], "pnr_frame": [box("right_hand", 192), tap]}
    frames = [
        {"frame_type": kind, "frame_number": FRAMES[kind], "boxes": seen.get(kind, [])}
        for kind in FRAMES
    ]
    frames[0]["boxes"] = [box("tool", 960, "[other]")]
    return {
        "warnings": [], "uid": "action-1", "start_sec": 300.0, "end_sec": 308.0,
        "start_frame": 9000, "end_frame": 9240, "is_valid_action": True, "is_partial": False,
        "clip_start_sec": 0.0, "clip_end_sec": 8.0, "clip_start_frame": 0, "clip_end_frame": 240,
        "narration_timestamp_sec": 304.5, "clip_narration_timestamp_sec": 4.5,
        "narration_text": "#C C turns on the tap", "narration_annotation_uid": "n",
        "structured_verb": "turn_on_(switch_on,_start,_light)", "freeform_verb": None,
        "state_transition": "activate", "critical_frames": dict(FRAMES),
        "clip_critical_frames": {key: frame - 9000 for key, frame in FRAMES.items()},
        "frames": frames, "is_rejected": False, "is_invalid_annotation": False,
        "reject_reason": None, "stage": "post_condition", **more,
    }  # fmt: skip


def interval(*actions: Any, **more: Any) -> dict[str, Any]:
    return {
        "clip_id": "12", "clip_uid": CLIP, "start_sec": 300.0, "end_sec": 600.0,
        "narrated_actions": list(actions), "redacted": False, **more,
    }  # fmt: skip


def video(*intervals: Any, **more: Any) -> dict[str, Any]:
    metadata = {"fps": 30.0, "width": 1920, "height": 1080, "num_frames": 90_000, "rotation": None}
    return {
        "annotated_intervals": list(intervals), "video_metadata": metadata, "video_uid": UID, **more
    }  # fmt: skip


def write(folder: Path, *videos: Any, name: str = "fho_main.json") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"version": "2", "videos": list(videos)}))
    return folder


def only(folder: Path, **more: Any):
    (clip,) = Ego4dSource(write(folder, video(interval(action(**more))))).clips()
    return clip


def test_an_action_is_read(tmp_path):
    source = Ego4dSource(write(tmp_path, video(interval(action()))))
    (clip,) = source.clips()
    assert (clip.clip_id, clip.source, clip.split, clip.flaw) == (
        "action-1",
        "ego4d",
        "train",
        None,
    )
    assert (clip.narration, clip.action) == ("#C C turns on the tap", "turn on the tap")
    assert (clip.verb, clip.noun) == ("turn on", "tap")
    assert (clip.video_id, clip.fps) == (UID, 30.0)
    assert clip.critical == {"pre": 303.0, "contact": 303.5, "pnr": 304.0, "post": 305.0}
    assert (clip.start, clip.stop) == (303.0, 305.0)
    left = Box("left hand", 0.0, 0.05, pytest.approx(0.1), pytest.approx(0.15))
    right = Box("right hand", pytest.approx(0.1), 0.05, pytest.approx(0.2), pytest.approx(0.15))
    tap = Box("tap", 0.5, 0.05, pytest.approx(0.6), pytest.approx(0.15))
    assert clip.boxes == {
        301.5: [Box("tool", 0.5, 0.05, tap.x1, tap.y1)],
        clip.critical["pre"]: [left],
        clip.critical["pnr"]: [right, tap],
    }
    assert source.anomalies == {"of no official split, taken for train": 1}


def test_without_critical_frames_an_action_starts_when_it_was_narrated(tmp_path):
    clip = only(tmp_path, critical_frames=None, frames=None)
    assert (clip.critical, clip.boxes, clip.start, clip.stop) == ({}, {}, 304.5, 308.0)
    clip = only(tmp_path, critical_frames=None, frames=None, narration_timestamp_sec=None)
    assert (clip.start, clip.stop) == (300.0, 308.0)


def test_some_critical_frames_are_better_than_none(tmp_path):
    frames = {**FRAMES, "pre_frame": None, "post_frame": "x"}
    source = Ego4dSource(write(tmp_path, video(interval(action(critical_frames=frames)))))
    (clip,) = source.clips()
    assert clip.critical == {"contact": 303.5, "pnr": 304.0}
    assert list(clip.boxes) == [301.5, 303.0, 304.0]  # a frame's own number counts, where it must
    assert source.anomalies["no PRE or PNR frame"] == 1


@pytest.mark.parametrize("place", ["full_scale", "video_540ss"])
@pytest.mark.parametrize("root", [".", "v1", "v2"])
def test_whole_videos_go_before_clips(tmp_path, root, place):
    for name in (f"{root}/{place}/{UID}.mp4", f"{root}/clips/{CLIP}.mp4"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    clip = only(tmp_path)
    assert clip.media == tmp_path / root / place / f"{UID}.mp4"
    assert (clip.video_id, clip.critical["pnr"]) == (UID, 304.0)


@pytest.mark.parametrize("annotations", ["v2/annotations", "annotations", "."])
def test_in_clips_times_are_those_of_the_clip(tmp_path, annotations):
    write(tmp_path, video(interval(action())), name=f"{annotations}/fho_main.json")
    path = tmp_path / "v2" / "clips" / f"{CLIP}.mp4"
    path.parent.mkdir(parents=True)
    path.touch()
    for folder in (tmp_path, tmp_path / annotations):
        if folder == tmp_path / "annotations":
            continue  # v2 is not beside the file, and nobody told of it
        (clip,) = Ego4dSource(folder).clips()
        assert clip.media.samefile(path)
        assert (clip.video_id, clip.start, clip.stop) == (CLIP, 3.0, 5.0)
        assert clip.critical == {"pre": 3.0, "contact": 3.5, "pnr": 4.0, "post": 5.0}
        assert list(clip.boxes) == [1.5, 3.0, 4.0]


def test_a_missing_video_is_named_by_its_place(tmp_path):
    write(tmp_path, video(interval(action())), name="v2/annotations/fho_main.json")
    (clip,) = Ego4dSource(tmp_path).clips()
    assert clip.media == tmp_path / "v2" / "full_scale" / f"{UID}.mp4"


def test_splits_are_those_of_the_clips(tmp_path):
    names = ("train", "val", "test", "both", "none")
    videos = [video(interval(action(uid=n), clip_uid=n)) for n in names]
    write(tmp_path, *videos)
    for name, key, clips in (
        ("fho_oscc-pnr_train", "clips", ["train", "both", None]),
        ("fho_lta_val", "clips", ["val"]),
        ("fho_sta_val", "annotations", ["both"]),
        ("fho_hands_test_unannotated", "clips", ["test"]),
        ("fho_lta_taxonomy", "clips", ["train"]),
    ):
        told = {key: [{"clip_uid": clip} for clip in clips]}
        (tmp_path / f"{name}.json").write_text(json.dumps(told))
    source = Ego4dSource(tmp_path)
    assert {clip.clip_id: (clip.split, clip.flaw) for clip in source.clips()} == {
        "train": ("train", None),
        "val": ("validation", None),
        "test": ("validation", "of the test split"),
        "both": ("validation", None),
        "none": ("train", None),
    }
    assert source.anomalies == {"of no official split, taken for train": 1}


@pytest.mark.parametrize("place", [".", "v2", "v2/annotations"])
def test_splits_are_those_of_the_videos_where_no_file_tells_of_clips(tmp_path, place):
    names = ("train", "val", "test", "multi", None, "odd")
    videos = [video(interval(action(uid=str(n))), video_uid=f"v-{n}") for n in names]
    write(tmp_path, *videos, name="v2/annotations/fho_main.json")
    told = {"videos": [{"video_uid": f"v-{n}", "split_fho": n} for n in names]}
    (tmp_path / ("v2" if place == "v2" else ".") / "ego4d.json").write_text(json.dumps(told))
    assert [(clip.split, clip.flaw) for clip in Ego4dSource(tmp_path / place).clips()] == [
        ("train", None),
        ("validation", None),
        ("validation", "of the test split"),
        ("validation", "official split unknown"),
        ("train", None),
        ("train", None),
    ]


@pytest.mark.parametrize(
    ("more", "flaw"),
    [
        ({"is_rejected": True}, "rejected by the annotators"),
        ({"is_valid_action": False}, "not a valid action"),
        ({"is_invalid_annotation": True}, "invalid annotation"),
        ({"is_rejected": "no"}, "annotation cannot be read"),
        ({"narration_text": "#O A man X walks"}, "another person acts"),
        ({"narration_text": "#C C"}, "no action in the narration"),
        ({"narration_text": None}, "no action in the narration"),
        ({"start_sec": None}, "no start_sec or end_sec"),
        ({"end_sec": 1e400}, "no start_sec or end_sec"),
        ({"start_sec": -1}, "negative time"),
        ({"critical_frames": {**FRAMES, "pre_frame": -3}}, "negative time"),
        ({"end_sec": 299}, "stops before it starts"),
    ],
)
def test_actions_of_no_use_are_clips_with_their_flaw(tmp_path, more, flaw):
    text = json.dumps({"videos": [video(interval(action(**more)))]}).replace("Infinity", '"inf"')
    (tmp_path / "fho_main.json").write_text(text)
    (clip,) = Ego4dSource(tmp_path).clips()
    assert (clip.clip_id, clip.flaw, clip.video_id) == ("action-1", flaw, UID)


def test_what_cannot_be_read_is_one_clip_with_a_flaw(tmp_path):
    write(
        tmp_path,
        video(interval(action(), action(), action(uid=None), 7), interval(redacted=True), 3,
              interval(action(uid="r"), redacted=True)),
        "no video",
        {"video_uid": "x", "annotated_intervals": None},
        video(interval(action(uid="p")), video_uid="../../etc/passwd"),
    )  # fmt: skip
    clips = list(Ego4dSource(tmp_path).clips())
    assert [(clip.clip_id, clip.flaw) for clip in clips] == [
        ("action-1", None),
        ("action-1#2", "id given twice"),
        ("video_0_0_2", None),
        ("video_0_0_3", "no action in the narration"),
        ("video_0_2", "interval cannot be read"),
        ("r", "redacted"),
        ("video_1", "video cannot be read"),
        ("video_2", "video cannot be read"),
        ("video_3_0", "interval cannot be read"),
    ]
    assert not any(".." in clip.video_id or "/" in clip.video_id for clip in clips)


def test_boxes_that_cannot_be_read_are_counted(tmp_path):
    odd = [3, {}, box("tool", 5000), box("tool", "x"), {**box("tool", 0), "bbox": [0, 0, 9, 9]}]
    frames = [
        {"frame_type": "pnr_frame", "frame_number": 9120, "boxes": [*odd, box("left_hand", 0)]},
        {"frame_type": "pre_45", "frame_number": None, "boxes": [box("left_hand", 0)]},
    ]
    source = Ego4dSource(write(tmp_path, video(interval(action(frames=frames)))))
    (clip,) = source.clips()
    assert [b.label for b in clip.boxes[304.0]] == ["left hand"]
    assert source.anomalies["box cannot be read"] == 6
    write(tmp_path, video(interval(action()), video_metadata={}))
    (clip,) = Ego4dSource(tmp_path).clips()  # pixels of an unknown width
    assert (clip.boxes, clip.critical["pnr"]) == ({}, 304.0)


ODD = [None, True, -1, 10**18, 1e308, "x", "\ud800", [], [1], {}, {"x": None}]


def places(value: Any, path: tuple = ()):
    """Of every value in nested JSON."""
    yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*path, key))


def test_wrong_types_anywhere_never_end_in_a_traceback(tmp_path):
    """Every value of a file, replaced by every odd one: the actions left are there and counted."""
    sound = {"videos": [video(interval(action(), action(uid="action-2")))]}
    second = ("videos", 0, "annotated_intervals", 0, "narrated_actions", 1)
    paths = [path for path in places(sound) if path and path[: len(second)] != second]
    assert len(paths) > 100
    kept = 0
    for path in paths:
        for odd in ODD:
            told = copy.deepcopy(sound)
            node: Any = told
            for key in path[:-1]:
                node = node[key]
            node[path[-1]] = odd
            (tmp_path / "fho_main.json").write_text(json.dumps(told))
            if len(path) < 4:  # perhaps nothing of Ego4D's is left
                with contextlib.suppress(UserError):
                    list(Ego4dSource(tmp_path).clips())
                continue
            clips = list(Ego4dSource(tmp_path).clips())
            assert len({clip.clip_id for clip in clips}) == len(clips)
            for clip in clips:
                if clip.flaw is None:
                    assert 0 <= clip.start < clip.stop
                    assert all(0 <= b.x0 < b.x1 <= 1 for f in clip.boxes.values() for b in f)
                    kept += 1
            if len(path) > 5:
                assert len(clips) == 2, (path, odd)
    assert kept > len(paths) * len(ODD)


@pytest.mark.parametrize(
    "content",
    [
        "", "{", "[1, 2]", "3", '{"videos": 3}', '{"videos": []}', '{"clips": [{}]}',
        '{"videos": [{"video_uid": "x", "clips": []}]}',  # of the NLQ benchmark
        '{"videos": [NaN]}', '{"videos": [1e999]}', '{"videos": [{"a": "\xff"}',
        '{"videos": ' + "[" * 100_000, '{"videos": ' + '[{"a":' * 100_000,
        '{"videos": [' + "9" * 6000 + "]}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_files_of_something_else_are_named_in_one_line(tmp_path, content, encoding):
    (tmp_path / "fho_main.json").write_text(content, encoding=encoding)
    with pytest.raises(UserError, match=r"fho_main\.json") as error:
        list(Ego4dSource(tmp_path).clips())
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_nesting_beyond_reason_is_refused_before_it_takes_memory(tmp_path):
    bomb = '{"videos": ' + "[" * 500 + "]" * 500 + "}"
    (tmp_path / "fho_main.json").write_text(bomb)
    with pytest.raises(UserError, match="nested"):
        list(Ego4dSource(tmp_path).clips())


def test_a_truncated_file_is_named_before_anything_is_built_of_it(tmp_path):
    path = write(tmp_path, *[video(interval(action())) for _ in range(50)]) / "fho_main.json"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match="cannot be read as JSON"):
        next(Ego4dSource(tmp_path).clips())


def test_memory_stays_flat_however_long_the_file(tmp_path):
    def peak(videos: int) -> int:
        told = [
            video(interval(*[action(uid=f"{n}-{k}") for k in range(20)])) for n in range(videos)
        ]
        write(tmp_path, *told)
        del told
        tracemalloc.start()
        for _ in Ego4dSource(tmp_path).clips():
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    few, many = peak(5), peak(60)
    assert (tmp_path / "fho_main.json").stat().st_size > 2e6
    assert many < few + 500_000  # the ids


def test_a_folder_without_annotations_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no fho_main\.json here"):
        Ego4dSource(tmp_path).clips()
