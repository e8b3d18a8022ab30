"""One process or many: which of them this is, and how a model is spread over them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import diffusers
import transformers
from accelerate import Accelerator, InitProcessGroupKwargs
from torch import nn

from egoframe.errors import UserError
from egoframe.models import usable_device
from egoframe.training.config import LoopConfig, StageConfig
from egoframe.training.logs import check_trackers

PATIENCE = timedelta(days=2)  # while one process makes what the others wait for


def start_processes(stage: StageConfig) -> Accelerator:
    """Join the other processes that `torchrun` started, if any; called again, the same ones.

    Raises:
        UserError: the device, or a tracker, is not to be had here.
    """
    config = stage.loop
    diffusers.utils.logging.disable_progress_bar()  # one bar is enough
    transformers.utils.logging.disable_progress_bar()
    check_trackers(config.trackers)
    accelerator = Accelerator(
        cpu=config.device == "cpu",
        log_with=list(config.trackers) or None,
        project_dir=stage.out / "logs",
        kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE)],
    )
    usable_device(config.device)  # after it, for each process takes its own
    return accelerator


def start_whole(stage: StageConfig) -> Accelerator:
    """As `start_processes`, of a stage whose small model is not sharded.

    Raises:
        UserError: it is asked to be.
    """
    if stage.loop.shard:
        raise UserError("loop.shard: this stage's model is small; leave it out")
    return start_processes(stage)


def spread(objective: nn.Module, accelerator: Accelerator, config: LoopConfig) -> Any:
    """The module to call: sharded in place by FSDP2, or a copy in each process by DDP.

    accelerate shards on GPUs alone; `fully_shard` by itself works wherever torch does.
    """
    if config.shard and accelerator.num_processes > 1:
        from torch.distributed.fsdp import fully_shard

        for block in _blocks(objective):
            fully_shard(block)
        return fully_shard(objective)
    return accelerator.prepare_model(objective) if accelerator.num_processes > 1 else objective


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    """The blocks and layers that a network is made of: what its outermost lists hold."""
    for child in module.children():
        if isinstance(child, nn.ModuleList):
            yield from child
        else:
            yield from _blocks(child)
