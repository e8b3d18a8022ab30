import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

EGOFRAME = [sys.executable, "-c", "from egoframe.cli import main; main()"]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*EGOFRAME, *map(str, arguments)], capture_output=True, text=True)


@pytest.fixture
def photo(tmp_path) -> Path:
    path = tmp_path / "photo.png"
    Image.new("RGB", (64, 48), (90, 120, 60)).save(path)
    return path


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of a command that was refused."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_help_is_quick_and_loads_nothing_heavy():
    code = (
        "import sys, egoframe, egoframe.cli; "
        "print([m for m in ('torch', 'mujoco', 'numpy', 'diffusers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        assert run("--help").returncode == 0
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 1.0  # 0.5 s on a machine that does nothing else


@pytest.mark.parametrize(
    "command",
    [[], ["generate"], ["describe"], ["kitchen", "record"], ["data", "build", "epic"],
     ["train", "autoencoder"], ["train", "enhancer"], ["train", "generator"]],
)  # fmt: skip
def test_every_command_has_help_with_examples(command):
    done = run(*command, "--help")
    assert done.returncode == 0
    assert "Usage" in done.stdout
    if command:
        assert "Example" in done.stdout


def test_generate_refuses_bad_actions(photo, tmp_path):
    assert "action is empty" in refused(run("generate", photo, "  ", "--out", tmp_path))
    long = " ".join(["open"] * 1000)
    assert "1000 words" in refused(run("generate", photo, long, "--out", tmp_path))


def test_generate_refuses_bad_files_and_models(photo, tmp_path):
    assert "no such file" in refused(run("generate", tmp_path / "absent.png", "open drawer"))
    assert "is a folder" in refused(run("generate", tmp_path, "open drawer"))
    model = tmp_path / "nothing"
    assert "no such model" in refused(run("generate", photo, "open drawer", "--model", model))
    model.mkdir()
    assert "model_index.json" in refused(run("generate", photo, "open drawer", "--model", model))
    assert "--dtype int3" in refused(run("generate", photo, "open drawer", "--dtype", "int3"))


def test_bad_folders_and_settings_are_named(tmp_path):
    assert "EPIC_100_train.csv" in refused(run("data", "build", "epic", tmp_path, tmp_path / "out"))
    assert "unknown setting speed" in refused(
        run("data", "build", "epic", tmp_path, tmp_path / "out", "speed=3")
    )
    assert "no such config" in refused(run("train", "generator", tmp_path / "absent.yaml"))
    assert "no dataset" in refused(run("describe", tmp_path))
    assert "--kitchens 1" in refused(run("kitchen", "record", tmp_path / "r", "--kitchens", "1"))
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert "cannot be written" in refused(run("kitchen", "record", tmp_path / "file"))


def test_a_small_recording_becomes_a_described_dataset(tmp_path, renderer_available):
    recording, pairs = tmp_path / "recording", tmp_path / "pairs"
    sizes = ["--kitchens", "2", "--actions", "3", "--size", "64", "--frames-only"]
    done = run("kitchen", "record", recording, *sizes, "--json")
    assert json.loads(done.stdout)["actions"] == 6, done.stderr
    done = run("data", "build", "epic", recording, pairs, "size=64", "--json")
    told = json.loads(done.stdout)
    kept, rejected = sum(told["kept"].values()), sum(told["rejected"].values())
    assert kept + rejected == 6
    assert told["anomalies"] == {}
    done = run("describe", pairs, "--json")
    assert json.loads(done.stdout) == {"described": kept}

    import datasets

    opened = datasets.load_dataset(str(pairs), cache_dir=str(tmp_path / "cache"))
    assert sum(len(split) for split in opened.values()) == kept
    row = opened["train"][0]
    assert row["input_frame"].size == (64, 64)
    assert row["action"] in row["narration"]
    assert "hand" in row["description"]
