"""`fit`: the training loop of every stage, in one process or, under `torchrun`, in many.

What is random derives from (seed, sample, epoch) and (seed, step) (`randomness.py`), so a run that
was killed and started again gives the same losses and weights, bit for bit on a CPU; and several
processes learn what one does, within float error, unless the model has dropout, which is drawn anew
for each part of a batch.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from egoframe import machine
from egoframe.errors import UserError
from egoframe.training import checkpoints
from egoframe.training.config import LoopConfig, StageConfig, check_same_run
from egoframe.training.ema import Ema
from egoframe.training.logs import Log, new_progress
from egoframe.training.processes import spread, start_processes
from egoframe.training.randomness import Batch, key_of, mix, step_batches, step_samples
from egoframe.training.throughput import Throughput, count_flops

Loss = Callable[[Batch], Tensor]
Fetch = Callable[[Batch], Any]
NAMED = 8  # samples of a bad batch
FEW = 2  # samples that operations are counted on


def fit(
    model: nn.Module,
    loss: Loss,
    names: Sequence[str],
    stage: StageConfig,
    fetch: Fetch = lambda batch: None,
    draw: Callable[[], Mapping[str, Image]] | None = None,
) -> dict[str, Tensor]:
    """Train `model` and return its averaged (EMA) weights; started again, goes on where it was.

    Arguments:
        model: every module that learns; trained in place, on the device of the settings.
        loss: from a batch to the loss of each sample (B,), or to their mean.
        names: of the samples in the data; their noise derives from these.
        stage: the settings of this stage.
        fetch: reads the data of a batch, and may draw from its noise; called ahead, in a thread.
        draw: makes sample pictures, the averaged weights in place; called after each checkpoint,
            except where the model is sharded.
    Raises:
        UserError: the loss is not finite, the folder holds a run of other settings, the batch does
            not divide among the processes, or there is no room left.
    """
    config, out = stage.loop, stage.out
    accelerator = start_processes(stage)
    check_same_run(stage, len(names), write=accelerator.is_main_process)
    accelerator.wait_for_everyone()
    with _fast_attention(accelerator.device):
        run = _Run(model, loss, names, config, fetch, accelerator)
        begun, losses = run.restore(out)
        throughput = Throughput(
            accelerator.device, config.batch_size, run.bf16, run.flops, accelerator.num_processes
        )
        with (
            Log(accelerator, stage, begun) as log,
            new_progress(accelerator.is_main_process) as progress,
        ):
            task = progress.add_task(out.name, total=config.steps, completed=begun, loss="")
            saved_at = time.monotonic()
            for step, batches, waited in run.ahead(begun):
                value, norm = run.step(step, batches)
                losses.append(value)
                throughput.count(waited)
                last = step + 1 == config.steps
                if last or (step + 1) % config.log_every == 0:
                    mean = sum(losses) / len(losses)
                    told = {"loss": mean, "lr": run.rate(step), "grad_norm": norm}
                    log.write(step + 1, told | throughput.told())
                    progress.update(task, loss=f"loss {mean:.4f}  {throughput.rate:.0f}/s")
                    losses = []
                    throughput.restart()
                progress.update(task, completed=step + 1)
                due = time.monotonic() - saved_at > 60 * config.checkpoint_minutes
                if last or run.agreed(due):
                    run.save(out, step + 1, losses)
                    if draw and config.pictures and not config.shard and run.main:
                        with run.ema.in_place_of(model):
                            log.pictures(step + 1, draw())
                        run.objective.train()
                    saved_at = time.monotonic()
                    throughput.restart()
    averaged = {name: checkpoints.whole(value) for name, value in run.ema.values.items()}
    if not config.shard:
        model.cpu()
    return averaged


class _Objective(nn.Module):
    """The loss as a module, whose call DDP and FSDP2 can watch."""

    def __init__(self, model: nn.Module, loss: Loss, bf16: bool) -> None:
        super().__init__()
        self.model, self.loss, self.bf16 = model, loss, bf16

    def forward(self, batch: Batch) -> Tensor:
        device = next(self.model.parameters()).device.type
        with torch.autocast(device, torch.bfloat16, enabled=self.bf16):
            return self.loss(batch).mean()


class _Run:
    """What learns, and how a step of it goes."""

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        names: Sequence[str],
        config: LoopConfig,
        fetch: Fetch,
        accelerator: Any,
    ) -> None:
        if config.batch_size % (accelerator.num_processes * config.accumulate):
            raise UserError(
                f"loop.batch_size={config.batch_size} does not divide into "
                f"{accelerator.num_processes} processes × loop.accumulate={config.accumulate}"
            )
        self.model, self.names, self.config = model, names, config
        self.fetch, self.accelerator = fetch, accelerator
        self.keys = [key_of(name) for name in names]
        self.main = accelerator.is_main_process
        self.bf16 = config.bf16 and machine.has_bfloat16(accelerator.device)
        if config.bf16 and not self.bf16 and self.main:
            print("this CPU has no bfloat16 instructions: training in float32", file=sys.stderr)
        self.objective = _Objective(model.to(accelerator.device), loss, self.bf16).train()
        few = step_batches(0, FEW, self.keys, config.seed, 0.0)[0]
        counted = count_flops(self.objective, replace(few, data=fetch(few)))
        self.flops = counted * config.batch_size // FEW
        if config.compile:
            for network in model.children():
                network.compile()
        self.wrapped = spread(self.objective, accelerator, config)
        self.parameters = list(checkpoints.trained(model).values())
        self.optimiser = new_optimiser(self.parameters, config)
        self.ema = Ema(model, config.ema)

    def step(self, step: int, batches: list[Batch]) -> tuple[float, float]:
        """One step of the optimiser: the loss over all processes, and the gradient's norm."""
        config, total = self.config, torch.zeros((), device=self.accelerator.device)
        rank = self.accelerator.process_index
        self.optimiser.zero_grad(set_to_none=True)
        for number, batch in enumerate(batches, 1):
            part = rank * len(batches) + number
            torch.manual_seed(mix(mix(config.seed, step), part))  # dropout inside the model
            with self._synchronised(last=number == len(batches)):
                value = self.wrapped(batch) / len(batches)
                value.backward()
            total += value.detach()
        loss = float(self.accelerator.reduce(total, "mean"))
        clipped = nn.utils.clip_grad_norm_(self.parameters, config.grad_clip)
        norm = float(checkpoints.whole(clipped))
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise self._not_finite(step, loss)
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate(step)
        self.optimiser.step()
        self.ema.update(self.model, step)
        return loss, norm

    def rate(self, step: int) -> float:
        """The learning rate of a step: linear warm-up, then constant, or cosine decay to zero."""
        config = self.config
        warm = config.lr * min(1.0, (step + 1) / max(config.warmup, 1))
        if config.schedule == "constant":
            return warm
        return warm * 0.5 * (1 + math.cos(math.pi * step / config.steps))

    def ahead(self, begun: int) -> Iterator[tuple[int, list[Batch], float]]:
        """The steps with their data, read while the step before is worked at, and the seconds that
        each was waited for."""
        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit(self._batches, begun) if begun < self.config.steps else None
            for step in range(begun, self.config.steps):
                assert coming is not None
                started = time.perf_counter()
                batches = coming.result()
                waited = time.perf_counter() - started
                if step + 1 < self.config.steps:
                    coming = pool.submit(self._batches, step + 1)
                yield step, batches, waited

    def restore(self, out: Path) -> tuple[int, list[float]]:
        """Load the newest checkpoint: the step to go on from, and losses that no line tells yet."""
        return checkpoints.restore(out, self.model, self.ema.values, self.optimiser)

    def save(self, out: Path, step: int, losses: Sequence[float]) -> None:
        """Write a checkpoint; all processes take part."""
        checkpoints.save(
            out, step, self.model, self.ema.values, self.optimiser, losses,
            self.config.checkpoints_kept, self.main,
        )  # fmt: skip
        self.accelerator.wait_for_everyone()

    def agreed(self, due: bool) -> bool:
        """Whether the main process finds something due; the same answer in all of them."""
        if self.accelerator.num_processes == 1:
            return due
        votes = torch.tensor(float(due), device=self.accelerator.device)
        torch.distributed.broadcast(votes, 0)
        return bool(votes)

    def _batches(self, step: int) -> list[Batch]:
        config, accelerator = self.config, self.accelerator
        batches = step_batches(
            step, config.batch_size, self.keys, config.seed, step / config.steps,
            accelerator.process_index, accelerator.num_processes, config.accumulate,
        )  # fmt: skip
        return [replace(batch, data=self.fetch(batch)) for batch in batches]

    def _synchronised(self, last: bool) -> AbstractContextManager[None]:
        """Gradients go between processes with the last part of a step alone."""
        if self.config.shard and self.accelerator.num_processes > 1:
            self.wrapped.set_requires_gradient_sync(last)
            return nullcontext()
        return nullcontext() if last else self.accelerator.no_sync(self.wrapped)

    def _not_finite(self, step: int, loss: float) -> UserError:
        config = self.config
        indices, _ = step_samples(step, config.batch_size, len(self.names), config.seed)
        who = [self.names[index] for index in indices.tolist()]
        more = f" and {len(who) - NAMED} more" if len(who) > NAMED else ""
        return UserError(
            f"step {step}: the loss is {loss}, or its gradient is not finite; the batch was "
            f"{', '.join(who[:NAMED])}{more}; the last good checkpoint is kept; try a lower loop.lr"
        )


def new_optimiser(parameters: Sequence[nn.Parameter], config: LoopConfig) -> torch.optim.Optimizer:
    """AdamW (Loshchilov & Hutter, 2019), its state in 32 bits or, by bitsandbytes, in 8.

    Weights decay in matrices and kernels alone, as is usual, or in biases and norms too.

    Raises:
        UserError: bitsandbytes is not installed.
    """
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {
            "params": [p for p in parameters if p.ndim <= 1],
            "weight_decay": config.weight_decay if config.decay_all else 0.0,
        },
    ]
    settings: dict[str, Any] = {"lr": config.lr, "betas": (0.9, config.beta2)}
    if config.optimiser == "adamw":
        return torch.optim.AdamW(groups, fused=True, **settings)
    try:
        from bitsandbytes.optim import AdamW8bit
    except ImportError:
        raise UserError(
            'loop.optimiser=adamw8bit: needs bitsandbytes; pip install "egoframe[quantize]"'
        ) from None
    return AdamW8bit(groups, **settings)


def _fast_attention(device: torch.device) -> AbstractContextManager[None]:
    """On a CPU, plain products: the backward of the fused attention is slower there."""
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()
