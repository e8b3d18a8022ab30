import json
import subprocess
import sys
import time

import pytest

from tests.cli.run import refused, run


def test_help_is_quick_and_loads_nothing_heavy():
    code = (
        "import sys, egoframe, egoframe.cli; "
        "print([m for m in ('torch', 'mujoco', 'numpy', 'diffusers', 'PIL') if m in sys.modules])"
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
    [[], ["generate"], ["describe"], ["enhance"], ["bench"], ["kitchen", "record"],
     ["workshop", "record"],
     ["data", "build", "epic"], ["data", "build", "ego4d"], ["data", "build", "lego"],
     ["data", "build", "lerobot"], ["data", "build", "clips"], ["data", "report"], ["data", "push"],
     ["push"],
     ["convert", "lego"], ["convert", "llava"], ["convert", "sd"],
     ["serve"], ["generate-set"], ["evaluate"], ["train", "autoencoder"],
     ["train", "enhancer"], ["train", "generator"]],
)  # fmt: skip
def test_every_command_has_help_with_examples(command):
    done = run(*command, "--help")
    assert done.returncode == 0
    assert "Usage" in done.stdout
    if command:
        assert "Example" in done.stdout


def test_bad_folders_and_settings_are_named(tmp_path):
    assert "EPIC_100_train.csv" in refused(run("data", "build", "epic", tmp_path, tmp_path / "out"))
    assert "unknown setting speed" in refused(
        run("data", "build", "epic", tmp_path, tmp_path / "out", "speed=3")
    )
    assert "no such config" in refused(run("train", "generator", tmp_path / "absent.yaml"))
    assert "no dataset" in refused(run("describe", tmp_path))
    for bad in ("--workers=0", "--seed=-1", "--actions=0", "--validation-share=nan"):
        assert bad.split("=")[0] in refused(run("kitchen", "record", tmp_path / "r", bad))
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
