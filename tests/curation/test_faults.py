"""Spoilt files and killed processes: nothing is lost, and everything is named."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from egoframe.curation.build import BuildConfig, build_dataset, report
from egoframe.pairs import read_rows, shards
from egoframe.sources.epic import EpicSource
from egoframe.storage import Folder
from tests.curation.recording import ACTIONS, FPS, picture, spoil, write_recording

pytestmark = pytest.mark.slow
CONFIG = BuildConfig(size=64)


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory) -> tuple[Path, dict[str, str]]:
    """Fifty videos, eleven of them of no use or cut short."""
    folder = tmp_path_factory.mktemp("recording")
    paths = write_recording(folder, 50)
    return folder, spoil(folder, paths)


def build(recording: Path, out: Path, workers: int = 2) -> Folder:
    source = EpicSource(recording)
    folder = Folder(out)
    steps = build_dataset(source.clips(), folder, CONFIG, workers, anomalies=source.anomalies)
    assert list(steps)[-1] == (50 * ACTIONS, 50 * ACTIONS)
    return folder


def content(folder: Folder) -> list[dict]:
    """All rows of a dataset, those of rejected clips included."""
    names = [*shards(folder), "rejected.parquet"]
    return [{"shard": name, **row} for name in names for row in read_rows(folder, name)]


@pytest.fixture(scope="module")
def undisturbed(spoilt, tmp_path_factory) -> Folder:
    return build(spoilt[0], tmp_path_factory.mktemp("whole") / "pairs")


def test_every_bad_file_is_named_once_and_every_clip_accounted_for(spoilt, undisturbed):
    _, wrong = spoilt
    told = report(undisturbed)
    assert told.clips == 50 * ACTIONS
    assert sum(told.kept.values()) + sum(told.rejected.values()) == told.clips
    bad = {name for name, what in wrong.items() if what != "fps"}
    assert set(told.bad_files) == bad
    assert set(told.notes) == {name for name, what in wrong.items() if what == "fps"}
    rows = list(read_rows(undisturbed, "rejected.parquet"))
    assert {row["file"] for row in rows} == bad
    for name, what in wrong.items():
        lost = [row for row in rows if row["file"] == name]
        kept = [r for s in shards(undisturbed) for r in read_rows(undisturbed, s)
                if name.endswith(f"/{r['video_id']}.MP4")]  # fmt: skip
        assert len(lost) + len(kept) == ACTIONS
        assert bool(kept) == (what in ("truncated", "fps")), (name, what)
        assert bool(lost) == (what != "fps")


def test_the_pairs_that_are_kept_are_the_right_ones(undisturbed):
    import io

    import numpy as np
    from PIL import Image

    for shard in shards(undisturbed):
        for row in read_rows(undisturbed, shard):
            video = int(row["video_id"][1:3]) - 1
            for name in ("input", "action"):
                shown = np.asarray(Image.open(io.BytesIO(row[f"{name}_frame"]["bytes"])), float)
                truth = Image.fromarray(picture(video, round(row[f"{name}_time"] * FPS)))
                expected = np.asarray(truth.resize((64, 64), Image.Resampling.BOX), float)
                assert np.abs(shown - expected).mean() < 8


def test_a_build_whose_workers_are_killed_gives_the_same_dataset(spoilt, undisturbed, tmp_path):
    draw = random.Random(0)
    killed = 0
    stop = threading.Event()

    def kill() -> None:
        nonlocal killed
        while killed < 20 and not stop.wait(draw.uniform(0.2, 1.2)):
            children = psutil.Process().children(recursive=True)
            with contextlib.suppress(psutil.NoSuchProcess):  # it ended meanwhile
                workers = [c for c in children if "spawn_main" in " ".join(c.cmdline())]
                if workers:
                    draw.choice(workers).send_signal(signal.SIGKILL)
                    killed += 1

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        runs = 0
        while killer.is_alive():
            runs += 1
            disturbed = build(spoilt[0], tmp_path / f"pairs{runs}")
            assert content(disturbed) == content(undisturbed)
            assert report(disturbed) == report(undisturbed)
    finally:
        stop.set()
        killer.join()
    assert killed == 20


def test_a_command_that_is_killed_goes_on_to_the_same_dataset(spoilt, undisturbed, tmp_path):
    command = (
        "from egoframe.cli import main; main()",
        "data", "build", "epic", str(spoilt[0]), str(tmp_path / "pairs"), "size=64", "--json",
    )  # fmt: skip
    for parts in (3, 20):
        running = subprocess.Popen([sys.executable, "-c", *command], stdout=subprocess.DEVNULL)
        while len(list((tmp_path / "pairs" / "parts").glob("*.json"))) < parts:
            assert running.poll() is None
            time.sleep(0.05)
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
    done = subprocess.run([sys.executable, "-c", *command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["clips"] == 50 * ACTIONS
    folder = Folder(tmp_path / "pairs")
    assert content(folder) == content(undisturbed)
    assert not folder.exists("parts")


def test_the_number_of_workers_changes_nothing(spoilt, undisturbed, tmp_path):
    assert content(build(spoilt[0], tmp_path / "pairs", workers=5)) == content(undisturbed)


def test_a_cluster_gives_the_same_dataset(ray, spoilt, undisturbed, tmp_path):
    source = EpicSource(spoilt[0])
    folder = Folder(tmp_path / "pairs")
    list(build_dataset(source.clips(), folder, CONFIG, 2, "ray", source.anomalies))
    assert content(folder) == content(undisturbed)
