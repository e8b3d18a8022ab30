"""What the generator learns from, worked out once: latents, tokens and the enhancer's embeddings.

They are kept in parts, so that a stopped run goes on. With `mirror`, every pair is kept twice: row
2i is pair i, row 2i + 1 its mirror image.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from rich.progress import track
from safetensors.torch import load_file, save_file
from torch import Tensor

from egoframe.enhancer.model import Enhancer
from egoframe.enhancer.prompts import mirrored
from egoframe.generator.pipeline import to_tensor
from egoframe.generator.tokenizer import LENGTH

if TYPE_CHECKING:
    import datasets

PART = 32  # pairs that are worked out together
PARTS_IN_FILE = 16


@dataclass(frozen=True)
class Features:
    """One row for each pair, or with mirror images two (N)."""

    input_latents: Tensor  # float16 (N, C, H, W)
    action_latents: Tensor  # float16 (N, C, H, W)
    tokens: Tensor  # int64 (N, 77), of the description
    label_tokens: Tensor  # int64 (N, 77), of the bare action
    image_embeds: Tensor  # float16 (N, I, D)
    text_embeds: Tensor  # float16 (N, 77, D)


@dataclass(frozen=True)
class FeatureMaker:
    """The models that features come from.

    Arguments:
        written_by: "dataset" takes its descriptions; "enhancer" lets the enhancer write its own, as
            LEGO does, so that the generator learns from what it will be given.
    """

    vae: Any
    tokenizer: Any
    enhancer: Enhancer
    mirror: bool
    written_by: str

    @torch.no_grad()
    def __call__(self, pairs: dict[str, list[Any]]) -> dict[str, Tensor]:
        """The features of some pairs, given as columns of a dataset."""
        inputs, actions = (
            self._versions([frame.convert("RGB") for frame in pairs[name]], _flipped)
            for name in ("input_frame", "action_frame")
        )
        labels = self._versions(pairs["action"], str)
        texts = None
        if self.written_by == "dataset":
            texts = self._versions(pairs["description"], mirrored)
        with torch.autocast("cpu", torch.bfloat16):
            out = self.enhancer(inputs, labels, texts)
        return {
            "input_latents": self.vae.encode(to_tensor(inputs)).half(),
            "action_latents": self.vae.encode(to_tensor(actions)).half(),
            "tokens": self._tokens(out.descriptions),
            "label_tokens": self._tokens(labels),
            "image_embeds": out.image_embeds.half().clone(),
            "text_embeds": out.text_embeds.half().clone(),
        }

    def _versions(self, values: list[Any], mirror: Any) -> list[Any]:
        """Values, each followed by that of the mirror image."""
        return [v for value in values for v in (value, mirror(value))] if self.mirror else values

    def _tokens(self, texts: list[str]) -> Tensor:
        settings = {"padding": "max_length", "truncation": True, "max_length": LENGTH}
        return self.tokenizer(texts, return_tensors="pt", **settings).input_ids


def load_features(folder: Path, dataset: datasets.Dataset, make: FeatureMaker) -> Features:
    """Read the features of a dataset from `folder`, where they are kept; make those that lack."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = PART * PARTS_IN_FILE
    found = []
    for start in track(range(0, len(dataset), rows), "features"):
        path = folder / f"{start // rows:05d}.safetensors"
        if not path.exists():
            stop = min(start + rows, len(dataset))
            parts = [make(dataset[k : min(k + PART, stop)]) for k in range(start, stop, PART)]
            joined = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
            temporary = path.with_suffix(".writing")
            save_file(joined, temporary)
            temporary.rename(path)
        found.append(load_file(path))
    names = [field.name for field in fields(Features)]
    return Features(**{name: torch.cat([part[name] for part in found]) for name in names})


def _flipped(picture: Image.Image) -> Image.Image:
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
