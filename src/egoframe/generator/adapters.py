"""Low-rank adapters (LoRA) of a pipeline's U-Net and text encoder, by diffusers' names."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from diffusers.loaders import StableDiffusionLoraLoaderMixin
from diffusers.utils import USE_PEFT_BACKEND

from egoframe.errors import UserError, first_line
from egoframe.generator.sharing import SharedPipeline

WEIGHTS = "pytorch_lora_weights.safetensors"  # diffusers' name of the file
PARTS = ("unet.", "text_encoder.", "lora_")  # how names of weights begin; lora_ is kohya's form
MISFIT = ("size mismatch", "not found in the base model")  # in what peft says
Source = str | os.PathLike | dict[str, torch.Tensor]


class AdaptedPipeline(StableDiffusionLoraLoaderMixin, SharedPipeline):
    """A pipeline that takes adapters: `load_lora_weights`, `set_adapters`, `fuse_lora` and the
    others, as diffusers' own pipelines do."""

    unet: Any
    text_encoder: Any

    def load_lora_weights(  # type: ignore[override]  # as diffusers' own pipelines do
        self,
        pretrained_model_name_or_path_or_dict: Source,
        adapter_name: str | None = None,
        hotswap: bool = False,
        **kwargs: Any,
    ) -> None:
        """Load adapters, which are in use at once.

        Arguments:
            pretrained_model_name_or_path_or_dict: a file, a folder such as the `lora` that
                `egoframe train distill` writes, a hub id, or the weights themselves.
            adapter_name: for `set_adapters`; "default_0" and so on where it is not given.
            hotswap, kwargs: those of diffusers.
        Raises:
            UserError: they cannot be read, or are not of this model.
        """
        with _telling(pretrained_model_name_or_path_or_dict):
            super().load_lora_weights(
                pretrained_model_name_or_path_or_dict, adapter_name, hotswap, **kwargs
            )

    def save_pretrained(self, save_directory: str | os.PathLike, *args: Any, **kwargs: Any) -> None:
        """As `SharedPipeline`'s.

        Raises:
            UserError: adapters are loaded, beside which weights go by names that none would open.
        """
        if any(getattr(part, "peft_config", None) for part in (self.unet, self.text_encoder)):
            raise UserError(
                f"{save_directory}: not saved, for adapters are loaded; keep them in the weights "
                "by fuse_lora() first, and then unload_lora_weights()"
            )
        super().save_pretrained(save_directory, *args, **kwargs)

    @classmethod
    def lora_state_dict(  # type: ignore[override]
        cls, pretrained_model_name_or_path_or_dict: Source, **kwargs: Any
    ) -> Any:
        """Diffusers' form of adapters, from that form or from those of a U-Net alone.

        No pickle is opened. Arguments and what is returned are those of diffusers.

        Raises:
            UserError: there are none.
        """
        source = pretrained_model_name_or_path_or_dict
        wanted = kwargs.pop("return_lora_metadata", False)
        weights, alphas, told = super().lora_state_dict(
            source if isinstance(source, dict) else str(source),
            **kwargs | {"use_safetensors": True, "return_lora_metadata": True},
        )
        if not any("lora" in key for key in weights):
            raise UserError(f"{_name(source)}: holds no adapters of a U-Net or a text encoder")
        if not any(key.startswith(PARTS) for key in weights):
            weights = {f"unet.{key}": value for key, value in weights.items()}
            told = told and {f"unet.{key}": value for key, value in told.items()}
        return (weights, alphas, told) if wanted else (weights, alphas)

    @classmethod
    def load_lora_into_text_encoder(
        cls, state_dict: dict[str, torch.Tensor], *args: Any, **kwargs: Any
    ) -> None:
        """As diffusers', but that it does not warn where there are none of a text encoder."""
        if any(key.startswith(f"{cls.text_encoder_name}.") for key in state_dict):
            super().load_lora_into_text_encoder(state_dict, *args, **kwargs)


def merge_lora(pipeline: AdaptedPipeline, source: Source, scale: float) -> None:
    """Add adapters, times `scale`, to a pipeline's weights for good: drawing takes no longer.

    Raises:
        UserError: as of `load_lora_weights`.
    """
    if not math.isfinite(scale):
        raise UserError(f"lora_scale {scale}: give a number, such as 1")
    pipeline.load_lora_weights(source)
    pipeline.fuse_lora(lora_scale=scale)
    pipeline.unload_lora_weights()


def lora_digest(source: str) -> str | None:
    """SHA-256 of adapters on this disk; None of those on the hub."""
    path = Path(source)
    file = path / WEIGHTS if path.is_dir() else path
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None


@contextmanager
def _telling(source: Source) -> Iterator[None]:
    """What goes wrong is told in one line; much of it is only said by kinds that mean little."""
    if not USE_PEFT_BACKEND:
        raise UserError('adapters need PEFT: pip install "egoframe[train]"')
    try:
        yield
    except (UserError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        if any(words in str(error) for words in MISFIT):
            raise UserError(f"{_name(source)}: adapters of another model") from None
        why = first_line(error)
        if isinstance(source, dict) or Path(source).exists():
            raise UserError(f"{_name(source)}: cannot be used as adapters ({why})") from None
        raise UserError(
            f"{source}: not a file or folder, and not to be had from the hub ({why}); give adapters"
        ) from None


def _name(source: Source) -> str:
    return "the weights given" if isinstance(source, dict) else str(source)
