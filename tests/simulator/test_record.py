import csv
import hashlib
import json
import os
import signal
from pathlib import Path

import pytest

from egoframe.errors import UserError
from egoframe.kitchen.family import KITCHEN
from egoframe.simulator.record import RecordConfig, record
from egoframe.simulator.record import _record_scene as record_scene
from egoframe.simulator.tables import COLUMNS

pytestmark = pytest.mark.usefixtures("renderer_available")
CONFIG = RecordConfig(scenes=3, actions=3, size=64, frames_only=True, seed=4)


def frames(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def recording(tmp_path_factory, renderer_available) -> Path:
    out = tmp_path_factory.mktemp("recording")
    assert sorted(record(out, CONFIG, KITCHEN, workers=2)) == ["P01_01", "P02_01", "P03_01"]
    return out


def test_the_same_seed_gives_the_same_bytes_on_any_number_of_workers(recording, tmp_path):
    list(record(tmp_path, CONFIG, KITCHEN, workers=1))
    assert frames(tmp_path) == frames(recording)


def test_a_stopped_recording_goes_on(recording, tmp_path):
    running = record(tmp_path, CONFIG, KITCHEN, workers=1)
    next(running)
    running.close()
    list(record(tmp_path, CONFIG, KITCHEN, workers=1))
    assert frames(tmp_path) == frames(recording)


def crash_once(out: Path, config: RecordConfig, scene: str, job: tuple[str, int]) -> str:
    marker = out.parent / "crashed"
    if job[1] == 1 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGSEGV)
    return record_scene(out, config, scene, job)


def crash(out: Path, config: RecordConfig, scene: str, job: tuple[str, int]) -> str:
    os.kill(os.getpid(), signal.SIGSEGV)
    raise AssertionError


def test_a_crash_of_the_renderer_is_survived(recording, tmp_path, monkeypatch):
    monkeypatch.setattr("egoframe.simulator.record._record_scene", crash_once)
    out = tmp_path / "recording"
    assert sorted(record(out, CONFIG, KITCHEN, workers=1)) == ["P01_01", "P02_01", "P03_01"]
    assert (tmp_path / "crashed").exists()
    assert frames(out) == frames(recording)


def test_a_renderer_that_only_crashes_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("egoframe.simulator.record._record_scene", crash)
    with pytest.raises(UserError, match="the renderer crashes in P01_01"):
        list(record(tmp_path, CONFIG, KITCHEN, workers=1))


def test_its_tables_have_the_form_of_epic_kitchens(recording, shared_data):
    with (shared_data / "epic100" / "EPIC_100_validation.csv").open(encoding="utf-8") as file:
        real = csv.DictReader(file)
        assert list(COLUMNS) == real.fieldnames
        example = next(real)
    rows = []
    for split, count in (("train", 6), ("validation", 3)):
        with (recording / f"EPIC_100_{split}.csv").open(encoding="utf-8") as file:
            part = list(csv.DictReader(file))
        assert len(part) == count
        rows += part
    for row in rows:
        for column in COLUMNS:
            shape = ["".join("0" if c.isdigit() else c for c in r[column]) for r in (row, example)]
            if "timestamp" in column:
                assert shape[0] == shape[1], column
        assert int(row["stop_frame"]) > int(row["start_frame"]) >= 1
    names = {"verb": "EPIC_100_verb_classes.csv", "noun": "EPIC_100_noun_classes.csv"}
    for kind, name in names.items():
        with (shared_data / "epic100" / name).open(encoding="utf-8") as file:
            classes = {row["id"]: row["key"] for row in csv.DictReader(file)}
        with (recording / name).open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                assert classes[row["id"]] == row["key"], kind


def test_every_pair_has_its_two_frames(recording):
    for line in (recording / "simulator.jsonl").read_text(encoding="utf-8").splitlines():
        told = json.loads(line)
        participant = told["video_id"].partition("_")[0]
        for key in ("pre", "pnr"):
            number = round(told["times"][key] * 50) + 1
            folder = recording / "rgb_frames" / participant / told["video_id"]
            assert (folder / f"frame_{number:010d}.jpg").exists()
            assert told["frames"][key]["boxes"]


@pytest.mark.slow
def test_a_video_shows_the_frame_of_its_time(recording, tmp_path):
    import numpy as np

    from egoframe.curation.video import read_frames

    config = RecordConfig(scenes=2, actions=1, size=64, seed=4)
    list(record(tmp_path, config, KITCHEN))
    line = (tmp_path / "simulator.jsonl").read_text(encoding="utf-8").splitlines()[0]
    times = json.loads(line)["times"]
    near = [times["pnr"] + step / 50 for step in (-3, 0, 3)]
    shown = [f for _, f in read_frames(tmp_path / "videos" / "P01" / "P01_01.MP4", near, 50)]
    alone = tmp_path / "frames"
    list(
        record(alone, RecordConfig(scenes=2, actions=1, size=64, seed=4, frames_only=True), KITCHEN)
    )
    ((_, still),) = read_frames(alone / "rgb_frames" / "P01" / "P01_01", [times["pnr"]], 50)
    apart = [np.abs(np.asarray(f, float) - np.asarray(still, float)).mean() for f in shown]
    assert np.argmin(apart) == 1, apart


def test_unusable_settings_and_folders_are_named(recording, tmp_path):
    with pytest.raises(UserError, match="other settings"):
        list(
            record(recording, RecordConfig(scenes=3, actions=4, size=64, frames_only=True), KITCHEN)
        )
    with pytest.raises(UserError, match="--size 31"):
        list(record(tmp_path, RecordConfig(size=31), KITCHEN))
    with pytest.raises(UserError, match="--actions 0"):
        list(record(tmp_path, RecordConfig(actions=0), KITCHEN))
