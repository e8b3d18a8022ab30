"""How much memory tuning needs, worked out before the start.

Weights, gradients and AdamW's two moments are counted, activations are a rule of thumb after
Korthikanti et al., "Reducing activation recomputation in large transformer models" (2022), section
4.1, without its attention matrices, which fused attention never writes. Nothing here is measured.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

from egoframe.errors import UserError

if TYPE_CHECKING:
    from egoframe.enhancer.tuning import TuningLoop

GB = 1e9
FLOAT, HALF = 4, 2  # bytes
NF4 = 0.5 + FLOAT / 64  # bytes: 4 bits, and a float32 scale for 64 weights (Dettmers et al., 2023)
OVERHEAD = 1.0 * GB  # of CUDA itself and of its allocator's gaps; a guess
TILE = (4096, 32768)  # positions and words whose logits TRL works out at once, at most


@dataclass(frozen=True)
class Memory:
    """Bytes in one process."""

    weights: float
    gradients: float
    optimiser: float
    activations: float

    @property
    def certain(self) -> float:
        """Without activations, of which there may be fewer."""
        return self.weights + self.gradients + self.optimiser

    @property
    def total(self) -> float:
        return self.certain + self.activations


def memory_of(
    learner: nn.Module, method: Literal["lora", "qlora", "full"], loop: TuningLoop, tokens: int
) -> Memory:
    """What tuning needs in one process.

    Arguments:
        learner: the model, with its adapters; on the meta device it takes no memory itself.
        tokens: of a pair: picture, question and answer.
    """
    whole: Any = learner
    base = whole.get_base_model() if hasattr(whole, "get_base_model") else whole
    language = base.get_decoder()
    learns = sum(p.numel() for p in learner.parameters() if p.requires_grad)
    frozen = sum(p.numel() for p in learner.parameters() if not p.requires_grad)
    linear = sum(
        layer.weight.numel()
        for layer in language.modules()
        if isinstance(layer, nn.Linear) and not layer.weight.requires_grad
    )
    quantised = linear if method == "qlora" else 0
    half = HALF if loop.bf16 or method == "qlora" else FLOAT
    shared = int(os.environ.get("WORLD_SIZE", "1")) if loop.shard else 1
    stored = FLOAT if method == "full" else half  # of the frozen ones
    learnt = HALF if method == "qlora" else FLOAT  # as TRL has it
    weights = learnt * learns + stored * (frozen - quantised) + NF4 * quantised
    words = base.config.get_text_config().vocab_size
    logits = 2 * FLOAT * min(TILE[0], loop.micro_batch * tokens) * min(TILE[1], words)
    activations = loop.micro_batch * tokens * _bytes_of_token(base, loop, half) + logits
    return Memory(
        weights=weights / shared,
        gradients=learnt * learns / shared,
        optimiser=2 * learnt * learns / shared,
        activations=activations + OVERHEAD * (loop.device == "cuda"),
    )


def _bytes_of_token(base: Any, loop: TuningLoop, size: int) -> float:
    """Of activations that the backward pass needs, and of what one layer takes meanwhile."""
    shape = base.config.get_text_config()
    layers, width = shape.num_hidden_layers, shape.hidden_size
    heads = shape.num_attention_heads
    keys = 2 * width * (getattr(shape, "num_key_value_heads", None) or heads) / heads
    # Two norms in float32; their outputs, queries, attention's output twice, keys and values; gate,
    # its activation, up, and their product.
    layer = 2 * FLOAT * width + size * (5 * width + keys + 4 * shape.intermediate_size)
    if loop.activation_checkpointing:
        return layers * size * width + layer
    return layers * layer


def advice(memory: Memory, method: Literal["lora", "qlora", "full"], loop: TuningLoop) -> str:
    """One line: what is needed, what there is, and what to try.

    Raises:
        UserError: weights, gradients and the optimiser alone are more than the GPU has.
    """
    needed = f"needs about {memory.total / GB:.3g} GB"
    if loop.device != "cuda":
        return f"{needed} of memory"
    there = torch.cuda.get_device_properties(0).total_memory
    return judged(memory, method, loop, there)


def judged(
    memory: Memory, method: Literal["lora", "qlora", "full"], loop: TuningLoop, there: float
) -> str:
    """As `advice`, for a GPU of so many bytes."""
    line = f"needs about {memory.total / GB:.3g} GB; this GPU has {there / GB:.3g}"
    if memory.total <= there:
        return line
    if memory.certain > there:
        smaller = {"full": "method=lora", "lora": "method=qlora", "qlora": "a smaller base"}[method]
        more = "" if method == "qlora" else ", or loop.shard=true on several GPUs under torchrun"
        raise UserError(f"{line}, and weights alone do not fit: try {smaller}{more}")
    if not loop.activation_checkpointing:
        return f"{line}: try loop.activation_checkpointing=true"
    if loop.micro_batch > 1:
        return f"{line}: try loop.micro_batch={loop.micro_batch // 2}"
    return f"{line}: it may not fit"
