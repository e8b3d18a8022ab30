import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from egoframe import machine
from egoframe.errors import UserError
from egoframe.training import Batch, LoopConfig, fit
from egoframe.training.checkpoints import checkpoints

CONFIG = LoopConfig(steps=30, batch_size=8, lr=1e-2, log_every=1, checkpoint_minutes=0, trackers=())
NAMES = [f"pair {k}" for k in range(50)]
DATA = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))


@dataclass(frozen=True)
class Stage:
    out: Path
    loop: LoopConfig
    data: Path = Path("data")


class Killed(Exception):
    pass


def run(
    out: Path, die_at: int | None = None, config: LoopConfig = CONFIG, data: Path = Path("data")
) -> dict:
    torch.manual_seed(7)
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.3), nn.BatchNorm1d(8), nn.Linear(8, 1))
    calls = 0

    def loss(batch: Batch) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == die_at:
            raise Killed
        known = DATA[batch.indices]
        return (model(known + 0.1 * batch.normal(4))[:, 0] - known.sum(1)).square()

    return fit(model, loss, NAMES, Stage(out, config, data))


def losses(out: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (out / "log.jsonl").read_text().splitlines()]


def test_a_killed_run_goes_on_bit_for_bit(tmp_path):
    undisturbed = run(tmp_path / "a")
    for die_at in (12, 5, 9):
        with pytest.raises(Killed):
            run(tmp_path / "b", die_at)
    resumed = run(tmp_path / "b")
    assert losses(tmp_path / "a") == losses(tmp_path / "b")
    assert all(torch.equal(undisturbed[name], resumed[name]) for name in undisturbed)


def test_lines_of_several_steps_are_those_of_an_undisturbed_run_too(tmp_path):
    config = replace(CONFIG, log_every=10)
    run(tmp_path / "a", config=config)
    with pytest.raises(Killed):
        run(tmp_path / "b", 17, config)
    run(tmp_path / "b", config=config)
    assert len(losses(tmp_path / "a")) == 3
    assert losses(tmp_path / "a") == losses(tmp_path / "b")


def test_settings_may_be_corrected_before_anything_is_learnt(tmp_path):
    with pytest.raises(Killed):
        run(tmp_path, die_at=2)  # the first call counts operations
    run(tmp_path, config=replace(CONFIG, lr=2e-2))


def test_products_are_in_bfloat16_where_the_processor_has_them(tmp_path, monkeypatch, capsys):
    halved = replace(CONFIG, bf16=True)
    told = "this CPU has no bfloat16 instructions: training in float32"
    monkeypatch.setattr(machine, "has_bfloat16", lambda device: True)
    run(tmp_path / "has", config=halved)
    assert told not in capsys.readouterr().err
    monkeypatch.setattr(machine, "has_bfloat16", lambda device: False)
    run(tmp_path / "lacks", config=halved)
    assert told in capsys.readouterr().err
    run(tmp_path / "float32")
    assert losses(tmp_path / "lacks") == losses(tmp_path / "float32") != losses(tmp_path / "has")


def test_it_learns(tmp_path):
    run(tmp_path, config=LoopConfig(steps=300, batch_size=8, lr=3e-2, log_every=1))
    history = losses(tmp_path)
    assert sum(history[-50:]) < 0.5 * sum(history[:50])


def test_only_the_last_checkpoints_are_kept(tmp_path):
    run(tmp_path)
    assert [path.name for path in checkpoints(tmp_path)] == ["00000029", "00000030"]


def test_other_settings_are_refused(tmp_path):
    run(tmp_path)
    with pytest.raises(UserError, match=r"loop\.lr=0\.01"):
        run(tmp_path, config=replace(CONFIG, lr=2e-2))
    with pytest.raises(UserError, match="data=data"):
        run(tmp_path, data=Path("other"))
    run(tmp_path, config=replace(CONFIG, log_every=10, checkpoint_minutes=1))


def test_settings_out_of_range_are_named():
    for name in ("steps", "batch_size", "log_every", "checkpoints_kept"):
        with pytest.raises(UserError, match=f"loop.{name}=0: at least 1"):
            replace(CONFIG, **{name: 0})


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(tmp_path):
    model = nn.Linear(1, 1)

    def loss(batch):
        return model(torch.ones(1, 1)).sum() / (0.0 if len(checkpoints(tmp_path)) == 2 else 1.0)

    with pytest.raises(UserError, match=r"step 2: the loss is .* the batch was pair \d+, .* pair"):
        fit(model, loss, NAMES, Stage(tmp_path, CONFIG))
    kept = load_file(checkpoints(tmp_path)[-1] / "model.safetensors")
    assert torch.isfinite(kept["weight"]).all()


def test_parts_of_a_batch_add_up_to_it(tmp_path):
    model = nn.Linear(4, 1)
    ends = []
    for accumulate in (1, 4):
        torch.manual_seed(0)
        model.reset_parameters()
        config = replace(CONFIG, accumulate=accumulate)
        stage = Stage(tmp_path / str(accumulate), config)
        ends.append(fit(model, lambda batch: model(batch.normal(4))[:, 0].square(), NAMES, stage))
    for name, value in ends[0].items():
        torch.testing.assert_close(ends[1][name], value, atol=1e-6, rtol=1e-5)
    with pytest.raises(UserError, match=r"batch_size=8 does not divide into 1 processes × .*=3"):
        run(tmp_path / "odd", config=replace(CONFIG, accumulate=3))


def test_a_run_tells_trackers_its_figures_and_pictures(tmp_path):
    from PIL import Image
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    model = nn.Linear(1, 1)
    config = replace(CONFIG, steps=4, log_every=2, trackers=("tensorboard",))
    shown = Image.new("RGB", (8, 6), "red")
    fit(
        model, lambda batch: model(batch.normal(1))[:, 0], NAMES, Stage(tmp_path, config),
        draw=lambda: {"sheet": shown},
    )  # fmt: skip
    folder = tmp_path / "logs" / tmp_path.name
    events = EventAccumulator(str(folder), size_guidance={"images": 0}).Reload()
    written = [event.value for event in events.Scalars("loss")]
    assert written == pytest.approx(losses(tmp_path))
    assert {"lr", "grad_norm", "samples_per_s", "waiting_for_data", "share_of_peak"} <= set(
        events.Tags()["scalars"]
    )
    assert [event.step for event in events.Images("sheet")] == [1, 2, 3, 4]
    assert Image.open(tmp_path / "samples" / "00000004-sheet.jpg").size == (8, 6)
    with pytest.raises(UserError, match="'abacus' is neither tensorboard nor wandb"):
        run(tmp_path / "odd", config=replace(CONFIG, trackers=("abacus",)))
