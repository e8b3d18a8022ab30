"""How much memory the generator's training needs, worked out before the start.

Weights, gradients, the optimiser's moments and the averages are counted; what the U-Net keeps for
its backward pass is summed over a pass with tensors that take no memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.func import functional_call

from egoframe.machine import has_bfloat16
from egoframe.training import LoopConfig

GB = 1e9
FLOAT, HALF, BYTE = 4, 2, 1  # bytes
OVERHEAD = 1.0 * GB  # of CUDA itself and of its allocator's gaps; a guess


@dataclass(frozen=True)
class Memory:
    """Bytes in one process."""

    weights: float
    gradients: float
    optimiser: float
    averages: float
    activations: float  # of the part of a step's batch that goes through at once
    overhead: float

    @property
    def total(self) -> float:
        return sum(vars(self).values())

    def told(self) -> dict[str, float]:
        """In GB, for the command line."""
        return {name: round(value / GB, 2) for name, value in vars(self).items()}


@dataclass(frozen=True)
class Work:
    """What goes through the U-Net for one pair."""

    latent: Sequence[int]  # channels, height, width
    tokens: int  # of the context


def memory_of(
    networks: nn.ModuleDict, loop: LoopConfig, work: Work, processes: int = 1, beside: int = 0
) -> Memory:
    """What training these networks needs in one process.

    Arguments:
        networks: as they are trained: frozen or not, with gradient checkpointing or without.
        beside: parameters of others that are only asked, such as a teacher's.
    """
    learnt = sum(p.numel() for p in networks.parameters() if p.requires_grad)
    everything = sum(p.numel() for p in networks.parameters())
    shared = processes if loop.shard else 1
    moments = 2 * (BYTE if loop.optimiser == "adamw8bit" else FLOAT)
    at_once = loop.batch_size // (processes * loop.accumulate)
    casts = HALF * (everything + beside) if loop.bf16 else 0  # autocast keeps them for a step
    return Memory(
        weights=FLOAT * (everything / shared + beside) + casts,
        gradients=FLOAT * learnt / shared,
        optimiser=moments * learnt / shared,
        averages=FLOAT * everything / shared,
        activations=at_once * activations_of(networks["unet"], work, loop.bf16),
        overhead=OVERHEAD if loop.device == "cuda" else 0.0,
    )


def activations_of(unet: Any, work: Work, bf16: bool) -> int:
    """Bytes that the U-Net keeps of one pair for its backward pass; nothing is computed."""
    was_training = unet.training
    unet.train()
    with FakeTensorMode() as mode:
        weights: dict[str, Tensor] = {
            name: mode.from_tensor(tensor)
            for name, tensor in (*unet.named_parameters(), *unet.named_buffers())
        }
        channels, height, width = work.latent

        def kept(count: int) -> int:
            noisy = torch.empty(count, 2 * channels, height, width)
            context = torch.empty(count, work.tokens, unet.config.cross_attention_dim)

            def run() -> None:
                with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                    told = {"encoder_hidden_states": context}
                    functional_call(unet, weights, (noisy, torch.zeros(count)), told)

            return saved_bytes(run, weights.values())

        one_pair = kept(2) - kept(1)  # without what all pairs share: weights cast to bfloat16
    unet.train(was_training)
    return one_pair


def saved_bytes(run: Callable[[], Any], weights: Iterable[Tensor]) -> int:
    """Bytes of all tensors that a pass keeps for the way back, each once, without the weights."""
    seen = {weight.untyped_storage()._cdata for weight in weights}
    kept: list[Tensor] = []  # alive, or their places would be given to others

    def pack(tensor: Tensor) -> Tensor:
        place = tensor.untyped_storage()._cdata
        if place not in seen:
            seen.add(place)
            kept.append(tensor)
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        run()
    return sum(tensor.untyped_storage().nbytes() for tensor in kept)


def advice(
    networks: nn.ModuleDict,
    loop: LoopConfig,
    work: Work,
    device: torch.device,
    processes: int,
    beside: int = 0,
) -> tuple[Memory, bool, str]:
    """What is needed, whether it is there, and a line that says so, and what to try where it is
    not. Arguments as those of `memory_of`."""
    if device.type == "cuda":
        what, there = "this GPU", torch.cuda.get_device_properties(device).total_memory
    else:
        what = "this machine"
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    loop = replace(loop, bf16=loop.bf16 and has_bfloat16(device))
    memory = memory_of(networks, loop, work, processes, beside)
    line = f"needs about {memory.total / GB:.3g} GB; {what} has {there / GB:.3g}"
    if memory.total <= there:
        return memory, True, line
    tried = []
    for name, smaller in (
        (f"loop.accumulate={2 * loop.accumulate}", replace(loop, accumulate=2 * loop.accumulate)),
        ("loop.optimiser=adamw8bit", replace(loop, optimiser="adamw8bit")),
    ):
        less = memory_of(networks, smaller, work, processes, beside).total
        if less < memory.total and loop.batch_size % (processes * smaller.accumulate) == 0:
            tried.append(f"{name} ({less / GB:.3g} GB)")
    if not networks["unet"].is_gradient_checkpointing:
        tried.append("gradient_checkpointing=true")
    return memory, False, f"{line}: try {', or '.join([*tried, 'a smaller model'])}"
