"""Everything random in training derives from (seed, sample, epoch) or (seed, step).

So neither what ran before, nor the number of processes and parts of a batch, changes what is drawn.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


def mix(seed: int, count: int) -> int:
    """A well-spread 63-bit seed for each (seed, count), by SplitMix64 (Steele et al., 2014)."""
    z = (seed * 0x9E3779B97F4A7C15 + count * 0xD1B54A32D192ED03 + 1) & (2**64 - 1)
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
    return (z ^ (z >> 31)) >> 1


def key_of(name: str) -> int:
    """A 63-bit key of a sample's name, the same on every machine."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") >> 1


def step_samples(step: int, batch_size: int, size: int, seed: int) -> tuple[Tensor, Tensor]:
    """The samples (B,) of a step, and the epoch (B,) that each is visited in.

    Epochs are seeded permutations, laid end to end.
    """
    position = step * batch_size
    indices: list[Tensor] = []
    epochs: list[Tensor] = []
    while batch_size > 0:
        epoch, offset = divmod(position, size)
        generator = torch.Generator().manual_seed(mix(seed + 2, epoch))
        part = torch.randperm(size, generator=generator)[offset : offset + batch_size]
        indices.append(part)
        epochs.append(torch.full_like(part, epoch))
        position, batch_size = position + len(part), batch_size - len(part)
    return torch.cat(indices), torch.cat(epochs)


@dataclass(frozen=True)
class Batch:
    """What a step learns from, or one process's part of it.

    All is on the CPU, so that what is drawn is the same on every device.
    """

    indices: Tensor  # int64 (B,), into the data
    progress: float  # of the run, 0 … 1
    generators: tuple[torch.Generator, ...]  # B, each of one sample's noise
    shared: torch.Generator  # of what is drawn once for the whole step, alike in every process
    data: Any = None  # what was fetched of these samples

    def normal(self, *shape: int) -> Tensor:
        """Normal noise (B, *shape)."""
        return self._each(lambda generator: torch.randn(shape, generator=generator))

    def uniform(self) -> Tensor:
        """Numbers (B,) in 0..1."""
        return self._each(lambda generator: torch.rand((), generator=generator))

    def integers(self, limit: int) -> Tensor:
        """Whole numbers (B,) in 0..limit − 1."""
        return self._each(lambda generator: torch.randint(limit, (), generator=generator))

    def chance(self, probability: float) -> Tensor:
        """Bools (B,), each True with this probability."""
        return self.uniform() < probability

    def _each(self, draw: Callable[[torch.Generator], Tensor]) -> Tensor:
        return torch.stack([draw(generator) for generator in self.generators])


def step_batches(
    step: int,
    batch_size: int,
    keys: Sequence[int],
    seed: int,
    progress: float,
    rank: int = 0,
    processes: int = 1,
    accumulate: int = 1,
) -> list[Batch]:
    """What one of several processes learns from in a step, in as many parts as are accumulated.

    Together, those of all processes are what a single process learns from.

    Arguments:
        keys: of all samples, by `key_of` their names.
    """
    samples = step_samples(step, batch_size, len(keys), seed)
    chunks = (part[rank::processes].chunk(accumulate) for part in samples)
    batches = []
    for indices, epochs in zip(*chunks, strict=True):
        generators = tuple(
            torch.Generator().manual_seed(mix(mix(seed + 1, keys[index]), epoch))
            for index, epoch in zip(indices.tolist(), epochs.tolist(), strict=True)
        )
        shared = torch.Generator().manual_seed(mix(seed + 3, step))
        batches.append(Batch(indices, progress, generators, shared))
    return batches
