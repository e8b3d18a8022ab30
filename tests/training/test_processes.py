"""Several processes learn what one does: the real training of the generator, tiny."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from egoframe.training.checkpoints import checkpoints
from tests.training.runs import losses, python

pytestmark = pytest.mark.slow
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def apart(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> float:
    """The norm of the difference, relative to that of the values: Adam makes a weight's float error
    as large as its step where the gradient is next to nothing, and there are such weights."""
    square = sum((second[key] - value).double().square().sum() for key, value in first.items())
    return float((square / sum(x.double().square().sum() for x in first.values())).sqrt())


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("spread")
    python("-m", "tests.training.generator_run", "prepare", folder)
    return folder


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
