import csv
import io
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from egoframe.curation.build import BuildConfig, build_dataset, report
from egoframe.curation.filters import FilterConfig, ModelsConfig
from egoframe.curation.selection import SelectionConfig
from egoframe.errors import UserError
from egoframe.pairs import Box, open_pairs, read_rows, write_shard
from egoframe.sources.clip import ActionClip, flawed
from egoframe.sources.epic import REQUIRED, EpicSource
from egoframe.storage import Folder

FPS = 10
CONFIG = BuildConfig(size=64, selection=SelectionConfig(candidates=0))
SHARD = "train/00000.parquet"


def picture(video: int, frame: int) -> Image.Image:
    """A checkerboard, upon which a square moves."""
    values = np.kron(np.indices((8, 8)).sum(0) % 2, np.ones((8, 8))) * 200 + 10 * video
    values[8:24, frame : frame + 12] = 255
    return Image.fromarray(values.astype(np.uint8)).convert("RGB")


@pytest.fixture
def recording(tmp_path) -> Path:
    """Two videos of two actions each; of the second, every frame lacks."""
    folder = tmp_path / "recording"
    folder.mkdir()
    with (folder / "EPIC_100_train.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(REQUIRED)
        for video in ("P01_01", "P02_01"):
            for k, start in enumerate((1, 3)):
                times = (f"00:00:0{start}.00", f"00:00:0{start + 1}.00")
                writer.writerow(
                    [f"{video}_{k}", video, *times, "Open-up drawer.", "open", "drawer"]
                )
    lines = "".join(f"{video},10,{FPS}\n" for video in ("P01_01", "P02_01"))
    (folder / "EPIC_100_video_info.csv").write_text(f"video_id,duration,fps\n{lines}")
    frames = folder / "rgb_frames" / "P01" / "P01_01"
    frames.mkdir(parents=True)
    for number in range(1, 50):
        picture(0, number).save(frames / f"frame_{number:010d}.jpg", quality=100)
    return folder


def build(recording: Path, out: Path | str, config: BuildConfig = CONFIG) -> Folder:
    folder = Folder(out)
    source = EpicSource(recording)
    steps = build_dataset(source.clips(), folder, config, 1, anomalies=source.anomalies)
    assert list(steps)[-1] == (4, 4)
    return folder


def test_every_clip_is_kept_or_rejected_with_its_reason(recording, tmp_path):
    out = build(recording, tmp_path / "pairs")
    told = report(out)
    assert told.clips == 4
    assert told.kept == {"train": 2, "validation": 0}
    assert list(told.rejected.values()) == [2]
    first = open_pairs(out.url, "train")[0]
    assert (first["action"], first["input_time"], first["action_time"]) == (
        "open up drawer", 0.75, 1.5
    )  # fmt: skip
    truth = np.asarray(picture(0, round(1.5 * FPS) + 1), int)
    assert np.abs(np.asarray(first["action_frame"], int) - truth).mean() < 3
    rejected = list(read_rows(out, "rejected.parquet"))
    assert [row["clip_id"] for row in rejected] == ["P02_01_0", "P02_01_1"]
    assert {row["reason"] for row in rejected} == set(told.rejected)
    assert not out.exists("parts")
    assert "size_categories" in out.read("README.md").decode()


@pytest.mark.parametrize("url", ["{}", "dir::file://{}"])
def test_a_build_that_was_stopped_goes_on_to_the_same_dataset(recording, tmp_path, url):
    whole = build(recording, tmp_path / "whole")
    stopped = Folder(url.format(tmp_path / "stopped"))
    steps: Iterator = build_dataset(EpicSource(recording).clips(), stopped, CONFIG, workers=1)
    assert next(steps) == (0, 4)
    assert next(steps) == (2, 4)
    steps.close()
    assert not stopped.exists("train")
    build(recording, stopped.url)
    assert list(read_rows(stopped, SHARD)) == list(read_rows(whole, SHARD))
    assert report(stopped) == report(whole)


def test_building_again_keeps_the_descriptions(recording, tmp_path):
    out = build(recording, tmp_path / "pairs")
    write_shard(out, SHARD, [{**row, "description": "so"} for row in read_rows(out, SHARD)])
    build(recording, tmp_path / "pairs")
    assert open_pairs(out.url, "train")["description"] == ["so", "so"]


def test_a_folder_holds_one_dataset(recording, tmp_path):
    out = tmp_path / "pairs"
    build(recording, out)
    with pytest.raises(UserError, match="other settings"):
        build(recording, out, replace(CONFIG, size=32))
    table = recording / "EPIC_100_train.csv"
    table.write_text(table.read_text().replace("00:00:03.00", "00:00:02.90"))
    with pytest.raises(UserError, match="other clips"):
        build(recording, out)
    (out / "build.json").write_text("{}")
    with pytest.raises(UserError, match="holds something else"):
        build(recording, out)


@pytest.mark.parametrize("name", ["README.md", "train", "report.json"])
def test_a_folder_that_holds_something_else_is_left_alone(recording, tmp_path, name):
    mine = tmp_path / "mine" / name / "video.mp4" if name == "train" else tmp_path / "mine" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("{}")
    with pytest.raises(UserError, match=f"mine: holds something else, {name}"):
        build(recording, tmp_path / "mine")
    assert mine.read_text() == "{}"
    assert not (tmp_path / "mine" / "build.json").exists()


def test_any_name_will_do_for_a_folder(recording, tmp_path):
    out = build(recording, tmp_path / "pairs [v2] * 100%?")
    assert report(out).clips == 4
    assert len(open_pairs(out.url, "train")) == 2


def test_settings_can_be_corrected_before_anything_is_built(recording, tmp_path):
    wrong = replace(CONFIG, models=ModelsConfig(clip=str(tmp_path / "absent")))
    with pytest.raises(UserError, match="no CLIP model"):
        build(recording, tmp_path / "pairs", wrong)
    assert report(build(recording, tmp_path / "pairs")).clips == 4


def test_the_candidate_that_is_sharpest_is_taken(recording, tmp_path):
    frames = recording / "rgb_frames" / "P01" / "P01_01"
    blurred = Image.new("RGB", (64, 64), "grey")
    for number in (15, 16):  # around 1.5 s the frames of 1.4 and 1.5 s
        blurred.save(frames / f"frame_{number:010d}.jpg")
    config = replace(CONFIG, selection=SelectionConfig(candidates=1, spread=0.1))
    out = build(recording, tmp_path / "pairs", config)
    assert next(read_rows(out, SHARD))["action_time"] == pytest.approx(1.6)


def of_stills(folder: Path, name: str, **more) -> ActionClip:
    """A clip whose frames are chosen already, at times that nobody knows."""
    times = {"start": math.nan, "stop": math.nan, "critical": {"pre": math.nan, "pnr": math.nan}}
    return ActionClip(
        clip_id=name, source="test", split="train", video_id="v", media=folder, fps=math.nan,
        narration="#C C opens the drawer", verb="open", noun="drawer",
        stills=("before.png", f"{name}.png"), **times, **more,
    )  # fmt: skip


def test_stills_are_taken_as_they_are_and_what_is_told_of_them_kept(tmp_path):
    for name, frame in (("before", 1), ("a", 9), ("b", 13)):
        picture(0, frame).save(tmp_path / f"{name}.png")
    (tmp_path / "damaged.png").write_bytes((tmp_path / "a.png").read_bytes()[:200])
    told = {"action": "open the drawer", "description": "So.", "description_source": "teacher"}
    clips = [of_stills(tmp_path, "a", **told), of_stills(tmp_path, "b"),
             of_stills(tmp_path, "damaged"), of_stills(tmp_path, "absent")]  # fmt: skip
    out = Folder(tmp_path / "pairs")
    list(build_dataset(clips, out, CONFIG, workers=1))
    first, second = open_pairs(out.url, "train")
    assert {key: first[key] for key in told} == told
    assert (second["action"], second["description"]) == ("#c c opens the drawer", None)
    assert math.isnan(first["input_time"])
    assert math.isnan(first["action_time"])
    for row, frame in ((first, 9), (second, 13)):
        truth = np.asarray(picture(0, frame), int)
        assert np.abs(np.asarray(row["action_frame"], int) - truth).mean() < 3
    assert set(report(out).bad_files) == {"damaged.png", "absent.png"}


def of_video(recording: Path, name: str, **more) -> ActionClip:
    return ActionClip(
        clip_id=name, source="test", split="train", video_id="v",
        media=recording / "rgb_frames" / "P01" / "P01_01", fps=FPS, narration=name,
        verb=name, noun="drawer", **{"start": 1.0, "stop": 2.0, **more},
    )  # fmt: skip


def test_what_annotations_tell_is_counted_too(recording, tmp_path):
    clips = [
        of_video(recording, "good", critical={"pre": 0.8, "pnr": 1.5}, boxes={1.5: HAND}),
        of_video(recording, "handless", critical={"pre": 2.8, "pnr": 3.5}, boxes={3.5: MUG}),
        of_video(recording, "disorder", critical={"pre": 4.0, "pnr": 3.9}),
        flawed("bad", "test", "train", "v", recording, "stops before it starts"),
    ]
    out = Folder(tmp_path / "pairs")
    list(build_dataset(clips, out, CONFIG, 1, anomalies={"odd": 3}))
    told = report(out)
    assert told.kept["train"] == 1
    assert told.rejected == {
        "critical frames out of order": 1,
        "no hand in the action frame": 1,
        "stops before it starts": 1,
    }
    assert told.anomalies == {"odd": 3}
    (row,) = read_rows(out, SHARD)
    assert row["hands"] == 1
    assert [box["label"] for box in row["action_boxes"]] == ["right hand"]
    rejected = {row["clip_id"]: row for row in read_rows(out, "rejected.parquet")}
    thumbnail = Image.open(io.BytesIO(rejected["handless"]["action_frame"]["bytes"]))
    assert thumbnail.size == (64, 64)
    assert rejected["handless"]["hands"] == 0
    assert rejected["bad"]["action_frame"] is None


HAND = [Box("right hand", 0.1, 0.1, 0.5, 0.5, "mug")]
MUG = [Box("mug", 0.1, 0.1, 0.5, 0.5)]


def test_a_long_video_is_shared_out_and_keeps_its_order(recording, tmp_path):
    clips = [
        of_video(recording, f"c{k}", start=1 + k % 7 / 2, stop=2 + k % 7 / 2) for k in range(150)
    ]
    clips = [replace(clip, verb="open") for clip in clips]
    out = Folder(tmp_path / "pairs")
    config = replace(CONFIG, filters=FilterConfig(max_camera_motion=None))
    steps = list(build_dataset(clips, out, config, workers=2))
    assert len(steps) == 4
    rows = list(read_rows(out, SHARD))
    assert len(rows) == 150
    assert sorted(row["pair_id"] for row in rows) == sorted(clip.clip_id for clip in clips)


def test_files_of_one_name_are_told_apart(tmp_path):
    for place, content in (("x", b""), ("y", b"no video")):
        (tmp_path / place).mkdir()
        (tmp_path / place / "cam.mp4").write_bytes(content)
    clips = [
        replace(of_video(tmp_path, place), video_id=place, media=tmp_path / place / "cam.mp4")
        for place in ("x", "y", "z")
    ]
    out = Folder(tmp_path / "pairs")
    list(build_dataset(clips, out, CONFIG, workers=1))
    bad = json.loads(out.read("report.json"))["bad_files"]
    assert list(bad) == ["x/cam.mp4", "y/cam.mp4", "z/cam.mp4"]


def test_nothing_kept_is_said(recording, tmp_path):
    for path in (recording / "rgb_frames").rglob("*.jpg"):
        path.unlink()
    out = build(recording, tmp_path / "pairs")
    with pytest.raises(UserError, match=r"no pair was kept \(.*: 4\)"):
        report(out)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (BuildConfig(size=8), "size 8"),
        (BuildConfig(jpeg_quality=0), "jpeg_quality 0"),
        (BuildConfig(selection=SelectionConfig(spread=-1.0)), "selection.spread -1.0"),
    ],
)
def test_settings_out_of_range_are_named(recording, tmp_path, config, words):
    with pytest.raises(UserError, match=words):
        build(recording, tmp_path / "pairs", config)


def test_no_clips_at_all(tmp_path):
    with pytest.raises(UserError, match="no annotated actions were found"):
        list(build_dataset([], Folder(tmp_path), CONFIG))


def test_no_room_is_said_and_what_was_finished_is_kept(recording, tmp_path):
    """A folder that cannot be written, after its settings were."""
    out = tmp_path / "pairs"
    steps = build_dataset(EpicSource(recording).clips(), Folder(out), CONFIG, workers=1)
    next(steps)
    (out / "parts").write_text("in the way")
    with pytest.raises(UserError, match=r"parts/000000.parquet: cannot be written"):
        list(steps)
    (out / "parts").unlink()
    build(recording, out)
    assert json.loads((out / "report.json").read_text())["clips"] == 4
