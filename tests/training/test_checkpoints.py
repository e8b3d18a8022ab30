"""Checkpoints are whole or absent, and say what is wrong with them."""

import errno
import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from egoframe.errors import UserError
from egoframe.training import checkpoints, fit
from egoframe.training.ema import Ema
from tests.training.test_loop import CONFIG, NAMES, Stage, losses, run


def test_a_full_disk_keeps_what_was_saved_and_the_run_goes_on(tmp_path, monkeypatch):
    run(tmp_path / "calm")
    written, save_file = 0, checkpoints.save_file

    def fail(tensors, path):
        nonlocal written
        written += 1
        if written == 17:  # the second file of the sixth checkpoint
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        save_file(tensors, path)

    monkeypatch.setattr(checkpoints, "save_file", fail)
    with pytest.raises(
        UserError, match=r"step 6 cannot be written \(no space is left\).*make room"
    ):
        run(tmp_path / "full")
    kept = [path.name for path in (tmp_path / "full" / "checkpoints").iterdir()]
    assert sorted(kept) == ["00000004", "00000005"]
    run(tmp_path / "full")
    assert losses(tmp_path / "full") == losses(tmp_path / "calm")


@pytest.mark.parametrize("file", ["model", "ema", "optimiser"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_goes_on(tmp_path, file):
    whole = run(tmp_path)
    newest = checkpoints.checkpoints(tmp_path)[-1]
    path = newest / f"{file}.safetensors"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match=rf"{newest.name}: is damaged.*delete it"):
        run(tmp_path)
    for old in newest.iterdir():
        old.unlink()
    newest.rmdir()
    again = run(tmp_path)
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    run(tmp_path)
    model = nn.Sequential(nn.Linear(4, 1))
    with pytest.raises(UserError, match=r"is of another model, which differs in 2\.bias"):
        fit(model, lambda batch: model(batch.normal(4)), NAMES, Stage(tmp_path, CONFIG))


def test_a_checkpoint_says_where_the_run_was(tmp_path):
    run(tmp_path)
    newest = checkpoints.checkpoints(tmp_path)[-1]
    assert json.loads((newest / "state.json").read_text())["step"] == 30
    moments = load_file(newest / "optimiser.safetensors")
    assert float(moments["0.weight/step"]) == 30


def test_eight_bit_adam_goes_on_bit_for_bit_too(tmp_path):
    pytest.importorskip("bitsandbytes")
    config = replace(CONFIG, optimiser="adamw8bit")
    model = nn.Linear(64, 128)  # smaller ones keep 32 bits

    def loss(batch):
        if len(checkpoints.checkpoints(out)) == 2 and not resumed:
            raise KeyboardInterrupt
        return model(batch.normal(64)).square().mean(1)

    ends = []
    for name, interrupted in (("calm", False), ("stopped", True)):
        out, resumed = tmp_path / name, not interrupted
        torch.manual_seed(0)
        model.reset_parameters()
        if interrupted:
            with pytest.raises(KeyboardInterrupt):
                fit(model, loss, NAMES, Stage(out, config))
            resumed = True
            torch.manual_seed(1)
            model.reset_parameters()
        ends.append(fit(model, loss, NAMES, Stage(out, config)))
    assert all(torch.equal(value, ends[1][name]) for name, value in ends[0].items())
    kept = load_file(checkpoints.checkpoints(out)[-1] / "optimiser.safetensors")
    assert kept["weight/state1"].dtype == torch.uint8


def test_the_average_is_the_sum_that_it_is_defined_as():
    model = nn.BatchNorm1d(3)
    ema = Ema(model, decay=0.9)
    expected = model.weight.detach().clone()
    for step in range(30):
        with torch.no_grad():
            model.weight.copy_(torch.full((3,), float(step)))
            model.num_batches_tracked.fill_(step)
        ema.update(model, step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    torch.testing.assert_close(ema.values["weight"], expected)
    assert ema.values["num_batches_tracked"] == 29
    with ema.in_place_of(model):
        torch.testing.assert_close(model.weight.detach(), expected)
    assert (model.weight == 29).all()
