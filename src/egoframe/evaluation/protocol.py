"""How pictures are measured: as the authors' release does it, or as it should be done.

These are all the differences between the two in measuring; `generator/protocols.py` has those in
drawing.

Shape suffixes: B pictures, 3 colours, H height, W width; values are 0 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from egoframe.errors import UserError

Size = tuple[int, int]  # height and width


@dataclass(frozen=True)
class Kernel:
    """A way to resize pictures (B, 3, H, W) to a size, and its name for a report."""

    text: str
    resize: Callable[[Tensor, Size], Tensor]

    def __call__(self, pictures_B3HW: Tensor, size: Size) -> Tensor:
        return self.resize(pictures_B3HW, size)


def _by_pillow(pictures_B3HW: Tensor, size: Size) -> Tensor:
    """Pillow rounds to whole levels, more than once: what torch makes of them is not the same."""
    levels = (pictures_B3HW * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()

    def resize(levels_HW3: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(levels_HW3).resize(size[::-1], Image.Resampling.BICUBIC))

    with ThreadPoolExecutor() as pool:  # Pillow lets other threads run meanwhile
        resized = torch.from_numpy(np.stack(list(pool.map(resize, levels))))
    return resized.permute(0, 3, 1, 2).to(pictures_B3HW) / 255


_interpolate = partial(F.interpolate, align_corners=False)
BILINEAR = Kernel("bilinear without antialiasing", partial(_interpolate, mode="bilinear"))
BICUBIC = Kernel("bicubic without antialiasing", partial(_interpolate, mode="bicubic"))
# As clean-fid resizes (Parmar et al., 2022): Pillow's kernel, without whole levels.
CLEAN = Kernel("antialiased bicubic", partial(_interpolate, mode="bicubic", antialias=True))
# As CLIP's and BLIP's own processors do.
PILLOW = Kernel("antialiased bicubic in 8 bits", _by_pillow)


@dataclass(frozen=True)
class Resize:
    """How pictures become the squares that a network sees.

    Arguments:
        begin: rounds the place where the middle of the longer side begins, once the shorter is the
            square's; None squashes pictures into the square.
    """

    kernel: Kernel
    begin: Callable[[float], int] | None = None

    def __call__(self, pictures_B3HW: Tensor, side: int) -> Tensor:
        """Pictures (B, 3, side, side)."""
        if self.begin is None:
            return self.kernel(pictures_B3HW, (side, side))
        height, width = pictures_B3HW.shape[2:]
        short = min(height, width)
        height, width = (int(side * extent / short) for extent in (height, width))
        top, left = (self.begin((extent - side) / 2) for extent in (height, width))
        resized = self.kernel(pictures_B3HW, (height, width))
        return resized[..., top : top + side, left : left + side]

    def describe(self, side: int) -> str:
        """In words, for a report."""
        shape = "squashed to" if self.begin is None else "shorter side to fit, then the middle"
        return f"{self.kernel.text}, {shape} {side}²"


@dataclass(frozen=True)
class MetricProtocol:
    """One way to measure.

    Arguments:
        inception, clip, egovlp: how pictures are resized for these networks.
        fit: brings a drawn picture to the size of the true one.
        half_contrast: LPIPS takes 0 to 1 for what should be −1 to 1.
        stretches: drawn pictures may be renormalised where that is asked for.
        dropout: BLIP captions as in training, with parts of it left out at random.
    """

    name: str
    inception: Resize
    clip: Resize
    egovlp: Resize
    fit: Kernel
    half_contrast: bool
    stretches: bool
    dropout: bool

    def fitted(self, drawn_B3HW: Tensor, truth_B3HW: Tensor) -> Tensor:
        """Drawn pictures at the size of the true ones."""
        size = (truth_B3HW.shape[2], truth_B3HW.shape[3])
        if drawn_B3HW.shape[2:] == size:
            return drawn_B3HW
        return self.fit(drawn_B3HW, size).clamp(0, 1)

    def for_lpips(self, pictures_B3HW: Tensor) -> Tensor:
        """What LPIPS, which makes −1 to 1 of 0 to 1, is to be given."""
        return (pictures_B3HW + 1) / 2 if self.half_contrast else pictures_B3HW

    def stretched(self, drawn_B3HW: Tensor) -> Tensor:
        """Drawn pictures as the release keeps them: each one's darkest value black, its brightest
        white, values cut to whole levels. A picture of one value stays as it is.

        Raises:
            UserError: this protocol leaves pictures as they are.
        """
        if not self.stretches:
            raise UserError(
                f"protocol {self.name}: does not renormalise pictures; ask for protocol paper"
            )
        levels = (drawn_B3HW * 255).round()
        low, high = (x.view(-1, 1, 1, 1) for x in levels.flatten(1).aminmax(dim=1))
        wide = ((levels - low) * 255 / (high - low)).floor() / 255
        return torch.where(high > low, wide, drawn_B3HW)


PAPER = MetricProtocol(
    "paper", inception=Resize(BILINEAR), clip=Resize(BICUBIC), egovlp=Resize(BILINEAR, round),
    fit=BILINEAR, half_contrast=True, stretches=True, dropout=True,
)  # fmt: skip
CORRECTED = MetricProtocol(
    "corrected", inception=Resize(CLEAN), clip=Resize(PILLOW, math.floor),
    egovlp=Resize(CLEAN, round), fit=CLEAN, half_contrast=False, stretches=False, dropout=False,
)  # fmt: skip
PROTOCOLS = {protocol.name: protocol for protocol in (CORRECTED, PAPER)}


def choose_metric_protocol(name: str) -> MetricProtocol:
    """The protocol of a name.

    Raises:
        UserError: there is none.
    """
    if name not in PROTOCOLS:
        raise UserError(f"protocol {name!r}: give {' or '.join(PROTOCOLS)}")
    return PROTOCOLS[name]
