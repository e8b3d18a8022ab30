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
from tests.cli.run import refused, run
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
    ("change", "anomaly"),
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
def test_flawed_annotations_are_counted_and_left_out(tmp_path, change, anomaly):
    (tmp_path / "EgoGen").mkdir()
    flawed = {**annotation("a", "0", "#C C sits"), **change}
    sound = annotation("a", "1", "#C C stands")
    write_json(tmp_path / "ego4d_train.json", {"a": {"0": flawed, "1": sound}})
    source = LegoSource(tmp_path)
    assert [clip.clip_id for clip in source.clips()] == ["a_1"]
    assert source.anomalies == {anomaly: 1, "times unknown": 1}


def test_clips_that_cannot_name_a_file_and_what_is_no_annotation_are_left_out(tmp_path):
    (tmp_path / "EgoGen").mkdir()
    sound = {"a/b \ud800": annotation("a", "0", "wash \ud800cup")}
    clips = {"../up": sound, ".": sound, "x" * 300: sound, "": sound, "list": [], "b": {"0": 1},
             "a": sound}  # fmt: skip
    write_json(tmp_path / "epickitchen_train.json", clips)
    write_json(tmp_path / "epickitchen_val.json", {"a": sound})
    source = LegoSource(tmp_path)
    (clip,) = source.clips()
    assert (clip.clip_id, clip.video_id, clip.narration) == ("a_a%2Fb%20%3F", "a", "wash cup")
    assert source.anomalies["clip cannot be read"] == 5
    assert source.anomalies["no image_0, image_1 or action"] == 1
    assert source.anomalies["action given twice"] == 1


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


def test_the_release_becomes_a_dataset(tmp_path):
    release, out = write_release(tmp_path / "release"), tmp_path / "pairs"
    frames = release / "EgoGen" / "ego4d.fho" / "train" / CLIP
    (frames / "1" / "frame_135.jpg").write_bytes(b"no picture")
    (release / "EgoGen" / "epickitchen" / "train" / "P01_01" / "7" / "frame_120.jpg").unlink()
    done = run("data", "build", "lego", release, out, "size=64", "--workers=1", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["kept"] == {"train": 1, "validation": 1}
    assert told["rejected"] == {"unreadable": 2}
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

    reasons = {row["clip_id"]: row["reason"] for row in read_rows(out / "rejected.parquet")}
    assert reasons[f"{CLIP}_1"].startswith(f"unreadable: {CLIP}/1/frame_135.jpg: is not a JPEG")
    assert reasons["P01_01_P01_01_7"] == "unreadable: P01_01/7/frame_120.jpg: no such file"

    # The same release elsewhere is the same dataset; with another description it is not.
    moved = shutil.move(release, tmp_path / "moved")
    config = BuildConfig(size=64)
    assert list(build_dataset(LegoSource(moved).clips(), out, config)) == [(3, 3)]
    write_json(moved / TUNING, [])
    with pytest.raises(UserError, match="other videos"):
        list(build_dataset(LegoSource(moved).clips(), out, config))


def test_wrong_folders_are_named(tmp_path):
    (tmp_path / "unpacked").mkdir()
    write_json(tmp_path / "unpacked" / "ego4d_val.json", {})
    out = tmp_path / "out"
    assert "ego4d_train.json" in refused(run("data", "build", "lego", tmp_path / "absent", out))
    with pytest.raises(UserError, match="no folder EgoGen here"):
        list(LegoSource(tmp_path / "unpacked").clips())
    assert not out.exists()
