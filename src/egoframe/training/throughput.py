"""How fast a run learns, and what share of the machine's peak that is."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any

import torch
from torch import nn

from egoframe import machine


def count_flops(objective: nn.Module, batch: Any) -> int:
    """Floating-point operations of the products in a pass forward and backward.

    It leaves the module as it was: gradients are dropped, and running statistics put back.
    """
    before = {name: value.clone() for name, value in objective.named_buffers()}
    counted = machine.flops(lambda: objective(batch).backward())
    with torch.no_grad():
        for name, value in objective.named_buffers():
            value.copy_(before[name])
    objective.zero_grad(set_to_none=True)
    return counted


@lru_cache
def peak(device: torch.device, bf16: bool) -> float:
    """Operations per second of the best matrix product here, measured once in a process."""
    dtype = torch.bfloat16 if bf16 else torch.float32
    return machine.matmul_ceiling(device, dtype, largest=1024 if device.type == "cpu" else 8192)


class Throughput:
    """Counts steps between two lines of the log.

    Arguments:
        batch_size, flops: of a step, over all processes.
        bf16: whether its products are in bfloat16.
    """

    def __init__(
        self, device: torch.device, batch_size: int, bf16: bool, flops: int, processes: int
    ) -> None:
        self.device, self.batch_size, self.bf16 = device, batch_size, bf16
        self.flops, self.processes = flops, processes
        self.restart()

    def restart(self) -> None:
        self.steps, self.waited, self.clock = 0, 0.0, time.perf_counter()

    def count(self, waited: float) -> None:
        """Take in a step, for whose data so many seconds were waited."""
        self.steps, self.waited = self.steps + 1, self.waited + waited

    @property
    def rate(self) -> float:
        """Samples per second."""
        return self.steps * self.batch_size / (time.perf_counter() - self.clock)

    def told(self) -> dict[str, float]:
        """Samples per second, the share of the time that data were waited for, and the share of
        the measured peak of all processes' devices."""
        seconds = time.perf_counter() - self.clock
        done = self.flops * self.steps / seconds
        most = self.processes * peak(self.device, self.bf16)
        return {
            "samples_per_s": round(self.rate, 2),
            "waiting_for_data": round(self.waited / seconds, 4),
            "share_of_peak": round(done / most, 4),
        }
