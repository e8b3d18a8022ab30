"""What the generator learns from, worked out once: latents, tokens and the enhancer's embeddings.

With `mirror`, every pair is kept twice: row 2i is pair i, row 2i + 1 its mirror image.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from rich.progress import track
from safetensors.torch import load_file, save_file
from torch import Tensor

from egoframe.enhancer.model import Enhancer
from egoframe.enhancer.prompts import mirrored
from egoframe.enhancer.tuning import described
from egoframe.generator.frames import load_frames, to_signed
from egoframe.generator.tokenizer import LENGTH

if TYPE_CHECKING:
    import datasets

BATCH = 32


@dataclass(frozen=True)
class Features:
    """One row for each pair, or with mirror images two (N)."""

    input_latents: Tensor  # float16 (N, C, H, W)
    action_latents: Tensor  # float16 (N, C, H, W)
    tokens: Tensor  # int64 (N, 77), of the description
    label_tokens: Tensor  # int64 (N, 77), of the bare action
    image_embeds: Tensor  # float16 (N, I, D)
    text_embeds: Tensor  # float16 (N, 77, D)


def load_features(
    path: Path,
    dataset: datasets.Dataset,
    name: Path,
    vae: Any,
    tokenizer: Any,
    enhancer: Enhancer,
    mirror: bool,
) -> Features:
    """Read the features from `path`, or work them out and keep them there."""
    if not path.exists():
        texts = described(dataset, name)
        found = _latents(dataset, vae, mirror)
        found["tokens"] = _tokens(tokenizer, _versions(texts, mirror))
        found["label_tokens"] = _tokens(tokenizer, _versions(list(dataset["action"]), mirror))
        found |= _embeddings(dataset, texts, enhancer, mirror)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".writing")
        save_file(found, temporary)
        temporary.rename(path)
    return Features(**load_file(path))


def _versions(texts: list[str], mirror: bool) -> list[str]:
    """Texts, each followed by that of the mirror image."""
    return [v for text in texts for v in (text, mirrored(text))] if mirror else texts


@torch.no_grad()
def _latents(dataset: datasets.Dataset, vae: Any, mirror: bool) -> dict[str, Tensor]:
    parts = []
    for part in track(load_frames(dataset).split(BATCH), "latents"):
        rows = torch.stack((part, part.flip(-1)), 1).flatten(0, 1) if mirror else part
        parts.append(vae.encode(to_signed(rows.flatten(0, 1))).unflatten(0, (-1, 2)).half())
    latents = torch.cat(parts)
    return {
        "input_latents": latents[:, 0].contiguous(),
        "action_latents": latents[:, 1].contiguous(),
    }


def _tokens(tokenizer: Any, texts: list[str]) -> Tensor:
    settings = {"padding": "max_length", "truncation": True, "max_length": LENGTH}
    return tokenizer(texts, return_tensors="pt", **settings).input_ids


def _embeddings(
    dataset: datasets.Dataset, texts: list[str], enhancer: Enhancer, mirror: bool
) -> dict[str, Tensor]:
    actions = list(dataset["action"])
    image_parts, text_parts = [], []
    for start in track(range(0, len(texts), BATCH), "enhancer"):
        part = range(start, min(start + BATCH, len(texts)))
        photos = [dataset[k]["input_frame"].convert("RGB") for k in part]
        asked = [actions[k] for k in part]
        if mirror:
            photos = [v for p in photos for v in (p, p.transpose(Image.Transpose.FLIP_LEFT_RIGHT))]
            asked = [action for action in asked for _ in range(2)]
        out = enhancer(photos, asked, _versions([texts[k] for k in part], mirror))
        image_parts.append(out.image_embeds.half().clone())
        text_parts.append(out.text_embeds.half().clone())
    return {"image_embeds": torch.cat(image_parts), "text_embeds": torch.cat(text_parts)}
