"""The baseline that every table has: InstructPix2Pix (Brooks et al., 2023), told the bare action,
through diffusers' own pipeline."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from egoframe.enhancer.opening import one_line
from egoframe.errors import UserError
from egoframe.generator.protocols import own_stream, restore_aspect
from egoframe.models import default_dtype, usable_device

CLASS = "StableDiffusionInstructPix2PixPipeline"
STEPS, TEXT_GUIDANCE, IMAGE_GUIDANCE = 100, 7.5, 1.5


def is_instruct_pix2pix(model: Path) -> bool:
    """Whether a model's folder says that it is one of diffusers' own pipeline."""
    told = json.loads((model / "model_index.json").read_text(encoding="utf-8"))
    return told.get("_class_name") == CLASS


class InstructPix2Pix:
    """Draws as `ActionFramePipeline` is asked to; photos are squeezed into the model's square.

    Arguments:
        steps, text_guidance, image_guidance: those of InstructPix2Pix's authors, where None.
    Raises:
        UserError: the folder cannot be opened.
    """

    def __init__(
        self,
        model: Path,
        device: str | None = None,
        dtype: torch.dtype | None = None,
        steps: int | None = None,
        text_guidance: float | None = None,
        image_guidance: float | None = None,
    ) -> None:
        from diffusers import StableDiffusionInstructPix2PixPipeline

        where = usable_device(device)
        with one_line(model, "cannot be opened as a model"):
            pipe: Any = StableDiffusionInstructPix2PixPipeline.from_pretrained(
                model, dtype=dtype or default_dtype(where), use_safetensors=True,
                safety_checker=None, requires_safety_checker=False,
            )  # fmt: skip
        pipe.set_progress_bar_config(disable=True)
        self.pipe = pipe.to(where)
        self.settings = {
            "num_inference_steps": steps or STEPS,
            "guidance_scale": TEXT_GUIDANCE if text_guidance is None else text_guidance,
            "image_guidance_scale": IMAGE_GUIDANCE if image_guidance is None else image_guidance,
        }

    def __call__(
        self, photos: Sequence[Image.Image], actions: Sequence[str], seed: int, names: Sequence[str]
    ) -> list[Image.Image]:
        """Draw the actions; the noise of a picture depends on the seed and its name alone.

        Raises:
            UserError: photos that the model cannot draw.
        """
        side = self.pipe.unet.config.sample_size * self.pipe.vae_scale_factor
        if not isinstance(side, int):
            raise UserError(f"{self.pipe.name_or_path}: its U-Net names no square sample_size")
        small = [photo.resize((side, side), Image.Resampling.LANCZOS) for photo in photos]
        drawn = self.pipe(
            prompt=list(actions),
            image=small,
            generator=[own_stream(seed, name) for name in names],
            **self.settings,
        ).images
        return [restore_aspect(one, photo.size) for one, photo in zip(drawn, photos, strict=True)]
