"""Weights as their authors publish them, filled by the golden formula; and pictures."""

import json
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file

from tests.golden import GOLDEN, fill, noise

GOLDEN_KEYS = {  # of metrics.json, by metric
    "inception": "inception",
    "lpips-alex": "lpips_alex",
    "lpips-vgg": "lpips_vgg",
    "lpips-squeeze": "lpips_squeeze",
    "egovlp-ego4d": "egovlp_4",
    "egovlp-epic": "egovlp_16",
}


def golden_file(folder: Path, name: str) -> Path:
    """The published file of a metric's network, with the golden weights."""
    key = GOLDEN_KEYS[name]
    told = json.loads((GOLDEN / "metrics.json").read_text(encoding="utf-8"))[key]
    if name.startswith("lpips"):  # whose slices together are torchvision's features
        state = {
            f"features.{place.partition('.')[2]}": fill(f"{key}.{place}", shape)
            for place, shape in told.items()
        }
    else:
        state = {place: fill(place, shape) for place, shape in told.items()}
    if name.startswith("egovlp"):
        state = {"state_dict": {f"module.{place}": x for place, x in state.items()}}
    path = folder / f"{name}.pth"
    torch.save(state, path)
    return path


def golden_outputs() -> dict[str, torch.Tensor]:
    return load_file(GOLDEN / "metrics_outputs.safetensors")


def golden_pictures() -> tuple[torch.Tensor, torch.Tensor]:
    first, second = (noise(name, (4, 3, 256, 342)) for name in ("metric_images", "metric_images_2"))
    return first.sigmoid(), (0.5 * second + first).sigmoid()


def pictures(count: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    """Pictures of 8 bits with coarse and fine structure (B, 3, H, W), 0 to 1."""
    draw = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, height // 16 + 1, width // 16 + 1, generator=draw)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic")
    grain = 0.1 * torch.randn(count, 3, height, width, generator=draw)
    return ((smooth + grain).clamp(0, 1) * 255).round() / 255


def images(pictures_B3HW: torch.Tensor) -> list[Image.Image]:
    levels = (pictures_B3HW * 255).round().byte().permute(0, 2, 3, 1).numpy()
    return [Image.fromarray(x) for x in levels]
