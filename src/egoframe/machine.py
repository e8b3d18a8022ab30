"""What this machine can do at most, and what a piece of work takes of it."""

from __future__ import annotations

import math
import platform
import resource
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


def describe(device: torch.device) -> str:
    """The machine in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{_processor()}, {torch.get_num_threads()} threads"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model n")]
        return names[0]
    except (OSError, IndexError):
        return platform.processor() or platform.machine()


def seconds(works: Sequence[Callable[[], Any]], device: torch.device, repeats: int) -> list[float]:
    """The least time that each piece of work took, which what else runs disturbs the least.

    They take turns, so that a machine which grows slower does so for all; a first turn warms up.
    """
    least = [math.inf] * len(works)
    for turn in range(repeats + 1):
        for place, work in enumerate(works):
            _wait(device)
            start = time.perf_counter()
            work()
            _wait(device)
            if turn > 0:
                least[place] = min(least[place], time.perf_counter() - start)
    return least


def flops(work: Callable[[], Any]) -> int:
    """Floating-point operations of the matrix products, convolutions and attentions in it.

    What is compiled is counted as it was before, and stays compiled.
    """
    eager = torch.compiler.set_stance("force_eager")
    with eager, sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def has_bfloat16(device: torch.device) -> bool:
    """Whether products in bfloat16 pay here. Where a CPU has no instructions for them (x86 before
    AVX-512), they take some 30 times as long as in float32."""
    return device.type != "cpu" or torch.ops.mkldnn._is_mkldnn_bf16_supported()


def matmul_ceiling(device: torch.device, dtype: torch.dtype, largest: int | None = None) -> float:
    """Operations per second of the best large matrix product, measured.

    Arguments:
        largest: side of the matrices that are tried, at most.
    """
    best = 0.0
    for size in (1024, 2048, 4096) if device.type == "cpu" else (4096, 8192, 16384):
        if largest and size > largest:
            break
        a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
        best = max(best, 2 * size**3 / seconds([partial(torch.mm, a, b)], device, 5)[0])
    return best


def forget_peak(device: torch.device) -> None:
    """Begin to watch the memory of a GPU anew; that of a process has one peak."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> int:
    """Bytes: of the process so far on a CPU, of the tensors since `forget_peak` on a GPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
