"""Pairs and what was drawn of them, as metrics take them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from egoframe.errors import UserError
from egoframe.evaluation.protocol import MetricProtocol
from egoframe.images import open_photo

ASPECTS = 0.02  # by which the aspects of a drawn and a true frame may differ


@dataclass(frozen=True)
class Batch:
    """Pairs whose frames have one size; frames are RGB, float32 (B, 3, H, W) in 0..1.

    Arguments:
        drawn: of sizes of their own (B, 3, H', W').
        fitted: the same at the true frames' size.
    """

    names: list[str]
    actions: list[str]
    descriptions: list[str | None]
    boxes: list[list[dict[str, Any]]]  # in the action frames, corners in 0..1
    facts: list[str | None]
    before: Tensor
    truth: Tensor
    drawn: Tensor
    fitted: Tensor

    def __len__(self) -> int:
        return len(self.names)


def batches(
    pairs: dict[str, list[Any]],
    drawn: Sequence[Image.Image],
    protocol: MetricProtocol,
    stretch: bool = False,
) -> list[tuple[list[int], Batch]]:
    """Pairs (columns of a dataset) and their drawn pictures, by the sizes of both.

    Arguments:
        stretch: the contrast of drawn pictures, as LEGO's release does.
    Returns:
        The places of the pairs, and the batch of them.
    """
    truth = [frame.convert("RGB") for frame in pairs["action_frame"]]
    sizes = [(true.size, picture.size) for true, picture in zip(truth, drawn, strict=True)]
    found = []
    for both in dict.fromkeys(sizes):
        places = [k for k, own in enumerate(sizes) if own == both]

        def rows(name: str, places: list[int] = places) -> list[Any]:
            return [pairs[name][k] for k in places]

        true_B3HW = torch.cat([_tensor(truth[k]) for k in places])
        drawn_B3HW = torch.cat([_tensor(drawn[k]) for k in places])
        if stretch:
            drawn_B3HW = protocol.stretched(drawn_B3HW)
        batch = Batch(
            names=rows("pair_id"),
            actions=rows("action"),
            descriptions=rows("description"),
            boxes=rows("action_boxes"),
            facts=rows("facts"),
            before=torch.cat([protocol.fitted(_tensor(x), true_B3HW) for x in rows("input_frame")]),
            truth=true_B3HW,
            drawn=drawn_B3HW,
            fitted=protocol.fitted(drawn_B3HW, true_B3HW),
        )
        found.append((places, batch))
    return found


def open_drawn(path: Path, name: str, like: Image.Image) -> Image.Image:
    """A picture that was drawn of a pair.

    Raises:
        UserError: it is damaged, or has another aspect than the true frame.
    """
    picture = open_photo(path)
    ratio = picture.width * like.height / (picture.height * like.width)
    if abs(ratio - 1) > ASPECTS:
        raise UserError(
            f"{path}: is {picture.width}×{picture.height}, where the true frame of pair {name} is "
            f"{like.width}×{like.height}; stretch it to that aspect"
        )
    return picture


def _tensor(picture: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)[None].float() / 255


def to_bytes(frames_B3HW: Tensor) -> np.ndarray:
    """Frames in 0..1 → uint8 (B, H, W, 3)."""
    return (frames_B3HW * 255).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()


Metric = Callable[[Batch], dict[str, np.ndarray]]  # figures (B,) and features (B, D) by name
