"""Kills and several processes change nothing of what is learnt: the real training of the generator,
tiny."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from egoframe.training.checkpoints import checkpoints

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def python(*arguments: object) -> None:
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]


def apart(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> float:
    """The norm of the difference, relative to that of the values: Adam makes a weight's float error
    as large as its step where the gradient is next to nothing, and there are such weights."""
    square = sum((second[key] - value).double().square().sum() for key, value in first.items())
    return float((square / sum(x.double().square().sum() for x in first.values())).sqrt())


def losses(out: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (out / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("spread")
    python("-m", "tests.training.generator_run", "prepare", folder)
    return folder


def test_twenty_kills_change_no_loss_and_no_weight(made):
    for name, kills in (("undisturbed", 0), ("disturbed", 20)):
        python("-m", "tests.training.generator_run", "killed", made, made / name, kills)
    calm, killed = made / "undisturbed", made / "disturbed"
    assert len(losses(calm)) == 40
    assert losses(calm) == losses(killed)
    for name in ("model", "ema", "optimiser"):
        first, second = (
            load_file(checkpoints(out)[-1] / f"{name}.safetensors") for out in (calm, killed)
        )
        assert first.keys() == second.keys()
        assert all(torch.equal(first[key], second[key]) for key in first)
    drawn = [
        load_file(out / "pipeline" / "unet" / "diffusion_pytorch_model.safetensors")
        for out in (calm, killed)
    ]
    assert all(torch.equal(value, drawn[1][key]) for key, value in drawn[0].items())


@pytest.fixture(scope="module")
def alone(made) -> Path:
    out = made / "alone"
    python("-m", "egoframe", "train", "generator", made / "settings.yaml", f"out={out}")
    return out


@pytest.mark.parametrize(("name", "settings"), [("ddp", []), ("fsdp2", ["loop.shard=true"])])
def test_two_processes_learn_what_one_does(made, alone, name, settings):
    """The averaged weights included, and in two parts a step."""
    out = made / name
    command = ("-m", "egoframe", "train", "generator", made / "settings.yaml", f"out={out}")
    python(*TORCHRUN, *command, "loop.accumulate=2", *settings)
    assert losses(out) == pytest.approx(losses(alone), rel=1e-5)
    for kind in ("model", "ema", "optimiser"):
        first, second = (
            load_file(checkpoints(run)[-1] / f"{kind}.safetensors") for run in (alone, out)
        )
        assert first.keys() == second.keys()
        assert apart(first, second) < 1e-5
    learnt = load_file(checkpoints(alone)[-1] / "model.safetensors")
    averaged = load_file(checkpoints(alone)[-1] / "ema.safetensors")
    assert not torch.equal(learnt["unet.conv_in.weight"], averaged["unet.conv_in.weight"])
