"""The training loop that every stage shares: exact resume, EMA weights, atomic checkpoints.

Everything random in a step derives from (seed, step) or (seed, epoch), never from what ran before,
so that a run which was killed and started again gives the same losses and weights, bit for bit on
a CPU.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from egoframe.errors import UserError
from egoframe.models import usable_device

# Settings that leave what is learnt as it is.
MAY_CHANGE = {"out", *(f"loop.{name}" for name in ("checkpoint_minutes", "checkpoints_kept",
                                                   "log_every", "device"))}  # fmt: skip


@dataclass(frozen=True)
class Batch:
    """What a step learns from; all on the CPU, so that the noise is the same on every device."""

    indices: Tensor  # int64 (B,), into the data
    generator: torch.Generator  # of all noise
    progress: float  # of the run, 0 … 1


@dataclass(frozen=True)
class LoopConfig:
    """How long and how fast to learn; the same for every stage."""

    steps: int = 10_000  # optimiser steps in all
    batch_size: int = 32
    lr: float = 1e-3  # peak learning rate of AdamW
    warmup: int = 100  # steps of linear warm-up, then cosine decay to zero
    weight_decay: float = 0.01
    beta2: float = 0.99  # of AdamW; its beta1 is 0.9
    grad_clip: float = 1.0  # largest norm of the gradient
    ema: float = 0.999  # decay of the averaged weights
    seed: int = 0
    bf16: bool = False  # matrix products and convolutions in bfloat16; weights stay float32
    device: str = "cpu"  # or "cuda"
    checkpoint_minutes: float = 3.0
    checkpoints_kept: int = 2
    log_every: int = 50  # steps

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "checkpoints_kept", "log_every"):
            if getattr(self, name) < 1:
                raise UserError(f"loop.{name}={getattr(self, name)}: at least 1")


class StageConfig(Protocol):
    """What the settings of every stage have; a dataclass."""

    @property
    def out(self) -> Path: ...  # folder of the run; it holds `checkpoints/` and `log.jsonl`

    @property
    def loop(self) -> LoopConfig: ...


def fit(
    model: nn.Module, loss_function: Callable[[Batch], Tensor], size: int, stage: StageConfig
) -> dict[str, Tensor]:
    """Train `model` and return its averaged (EMA) weights; started again, goes on where it was.

    Arguments:
        model: every module that learns; trained in place, on the device of the settings.
        loss_function: from a batch to its loss, a scalar.
        size: samples in the data.
        stage: the settings of this stage.
    Raises:
        UserError: the loss is not finite, or the folder holds a run of other settings.
    """
    out, config = stage.out, stage.loop
    _check_same_run(stage, size)
    device = usable_device(config.device)
    model.to(device)
    parameters = dict(model.named_parameters())
    trained = {name: p for name, p in parameters.items() if p.requires_grad}
    groups = _decay_groups(trained, config.weight_decay)
    optimiser = torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, config.beta2), fused=True)
    ema = {name: value.detach().clone() for name, value in model.state_dict().items()}
    start = _restore(out, model, ema, optimiser, trained)
    model.train()
    saved_at = time.monotonic()
    with _progress() as progress, _open_log(out, start) as log, _fast_attention(device):
        task = progress.add_task(out.name, total=config.steps, completed=start, loss="")
        running, since, clock = 0.0, 0, time.monotonic()
        for step in range(start, config.steps):
            for group in optimiser.param_groups:
                group["lr"] = config.lr * _schedule(step, config)
            torch.manual_seed(_mix(config.seed, step))  # dropout inside the model
            generator = torch.Generator().manual_seed(_mix(config.seed + 1, step))
            indices = batch_indices(step, config.batch_size, size, config.seed)
            with torch.autocast(device.type, torch.bfloat16, enabled=config.bf16):
                loss = loss_function(Batch(indices, generator, step / config.steps))
            if not torch.isfinite(loss):
                raise UserError(
                    f"step {step}: the loss is {loss.item()}; the last good checkpoint is kept in "
                    f"{out / 'checkpoints'}; the batch was {indices.tolist()}; try a lower lr"
                )
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(trained.values(), config.grad_clip)
            optimiser.step()
            _update_ema(ema, model, min(config.ema, (1 + step) / (10 + step)))
            running, since = running + loss.item(), since + 1
            last = step + 1 == config.steps
            if last or (step + 1) % config.log_every == 0:
                rate = since * config.batch_size / (time.monotonic() - clock)
                mean = running / since
                record = {"step": step + 1, "loss": mean, "samples_per_s": round(rate, 1)}
                log.write(json.dumps(record) + "\n")
                log.flush()
                progress.update(task, loss=f"loss {mean:.4f}  {rate:.0f}/s")
                running, since, clock = 0.0, 0, time.monotonic()
            progress.update(task, completed=step + 1)
            if last or time.monotonic() - saved_at > 60 * config.checkpoint_minutes:
                _save(out, step + 1, model, ema, optimiser, trained, config.checkpoints_kept)
                saved_at = time.monotonic()
    model.cpu()
    return {name: value.cpu() for name, value in ema.items()}


def batch_indices(step: int, batch_size: int, size: int, seed: int) -> Tensor:
    """The samples (B,) of a step: epochs of seeded permutations, laid end to end."""
    position = step * batch_size
    wanted: list[Tensor] = []
    while batch_size > 0:
        epoch, offset = divmod(position, size)
        generator = torch.Generator().manual_seed(_mix(seed + 2, epoch))
        part = torch.randperm(size, generator=generator)[offset : offset + batch_size]
        wanted.append(part)
        position, batch_size = position + len(part), batch_size - len(part)
    return torch.cat(wanted)


def _mix(seed: int, count: int) -> int:
    """A well-spread 63-bit seed for each (seed, count), by SplitMix64 (Steele et al., 2014)."""
    z = (seed * 0x9E3779B97F4A7C15 + count * 0xD1B54A32D192ED03 + 1) & (2**64 - 1)
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
    return (z ^ (z >> 31)) >> 1


def _schedule(step: int, config: LoopConfig) -> float:
    """Linear warm-up, then cosine decay to zero at the last step."""
    warm = min(1.0, (step + 1) / max(config.warmup, 1))
    return warm * 0.5 * (1 + math.cos(math.pi * step / config.steps))


def _decay_groups(trained: dict[str, nn.Parameter], decay: float) -> list[dict[str, object]]:
    """Weight decay on matrices and kernels alone, as is usual; not on biases and norms."""
    return [
        {"params": [p for p in trained.values() if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in trained.values() if p.ndim <= 1], "weight_decay": 0.0},
    ]


@torch.no_grad()
def _update_ema(ema: dict[str, Tensor], model: nn.Module, decay: float) -> None:
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            ema[name].lerp_(value, 1 - decay)
        else:
            ema[name].copy_(value)


def _fast_attention(device: torch.device) -> AbstractContextManager[None]:
    """On a CPU, plain products: the backward of the fused attention is slower there."""
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()


def _check_same_run(stage: StageConfig, size: int) -> None:
    """A folder holds one run: its settings are written at the start, and compared ever after."""
    told = {**asdict(stage), "samples": size}  # type: ignore[call-overload]
    settings = _flat(json.loads(json.dumps(told, default=str)))
    path = stage.out / "settings.json"
    if path.exists():
        before = {**_defaults(stage), **json.loads(path.read_text(encoding="utf-8"))}
        keys = sorted((settings.keys() | before.keys()) - MAY_CHANGE)
        changed = [key for key in keys if before.get(key) != settings.get(key)]
        if changed:
            was = ", ".join(f"{key}={before.get(key)}" for key in changed)
            raise UserError(
                f"{stage.out}: holds a run with other settings ({was}); give another out folder, "
                "or delete this one to start afresh"
            )
        return
    try:
        stage.out.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"{stage.out}: cannot be written ({error.strerror})") from None


def _defaults(stage: StageConfig) -> dict[str, Any]:
    """What a run had before a setting was there."""
    known = [field for field in fields(stage) if field.default is not MISSING]  # type: ignore[arg-type]
    return {field.name: json.loads(json.dumps(field.default, default=str)) for field in known}


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= (
            _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
    return flat


def _save(
    out: Path,
    step: int,
    model: nn.Module,
    ema: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
    trained: dict[str, nn.Parameter],
    kept: int,
) -> None:
    """Write one checkpoint in full beside the others, then give it its name."""
    folder = out / "checkpoints"
    temporary = folder / "writing"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    moments = {
        f"{name}/{key}": value.contiguous()
        for name, parameter in trained.items()
        for key, value in optimiser.state[parameter].items()
    }
    for name, tensors in (("model", model.state_dict()), ("ema", ema), ("optimiser", moments)):
        own = {key: value.detach().clone().contiguous() for key, value in tensors.items()}
        save_file(own, temporary / f"{name}.safetensors")
    final = folder / f"{step:08d}"
    shutil.rmtree(final, ignore_errors=True)
    temporary.rename(final)
    for old in checkpoints(out)[:-kept]:
        shutil.rmtree(old)


def checkpoints(out: Path) -> list[Path]:
    """The complete checkpoints of a run, oldest first."""
    return sorted(path for path in (out / "checkpoints").glob("*") if path.name.isdigit())


def _restore(
    out: Path,
    model: nn.Module,
    ema: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
    trained: dict[str, nn.Parameter],
) -> int:
    """Load the newest checkpoint, if any, and return the step to go on from."""
    found = checkpoints(out)
    if not found:
        return 0
    model.load_state_dict(load_file(found[-1] / "model.safetensors"))
    for name, value in load_file(found[-1] / "ema.safetensors").items():
        ema[name].copy_(value)
    for key, value in load_file(found[-1] / "optimiser.safetensors").items():
        name, _, field = key.rpartition("/")
        optimiser.state[trained[name]][field] = value.to(trained[name].device)
    return int(found[-1].name)


@contextmanager
def _open_log(out: Path, start: int):  # type: ignore[no-untyped-def]
    """The log, without the lines that a killed run wrote after its last checkpoint."""
    path = out / "log.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= start]
    path.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
    with path.open("a", encoding="utf-8") as file:
        yield file


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}  {task.fields[loss]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
