"""How much memory the generator's training needs, worked out before the start.

Weights, gradients, the optimiser's moments and the averages are counted; what the U-Net keeps for
its backward pass is summed over a pass with tensors that take no memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks

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

    latent: tuple[int, int, int]  # channels, height, width
    tokens: int  # of the context


def memory_of(networks: nn.ModuleDict, loop: LoopConfig, work: Work, processes: int = 1) -> Memory:
    """What training these networks needs in one process.

    Arguments:
        networks: as they are trained: frozen or not, with gradient checkpointing or without.
    """
    learnt = sum(p.numel() for p in networks.parameters() if p.requires_grad)
    everything = sum(p.numel() for p in networks.parameters())
    shared = processes if loop.shard else 1
    moments = 2 * (BYTE if loop.optimiser == "adamw8bit" else FLOAT)
    at_once = loop.batch_size // (processes * loop.accumulate)
    casts = HALF * everything if loop.bf16 else 0  # autocast keeps them for a step
    return Memory(
        weights=FLOAT * everything / shared + casts,
        gradients=FLOAT * learnt / shared,
        optimiser=moments * learnt / shared,
        averages=FLOAT * everything / shared,
        activations=at_once * activations_of(networks["unet"], work, loop.bf16),
        overhead=OVERHEAD if loop.device == "cuda" else 0.0,
    )


def activations_of(unet: Any, work: Work, bf16: bool) -> int:
    """Bytes that the U-Net keeps of one pair for its backward pass; nothing is computed."""
    with FakeTensorMode():
        own = type(unet).from_config(unet.config).train()
        for mine, its in zip(own.parameters(), unet.parameters(), strict=True):
            mine.requires_grad_(its.requires_grad)
        if unet.is_gradient_checkpointing:
            own.enable_gradient_checkpointing()
        channels, height, width = work.latent

        def kept(count: int) -> int:
            noisy = torch.empty(count, 2 * channels, height, width)
            context = torch.empty(count, work.tokens, unet.config.cross_attention_dim)

            def run() -> None:
                with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                    own(noisy, torch.zeros(count), encoder_hidden_states=context)

            return saved_bytes(run, own)

        return kept(2) - kept(1)  # without what all pairs share: weights cast to bfloat16


def saved_bytes(run: Callable[[], Any], model: nn.Module) -> int:
    """Bytes of all tensors that a pass keeps for the way back, each once, without the weights."""
    seen = {parameter.untyped_storage()._cdata for parameter in model.parameters()}
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
    networks: nn.ModuleDict, loop: LoopConfig, work: Work, device: torch.device, processes: int
) -> tuple[Memory, bool, str]:
    """What is needed, whether it is there, and a line that says so, and what to try where it is
    not."""
    if device.type == "cuda":
        what, there = "this GPU", torch.cuda.get_device_properties(device).total_memory
    else:
        what = "this machine"
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    memory = memory_of(networks, loop, work, processes)
    line = f"needs about {memory.total / GB:.3g} GB; {what} has {there / GB:.3g}"
    if memory.total <= there:
        return memory, True, line
    tried = []
    for name, smaller in (
        (f"loop.accumulate={2 * loop.accumulate}", replace(loop, accumulate=2 * loop.accumulate)),
        ("loop.optimiser=adamw8bit", replace(loop, optimiser="adamw8bit")),
    ):
        less = memory_of(networks, smaller, work, processes).total
        if less < memory.total and loop.batch_size % (processes * smaller.accumulate) == 0:
            tried.append(f"{name} ({less / GB:.3g} GB)")
    if not networks["unet"].is_gradient_checkpointing:
        tried.append("gradient_checkpointing=true")
    return memory, False, f"{line}: try {', or '.join([*tried, 'a smaller model'])}"
