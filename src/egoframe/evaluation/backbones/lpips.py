"""LPIPS (Zhang et al., 2018) on AlexNet, VGG-16 and SqueezeNet 1.1, whose keys are torchvision's.

The linear layers ship with the package: version 0.1 of those that the paper's authors published.

Shape suffixes: B pictures, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

Name = Literal["alex", "vgg", "squeeze"]
LINEAR = Path(__file__).parents[2] / "weights" / "lpips-linear.safetensors"
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
LAYERS: dict[str, tuple[tuple[int, int], ...]] = {  # place in `features`, and its channels
    "alex": ((1, 64), (4, 192), (7, 384), (9, 256), (11, 256)),
    "vgg": ((3, 64), (8, 128), (15, 256), (22, 512), (29, 512)),
    "squeeze": ((1, 64), (4, 128), (7, 256), (9, 384), (10, 384), (11, 512), (12, 512)),
}


class Fire(nn.Module):
    """SqueezeNet's block (Iandola et al., 2016)."""

    def __init__(self, channels: int, squeezed: int, out: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, out, 1)
        self.expand3x3 = nn.Conv2d(squeezed, out, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x).relu()
        return torch.cat((self.expand1x1(x), self.expand3x3(x)), 1).relu()


def features_of(name: Name) -> nn.Sequential:
    """The convolutional part of a network, places as in torchvision."""
    if name == "squeeze":
        halve = [nn.MaxPool2d(3, 2, ceil_mode=True) for _ in range(3)]
        return nn.Sequential(
            nn.Conv2d(3, 64, 3, 2), nn.ReLU(), halve[0],
            Fire(64, 16, 64), Fire(128, 16, 64), halve[1],
            Fire(128, 32, 128), Fire(256, 32, 128), halve[2],
            Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256),
        )  # fmt: skip
    layers: list[nn.Module] = []
    if name == "alex":
        for told in ((3, 64, 11, 4, 2), "M", (64, 192, 5, 1, 2), "M",
                     (192, 384, 3, 1, 1), (384, 256, 3, 1, 1), (256, 256, 3, 1, 1)):  # fmt: skip
            if isinstance(told, str):
                layers.append(nn.MaxPool2d(3, 2))
            else:
                layers += [nn.Conv2d(*told), nn.ReLU()]
        return nn.Sequential(*layers)
    width = 3
    for group, out in enumerate((64, 128, 256, 512, 512)):
        if group:
            layers.append(nn.MaxPool2d(2))
        for _ in range(2 if group < 2 else 3):
            layers += [nn.Conv2d(width, out, 3, padding=1), nn.ReLU()]
            width = out
    return nn.Sequential(*layers)


class Lpips(nn.Module):
    """A distance of two pictures: how their features differ, weighted by channel."""

    shift: Tensor
    scale: Tensor

    def __init__(self, name: Name) -> None:
        super().__init__()
        self.features = features_of(name)
        self.places = [place for place, _ in LAYERS[name]]
        self.lins = nn.ModuleList(nn.Conv2d(c, 1, 1, bias=False) for _, c in LAYERS[name])
        given = load_file(LINEAR)
        for k, layer in enumerate(self.lins):
            layer.load_state_dict({"weight": given[f"{name}.{k}"]})
        self.register_buffer("shift", torch.tensor(SHIFT).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(SCALE).view(1, 3, 1, 1), persistent=False)

    def forward(self, first_BCHW: Tensor, second_BCHW: Tensor) -> Tensor:
        """Distances (B,) of pictures, RGB, 0 to 1."""
        return whole(self.layers(first_BCHW, second_BCHW))

    def layers(self, first_BCHW: Tensor, second_BCHW: Tensor) -> list[Tensor]:
        """How far apart two pictures are at each place of each layer, (B, 1, H, W) of the layer."""
        count = len(first_BCHW)
        x = (2 * torch.cat((first_BCHW, second_BCHW)) - 1 - self.shift) / self.scale
        apart: list[Tensor] = []
        for place, layer in enumerate(self.features):
            x = layer(x)
            if place in self.places:
                unit = x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10)
                lin = self.lins[len(apart)]
                apart.append(lin((unit[:count] - unit[count:]).square()))
        return apart


def whole(layers: Sequence[Tensor]) -> Tensor:
    """The distances (B,) of pictures whose layers are so far apart."""
    return torch.stack([layer.mean((1, 2, 3)) for layer in layers]).sum(0)


def spread(layers: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
    """Where pictures of that size are apart, (B, H, W): every layer spread over the picture."""
    maps = [
        F.interpolate(layer, size, mode="bilinear", align_corners=False)[:, 0] for layer in layers
    ]
    return torch.stack(maps).sum(0)
