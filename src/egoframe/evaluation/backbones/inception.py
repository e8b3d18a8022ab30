"""Inception-v3 as FID takes it: the network that TensorFlow's FID ran, keys as torchvision's.

It differs from torchvision's in its pooling: averages leave the border out, and the last block
takes the maximum (Heusel et al., 2017; weights `pt_inception-2015-12-05-6726825d.pth`).

Shape suffixes: B pictures, C channels, H height, W width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 299
WIDTH = 2048


class Conv(NamedTuple):
    """A convolution, with its batch norm; padded to keep the size, unless it strides or says so."""

    name: str
    out: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    padded: bool = True


class ConvNorm(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(self, channels: int, told: Conv) -> None:
        super().__init__()
        kept = told.padded and told.stride == 1
        padding = (told.kernel[0] // 2, told.kernel[1] // 2) if kept else (0, 0)
        self.conv = nn.Conv2d(channels, told.out, told.kernel, told.stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(told.out, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


Chain = tuple[Conv | tuple[Conv, Conv] | str, ...]  # two convolutions side by side; or a pooling


class Mixed(nn.Module):
    """Chains of convolutions side by side, their outputs one behind the other."""

    def __init__(self, channels: int, chains: tuple[Chain, ...]) -> None:
        super().__init__()
        self.chains, self.out = chains, 0
        for chain in chains:
            width = channels
            for link in chain:
                if isinstance(link, str):
                    continue
                pair = (link,) if isinstance(link, Conv) else link
                for told in pair:
                    self.add_module(told.name, ConvNorm(width, told))
                width = sum(told.out for told in pair)
            self.out += width

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self._along(chain, x) for chain in self.chains], 1)

    def _along(self, chain: Chain, x: Tensor) -> Tensor:
        for link in chain:
            if link == "average":
                x = F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
            elif link == "maximum":
                x = F.max_pool2d(x, 3, 1, 1)
            elif link == "halve":
                x = F.max_pool2d(x, 3, 2)
            elif isinstance(link, Conv):
                x = getattr(self, link.name)(x)
            elif isinstance(link, tuple):
                x = torch.cat([getattr(self, told.name)(x) for told in link], 1)
        return x


def _block_a(pooled: int) -> tuple[Chain, ...]:
    return (
        (Conv("branch1x1", 64),),
        (Conv("branch5x5_1", 48), Conv("branch5x5_2", 64, (5, 5))),
        (Conv("branch3x3dbl_1", 64), Conv("branch3x3dbl_2", 96, (3, 3)),
         Conv("branch3x3dbl_3", 96, (3, 3))),
        ("average", Conv("branch_pool", pooled)),
    )  # fmt: skip


def _block_c(width: int) -> tuple[Chain, ...]:
    long = [Conv(f"branch7x7dbl_{k}", width, (7, 1) if k % 2 == 0 else (1, 7)) for k in (2, 3, 4)]
    return (
        (Conv("branch1x1", 192),),
        (Conv("branch7x7_1", width), Conv("branch7x7_2", width, (1, 7)),
         Conv("branch7x7_3", 192, (7, 1))),
        (Conv("branch7x7dbl_1", width), *long, Conv("branch7x7dbl_5", 192, (1, 7))),
        ("average", Conv("branch_pool", 192)),
    )  # fmt: skip


def _block_e(pooling: str) -> tuple[Chain, ...]:
    def pair(name: str) -> tuple[Conv, Conv]:
        return Conv(f"{name}a", 384, (1, 3)), Conv(f"{name}b", 384, (3, 1))

    return (
        (Conv("branch1x1", 320),),
        (Conv("branch3x3_1", 384), pair("branch3x3_2")),
        (Conv("branch3x3dbl_1", 448), Conv("branch3x3dbl_2", 384, (3, 3)), pair("branch3x3dbl_3")),
        (pooling, Conv("branch_pool", 192)),
    )


STEM = (
    Conv("Conv2d_1a_3x3", 32, (3, 3), 2), Conv("Conv2d_2a_3x3", 32, (3, 3), padded=False),
    Conv("Conv2d_2b_3x3", 64, (3, 3)), "halve", Conv("Conv2d_3b_1x1", 80),
    Conv("Conv2d_4a_3x3", 192, (3, 3), padded=False), "halve",
)  # fmt: skip
BLOCKS: dict[str, tuple[Chain, ...]] = {
    "Mixed_5b": _block_a(32),
    "Mixed_5c": _block_a(64),
    "Mixed_5d": _block_a(64),
    "Mixed_6a": (
        (Conv("branch3x3", 384, (3, 3), 2),),
        (Conv("branch3x3dbl_1", 64), Conv("branch3x3dbl_2", 96, (3, 3)),
         Conv("branch3x3dbl_3", 96, (3, 3), 2)),
        ("halve",),
    ),
    "Mixed_6b": _block_c(128),
    "Mixed_6c": _block_c(160),
    "Mixed_6d": _block_c(160),
    "Mixed_6e": _block_c(192),
    "Mixed_7a": (
        (Conv("branch3x3_1", 192), Conv("branch3x3_2", 320, (3, 3), 2)),
        (Conv("branch7x7x3_1", 192), Conv("branch7x7x3_2", 192, (1, 7)),
         Conv("branch7x7x3_3", 192, (7, 1)), Conv("branch7x7x3_4", 192, (3, 3), 2)),
        ("halve",),
    ),
    "Mixed_7b": _block_e("average"),
    "Mixed_7c": _block_e("maximum"),
}  # fmt: skip


class Inception(Mixed):
    """The features of FID and KID."""

    def __init__(self) -> None:
        super().__init__(3, (STEM,))
        width = self.out
        for name, chains in BLOCKS.items():
            block = Mixed(width, chains)
            self.add_module(name, block)
            width = block.out

    def forward(self, pictures_BCHW: Tensor) -> Tensor:
        """Features (B, 2048).

        Arguments:
            pictures_BCHW: RGB, 0 to 1, 299².
        """
        x = super().forward(2 * pictures_BCHW - 1)
        for name in BLOCKS:
            x = getattr(self, name)(x)
        return x.mean((2, 3))
