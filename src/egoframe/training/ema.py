"""Averaged weights, each process keeping those of its own shards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from egoframe.training.checkpoints import local


class Ema:
    """An exponential moving average of a model's state, its decay small at first (Polyak averaging
    with the warm-up of Stable Diffusion's training, which LEGO's uses).

    Attributes:
        values: name → average, sharded as the model is.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.values = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights after a step, counted from 0."""
        decay = min(self.decay, (1 + step) / (10 + step))
        averages: list[Tensor] = []
        values: list[Tensor] = []
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                averages.append(local(self.values[name]))
                values.append(local(value))
            else:
                local(self.values[name]).copy_(local(value))
        torch._foreach_lerp_(averages, values, 1 - decay)

    @contextmanager
    def in_place_of(self, model: nn.Module) -> Iterator[None]:
        """For a while, the model has the averaged weights."""
        own = {name: value.detach().clone() for name, value in model.state_dict().items()}
        _copy(self.values, model)
        try:
            yield
        finally:
            _copy(own, model)


@torch.no_grad()
def _copy(values: dict[str, Tensor], model: nn.Module) -> None:
    for name, value in model.state_dict().items():
        local(value).copy_(local(values[name]))
