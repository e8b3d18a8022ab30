import csv
import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from egoframe.curation.build import BuildConfig, build_dataset, report
from egoframe.errors import UserError
from egoframe.pairs import open_pairs, read_rows, write_shard
from egoframe.sources.clip import ActionClip
from egoframe.sources.epic import REQUIRED, EpicSource

FPS = 10
CONFIG = BuildConfig(size=64)


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


def build(recording: Path, out: Path, config: BuildConfig = CONFIG) -> list[tuple[int, int]]:
    return list(build_dataset(EpicSource(recording).clips(), out, config, workers=1))


def test_every_clip_is_kept_or_rejected_with_its_reason(recording, tmp_path):
    out = tmp_path / "pairs"
    assert build(recording, out)[-1] == (2, 2)
    told = report(out)
    assert told.kept == {"train": 2, "validation": 0}
    assert told.rejected == {"unreadable": 2}
    first = open_pairs(out, "train")[0]
    assert (first["action"], first["input_time"], first["action_time"]) == (
        "open up drawer", 0.75, 1.5
    )  # fmt: skip
    truth = np.asarray(picture(0, round(1.5 * FPS) + 1), int)
    assert np.abs(np.asarray(first["action_frame"], int) - truth).mean() < 3
    assert {row["clip_id"] for row in read_rows(out / "rejected.parquet")} == {
        "P02_01_0", "P02_01_1"
    }  # fmt: skip


def test_a_build_that_was_stopped_goes_on_to_the_same_dataset(recording, tmp_path):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    build(recording, whole)
    steps: Iterator = build_dataset(EpicSource(recording).clips(), stopped, CONFIG, workers=1)
    assert next(steps) == (0, 2)
    assert next(steps) == (1, 2)
    steps.close()
    assert not (stopped / "train").exists()
    build(recording, stopped)
    a, b = (list(read_rows(folder / "train" / "00000.parquet")) for folder in (whole, stopped))
    assert a == b


def test_building_again_keeps_the_descriptions(recording, tmp_path):
    out = tmp_path / "pairs"
    build(recording, out)
    shard = out / "train" / "00000.parquet"
    write_shard(shard, [{**row, "description": "so"} for row in read_rows(shard)])
    assert build(recording, out) == [(2, 2)]
    assert open_pairs(out, "train")["description"] == ["so", "so"]


def test_a_folder_holds_one_dataset(recording, tmp_path):
    out = tmp_path / "pairs"
    build(recording, out)
    with pytest.raises(UserError, match="other settings"):
        build(recording, out, BuildConfig(size=32))
    table = recording / "EPIC_100_train.csv"
    table.write_text(table.read_text().replace("00:00:03.00", "00:00:02.90"))
    with pytest.raises(UserError, match="other videos"):
        build(recording, out)


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
    out = tmp_path / "pairs"
    list(build_dataset(clips, out, CONFIG, workers=1))
    first, second = open_pairs(out, "train")
    assert {key: first[key] for key in told} == told
    assert (second["action"], second["description"]) == ("#c c opens the drawer", None)
    assert math.isnan(first["input_time"])
    assert math.isnan(first["action_time"])
    for row, frame in ((first, 9), (second, 13)):
        truth = np.asarray(picture(0, frame), int)
        assert np.abs(np.asarray(row["action_frame"], int) - truth).mean() < 3
    reasons = {row["clip_id"]: row["reason"] for row in read_rows(out / "rejected.parquet")}
    assert reasons["absent"] == "unreadable: absent.png: no such file"
    assert reasons["damaged"].startswith("unreadable: damaged.png: is damaged")


def test_datasets_keep_the_fingerprint_that_they_were_begun_with(tmp_path):
    """What `build.json` said of a clip before clips could have stills and descriptions."""
    clip = ActionClip("a", "s", "train", "v", Path("x"), 50.0, 2.0, 1.0, "cut", "cut", "")
    before = (
        f"ActionClip(clip_id='a', source='s', split='train', video_id='v', media={Path()!r}, "
        "fps=50.0, start=2.0, stop=1.0, narration='cut', verb='cut', noun='', critical={}, "
        "boxes={}, facts=None)"
    )
    next(build_dataset([clip], tmp_path, CONFIG, workers=1))
    told = json.loads((tmp_path / "build.json").read_text())
    assert told["clips_sha256"] == hashlib.sha256(before.encode()).hexdigest()


def test_nothing_kept_is_said(recording, tmp_path):
    for path in (recording / "rgb_frames").rglob("*.jpg"):
        path.unlink()
    build(recording, tmp_path / "pairs")
    with pytest.raises(UserError, match="no pair was kept \\(unreadable: 4\\)"):
        report(tmp_path / "pairs")


@pytest.mark.parametrize(
    ("config", "words"),
    [(BuildConfig(size=8), "size 8"), (BuildConfig(jpeg_quality=0), "jpeg_quality 0")],
)
def test_settings_out_of_range_are_named(recording, tmp_path, config, words):
    with pytest.raises(UserError, match=words):
        build(recording, tmp_path / "pairs", config)
