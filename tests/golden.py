"""The formula of the golden values: weights and noise from a tensor's name (shared/golden)."""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

GOLDEN = Path(__file__).resolve().parents[2] / "shared" / "golden"

needs_golden = pytest.mark.skipif(
    not GOLDEN.is_dir(), reason="the golden values are not beside this checkout"
)


def _random(key: str, shape: tuple[int, ...]) -> np.ndarray:
    state = np.random.RandomState(zlib.crc32(key.encode()))
    return state.standard_normal(shape).astype(np.float32)


def fill(key: str, shape: tuple[int, ...]) -> torch.Tensor:
    r = _random(key, shape)
    if key.endswith("running_var"):
        return torch.from_numpy(1 + 0.1 * np.abs(r))
    if len(shape) >= 2:
        return torch.from_numpy(r / np.float32(np.sqrt(np.prod(shape[1:]))))
    return torch.from_numpy(1 + 0.1 * r if key.endswith("weight") else 0.02 * r)


def noise(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.from_numpy(_random(name, shape))


def lego_mini() -> dict:
    return json.loads((GOLDEN / "lego_mini.json").read_text(encoding="utf-8"))
