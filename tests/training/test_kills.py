"""Kills change nothing of what is learnt: the real training of the generator, tiny."""

import pytest
import torch
from safetensors.torch import load_file

from egoframe.training.checkpoints import checkpoints
from tests.training.generator_run import STEPS
from tests.training.runs import losses, python

pytestmark = pytest.mark.slow


def test_twenty_kills_change_no_loss_and_no_weight(tmp_path):
    python("-m", "tests.training.generator_run", "prepare", tmp_path)
    for name, kills in (("undisturbed", 0), ("disturbed", 20)):
        python("-m", "tests.training.generator_run", "killed", tmp_path, tmp_path / name, kills)
    calm, killed = tmp_path / "undisturbed", tmp_path / "disturbed"
    assert len(losses(calm)) == STEPS
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
