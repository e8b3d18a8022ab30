"""Settings that every stage of training has, and the folder of a run, which holds one run."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, Protocol

from egoframe.errors import UserError
from egoframe.training.checkpoints import checkpoints, read_json, write_whole

# Settings that leave what is learnt as it is, but for float error.
MAY_CHANGE = {
    "out", "features", "features_folder", "gradient_checkpointing", "loop.checkpoint_minutes",
    "loop.checkpoints_kept", "loop.log_every", "loop.device", "loop.accumulate", "loop.shard",
    "loop.compile", "loop.trackers", "loop.pictures",
}  # fmt: skip


@dataclass(frozen=True)
class LoopConfig:
    """How long and how fast to learn; the same for every stage."""

    steps: int = 10_000  # optimiser steps in all
    batch_size: int = 32  # of an optimiser step, over all processes
    accumulate: int = 1  # a step's batch goes through each process in so many parts
    lr: float = 1e-3  # peak learning rate
    schedule: Literal["cosine", "constant"] = "cosine"  # after the warm-up; cosine ends at zero
    warmup: int = 100  # steps of linear warm-up
    optimiser: Literal["adamw", "adamw8bit"] = "adamw"
    weight_decay: float = 0.01
    decay_all: bool = False  # biases and norms too
    beta2: float = 0.99  # of AdamW; its beta1 is 0.9
    grad_clip: float = 1.0  # largest norm of the gradient
    ema: float = 0.999  # decay of the averaged weights
    seed: int = 0
    bf16: bool = False  # products in bfloat16, weights in float32; not on CPUs that lack it
    compile: bool = False  # torch.compile: the first step takes minutes, the others less time
    device: Literal["cpu", "cuda"] = "cpu"  # processes of `torchrun` take a GPU each
    shard: bool = False  # over the processes (FSDP2), not a whole copy in each (DDP)
    checkpoint_minutes: float = 3.0
    checkpoints_kept: int = 2
    log_every: int = 50  # steps
    trackers: tuple[str, ...] = ("tensorboard",)  # of accelerate; also "wandb"
    pictures: bool = True  # draw samples after each checkpoint, in stages that can

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "accumulate", "checkpoints_kept", "log_every"):
            if getattr(self, name) < 1:
                raise UserError(f"loop.{name}={getattr(self, name)}: at least 1")


class StageConfig(Protocol):
    """What the settings of every stage have; a dataclass."""

    @property
    def out(self) -> Path: ...  # folder of the run: `checkpoints/`, `log.jsonl`, `logs/`

    @property
    def loop(self) -> LoopConfig: ...


def check_same_run(
    stage: Any, samples: int, write: bool = True, may_change: Collection[str] = MAY_CHANGE
) -> None:
    """A folder holds one run: its settings are written at the start, and compared ever after.

    Arguments:
        samples: in the data.
        stage: its settings, a dataclass with `out`.
        write: take the folder for this run, where it holds none.
        may_change: settings that leave what is learnt as it is.
    Raises:
        UserError: it holds a run of other settings, or cannot be written.
    """
    told = {**asdict(stage), "samples": samples}
    settings = flat(json.loads(json.dumps(told, default=str)))
    path = stage.out / "settings.json"
    if path.exists() and checkpoints(stage.out):  # else nothing was learnt yet
        before = {**_defaults(stage), **read_json(path)}
        keys = sorted((settings.keys() | before.keys()) - set(may_change))
        changed = [key for key in keys if before.get(key) != settings.get(key)]
        if changed:
            was = ", ".join(f"{key}={before.get(key)}" for key in changed)
            raise UserError(
                f"{stage.out}: holds a run with other settings ({was}); give another out folder, "
                "or delete this one to start afresh"
            )
    elif write:
        write_whole(path, json.dumps(settings, indent=1) + "\n")


def _defaults(stage: Any) -> dict[str, Any]:
    """What a run had before a setting was there."""
    parts = {field.name: getattr(stage, field.name) for field in fields(stage)}
    found: dict[str, Any] = {}
    for field in fields(stage):
        if field.default is not MISSING:
            found[field.name] = json.loads(json.dumps(field.default, default=str))
        elif hasattr(type(parts[field.name]), "__dataclass_fields__"):
            nested = _defaults(parts[field.name])
            found |= {f"{field.name}.{key}": value for key, value in nested.items()}
    return found


def flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings with dotted keys."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found
