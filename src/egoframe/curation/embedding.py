"""How alike two pictures are: by their pixels, or by CLIP where its weights are there.

Pictures are uint8 RGB arrays (H, W, 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from PIL import Image

from egoframe.errors import UserError

THUMBNAIL = 24  # pixels
PIXELS = (None, "pixels")  # names of the embedding that needs no weights
BATCH = 32  # pictures that CLIP sees at once


class Embedding(Protocol):
    """A measure of likeness.

    Attributes:
        band: likeness of the two frames of a good pair; below it the scene jumped, above it
            nothing happened.
    """

    band: tuple[float, float]

    def similarity(self, first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> list[float]:
        """Likeness (−1..1, 1 for equal ones) of each picture to its partner."""


class PixelEmbedding:
    """Correlation of the two pictures' colours at 24×24, mean colour removed: needs no weights."""

    band = (0.0, 0.9995)

    def similarity(self, first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> list[float]:
        return [_cosine(_thumbnail(a), _thumbnail(b)) for a, b in zip(first, second, strict=True)]


class ClipEmbedding:
    """Cosine of CLIP's projected image embeddings, within LEGO's band (Lai et al., 2024, Sec. 4.1).

    Arguments:
        source: folder or hub id of a CLIP model, as transformers saves it.
    Raises:
        UserError: there is none.
    """

    band = (0.81, 0.97)

    def __init__(self, source: str) -> None:
        import torch
        from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection
        from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

        from egoframe.enhancer.opening import one_line

        torch.set_num_threads(1)  # a process per core builds another part of the dataset
        with one_line(source, "no CLIP model can be opened"):
            told = CLIPVisionConfig.get_config_dict(source)[0]
            if (kind := told.get("model_type")) not in ("clip", "clip_vision_model"):
                raise UserError(f"{source}: no CLIP model, but a {kind}")
            vision: Any = CLIPVisionConfig.from_pretrained(source)
            vision.projection_dim = told.get("projection_dim", vision.projection_dim)
            self.processor = CLIPImageProcessorPil.from_pretrained(source)
            loaded: Any = CLIPVisionModelWithProjection.from_pretrained(
                source, config=vision, dtype=torch.float32, use_safetensors=True,
                output_loading_info=True,
            )  # fmt: skip
            self.model, report = loaded
            if report["missing_keys"]:
                raise UserError(f"{source}: this CLIP lacks {min(report['missing_keys'])}")
        self.model.eval()
        self.source = source

    @property
    def width(self) -> int:
        """Of an embedding."""
        return int(self.model.config.projection_dim)

    def embed(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """Embeddings (pictures, width), float32, of length 1."""
        import torch

        found = [np.empty((0, self.width), np.float32)]
        for first in range(0, len(pictures), BATCH):
            images = [Image.fromarray(picture) for picture in pictures[first : first + BATCH]]
            pixels = self.processor(images, return_tensors="pt")["pixel_values"]
            with torch.inference_mode():
                vectors = self.model(pixel_values=pixels).image_embeds
            found.append(torch.nn.functional.normalize(vectors, dim=-1).numpy())
        return np.concatenate(found)

    def similarity(self, first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> list[float]:
        products = self.embed(first) * self.embed(second)
        return [float(cosine) for cosine in products.sum(-1)]


def own_band(name: str | None) -> tuple[float, float]:
    """The band of the embedding of that name, without opening it."""
    return PixelEmbedding.band if name in PIXELS else ClipEmbedding.band


def open_embedding(name: str | None) -> PixelEmbedding | ClipEmbedding:
    """The embedding of that name: "pixels" (or none), else a CLIP model's folder or hub id."""
    return PixelEmbedding() if name in PIXELS else ClipEmbedding(str(name))


def _thumbnail(picture: np.ndarray) -> np.ndarray:
    image = Image.fromarray(picture).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    colours = np.asarray(image, np.float32)
    return colours - colours.mean((0, 1))


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float((a * b).sum() / norm) if norm > 0 else 1.0
