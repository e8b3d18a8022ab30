import json
import math
import shutil

import numpy as np
import pytest
from PIL import Image

from egoframe.curation.build import BuildConfig, build_dataset
from egoframe.errors import UserError
from egoframe.pairs import open_pairs, read_rows
from egoframe.sources.lego import LegoSource
from egoframe.storage import Folder
from tests.sources.lego_release import CLIP, annotation, still, write_json, write_release

TUNING = "curation_from_gpt/ego4d_for_tuning_forecasting.json"


def test_every_action_is_read(tmp_path):
    source = LegoSource(write_release(tmp_path))
    clips = {clip.clip_id: clip for clip in source.clips()}
    told = {
        name: (clip.source, clip.split, clip.action, clip.verb, clip.noun)
        for name, clip in clips.items()
    }
    assert told == {
        f"{CLIP}_0": ("lego-ego4d", "train", "open the drawer", "open", "drawer"),
        f"{CLIP}_1": ("lego-ego4d", "train", "pick up a mug.", "pick", "mug"),
        "c2_0": ("lego-ego4d", "validation", "stir", "stir", ""),
        "P01_01_P01_01_7": ("lego-epic-kitchens-100", "train", "Turn-on tap", "turn", "tap"),
    }
    first = clips[f"{CLIP}_0"]
    assert (first.video_id, first.narration) == (CLIP, "#C C opens the drawer")
    assert first.critical == {"pre": 4.0, "pnr": 4.5}
    assert first.media == tmp_path / "EgoGen" / "ego4d.fho" / "train"
    assert source.anomalies == {"times unknown": 2}  # the clips that have no metadata


def test_the_teacher_describes_before_the_model(tmp_path):
    clips = {clip.clip_id: clip for clip in LegoSource(write_release(tmp_path)).clips()}
    told = {name: (clip.description, clip.description_source) for name, clip in clips.items()}
    assert told == {
        f"{CLIP}_0": ("The right hand pulls the drawer.", "gpt-curation"),
        f"{CLIP}_1": ("Up.", "lego-vllm"),
        "c2_0": ("Round.", "lego-vllm"),  # the same path in train is another picture
        "P01_01_P01_01_7": (None, None),
    }


def test_annotations_alone_are_enough(tmp_path):
    release = write_release(tmp_path)
    for name in ("ego4d_metadata.json", TUNING, "ego4d_train.json", "epickitchen_train.json"):
        (release / name).unlink()
    (clip,) = LegoSource(release).clips()
    assert clip.clip_id == "c2_0"


@pytest.mark.parametrize(
    ("change", "flaw"),
    [
        ({"image_0": None}, "no image_0, image_1 or action"),
        ({"image_1": ["a.jpg"]}, "no image_0, image_1 or action"),
        ({"action": "  "}, "no image_0, image_1 or action"),
        ({"image_0": "../../secret.jpg"}, "frame outside the folder"),
        ({"image_1": "a/../../../secret.jpg"}, "frame outside the folder"),
        ({"image_0": "/etc/secret.jpg"}, "frame outside the folder"),
        ({"image_0": "C:\\secret.jpg"}, "frame outside the folder"),
        ({"image_0": "..\\secret.jpg"}, "frame outside the folder"),
        ({"image_0": "a\0.jpg"}, "frame outside the folder"),
        ({"action": "#O A man X walks"}, "another person acts"),
        ({"action": "#C C"}, "no action in the narration"),
    ],
)
def test_annotations_of_no_use_are_clips_with_their_flaw(tmp_path, change, flaw):
    (tmp_path / "EgoGen").mkdir()
    odd = {**annotation("a", "0", "#C C sits"), **change}
    sound = annotation("a", "1", "#C C stands")
    write_json(tmp_path / "ego4d_train.json", {"a": {"0": odd, "1": sound}})
    source = LegoSource(tmp_path)
    told = [(clip.clip_id, clip.flaw, clip.split, clip.source) for clip in source.clips()]
    assert told == [
        ("a_0", flaw, "train", "lego-ego4d"),
        ("a_1", None, "train", "lego-ego4d"),
    ]
    assert source.anomalies == {"times unknown": 1}


def test_what_cannot_be_read_is_one_clip_with_a_flaw(tmp_path):
    (tmp_path / "EgoGen").mkdir()
    sound = {"a/b \ud800": annotation("a", "0", "wash \ud800cup")}
    clips = {"../up": sound, ".": sound, "x" * 300: sound, "": sound, "list": [], "b": {"0": 1},
             "a": sound}  # fmt: skip
    write_json(tmp_path / "epickitchen_train.json", clips)
    write_json(tmp_path / "epickitchen_val.json", {"a": sound})
    source = LegoSource(tmp_path)
    told = {clip.clip_id: (clip.video_id, clip.flaw) for clip in source.clips()}
    unread = "clip cannot be read"
    assert told == {
        "___up": ("___up", unread),
        "_": ("_", unread),
        "x" * 100: ("x" * 100, unread),
        "unnamed": ("unnamed", unread),
        "list": ("list", unread),
        "b_0": ("b", "no image_0, image_1 or action"),
        "a_a%2Fb%20%3F": ("a", None),
        "a_a%2Fb%20%3F#2": ("a", "id given twice"),
    }
    assert next(c for c in source.clips() if c.flaw is None).narration == "wash cup"


@pytest.mark.parametrize(
    ("names", "fps", "times"),
    [
        (("f_0000000300.jpg", "f_0000000330.jpg"), 60, (5.0, 5.5)),
        (("300.jpg", "330.jpg"), 60, (5.0, 5.5)),
        (("image_0.jpg", "image_1.jpg"), 60, None),  # which of the two, not which frame
        (("pre_frame.jpg", "pnr_frame.jpg"), 60, None),
        (("f_330.jpg", "f_300.jpg"), 60, None),
        (("f_300.jpg", "f_330.jpg"), 0, None),
        (("f_300.jpg", "f_330.jpg"), "60", None),
        (("f_300.jpg", "f_330.jpg"), math.nan, None),
    ],
)
def test_times_come_from_names_that_tell_them(tmp_path, names, fps, times):
    (tmp_path / "EgoGen").mkdir()
    stills = {f"image_{k}": f"a/0/{name}" for k, name in enumerate(names)}
    write_json(tmp_path / "ego4d_val.json", {"a": {"0": {**stills, "action": "#C C sits"}}})
    write_json(tmp_path / "ego4d_metadata.json", {"a": {"fps": fps}, "b": None})
    (clip,) = LegoSource(tmp_path).clips()
    if times is None:
        assert math.isnan(clip.critical["pre"])
        assert math.isnan(clip.critical["pnr"])
    else:
        assert (clip.critical["pre"], clip.critical["pnr"]) == times


def test_conversations_that_cannot_be_read_are_counted(tmp_path):
    release = write_release(tmp_path)
    tuning = json.loads((release / TUNING).read_text())
    flawed = [1, {}, {"image": "x", "conversations": [7]}, {"image": "x", "conversations": None},
              {**tuning[0], "conversations": tuning[0]["conversations"][:1]}]  # fmt: skip
    write_json(release / TUNING, [*flawed, *tuning])
    source = LegoSource(release)
    assert next(source.clips()).description == "The right hand pulls the drawer."
    assert source.anomalies["conversation cannot be read"] == len(flawed)


@pytest.mark.parametrize("name", ["ego4d_train.json", "ego4d_metadata.json", TUNING])
@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"3", b"[" * 100_000])
def test_files_of_something_else_are_named(tmp_path, name, content):
    (write_release(tmp_path) / name).write_bytes(content)
    with pytest.raises(UserError, match=name) as error:
        list(LegoSource(tmp_path).clips())
    assert "\n" not in str(error.value)


def build(release, out):
    source = LegoSource(release)
    steps = build_dataset(
        source.clips(), Folder(out), BuildConfig(size=64), workers=1, anomalies=source.anomalies
    )
    *_, last = steps
    return last


def test_the_release_becomes_a_dataset(tmp_path):
    release, out = write_release(tmp_path / "release"), tmp_path / "pairs"
    frames = release / "EgoGen" / "ego4d.fho" / "train" / CLIP
    (frames / "1" / "frame_135.jpg").write_bytes(b"no picture")
    (release / "EgoGen" / "epickitchen" / "train" / "P01_01" / "7" / "frame_120.jpg").unlink()
    assert build(release, out) == (4, 4)
    told = json.loads((out / "report.json").read_text())
    assert told["kept"] == {"train": 1, "validation": 1}
    assert sum(told["rejected"].values()) == 2
    assert told["anomalies"] == {"times unknown": 2}

    (row,) = open_pairs(out, "train")
    assert (row["pair_id"], row["source"], row["split"]) == (f"{CLIP}_0", "lego-ego4d", "train")
    assert (row["narration"], row["action"]) == ("#C C opens the drawer", "open the drawer")
    assert (row["input_time"], row["action_time"]) == (4.0, 4.5)
    assert row["description"] == "The right hand pulls the drawer."
    assert row["description_source"] == "gpt-curation"
    for frame, moved in (("input_frame", 10), ("action_frame", 30)):
        truth = np.asarray(still(moved).resize((64, 64), Image.Resampling.BOX), int)
        assert np.abs(np.asarray(row[frame], int) - truth).mean() < 4
    (row,) = open_pairs(out, "validation")
    assert math.isnan(row["input_time"])
    assert math.isnan(row["action_time"])

    rejected = {row["clip_id"]: row for row in read_rows(Folder(out), "rejected.parquet")}
    assert rejected[f"{CLIP}_1"]["file"] == f"ego4d.fho/train/{CLIP}/1/frame_135.jpg"
    assert "is not a JPEG" in rejected[f"{CLIP}_1"]["detail"]
    assert rejected["P01_01_P01_01_7"]["file"] == "epickitchen/train/P01_01/7/frame_120.jpg"

    # The same release elsewhere is the same dataset; with another description it is not.
    moved = shutil.move(release, tmp_path / "moved")
    assert build(moved, out) == (4, 4)
    write_json(moved / TUNING, [])
    with pytest.raises(UserError, match="other clips"):
        build(moved, out)


def test_wrong_folders_are_named(tmp_path):
    (tmp_path / "unpacked").mkdir()
    write_json(tmp_path / "unpacked" / "ego4d_val.json", {})
    with pytest.raises(UserError, match=r"ego4d_train\.json"):
        LegoSource(tmp_path / "absent").clips()
    with pytest.raises(UserError, match="no folder EgoGen here"):
        LegoSource(tmp_path / "unpacked").clips()
