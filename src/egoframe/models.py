"""From the name of a model to a pipeline: the packaged one, a folder, or a hub id."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from egoframe.errors import UserError

if TYPE_CHECKING:
    import torch

    from egoframe.generator.pipeline import ActionFramePipeline

DEFAULT = "kitchen"  # ships with the package; it knows the built-in kitchen alone


def load(
    model: str | Path = DEFAULT, device: str = "cpu", dtype: torch.dtype | None = None
) -> ActionFramePipeline:
    """Open a model, ready to draw.

    Arguments:
        model: "kitchen", the packaged default; a folder in diffusers' layout; or a hub id.
        device: such as "cpu" or "cuda".
        dtype: of the weights; as they are stored where not given, but float32 on a CPU.
    Raises:
        UserError: no such model, or it cannot be had here.
    """
    import torch
    from diffusers.utils import logging

    from egoframe.generator.pipeline import ActionFramePipeline

    logging.disable_progress_bar()
    place = resolve(model)
    try:
        pipeline = ActionFramePipeline.from_pretrained(place, dtype=dtype or torch.float32)
        pipeline.to(device)
    except (OSError, ValueError, KeyError, RuntimeError, AssertionError) as error:
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"{model}: cannot be opened as a model ({line})") from None
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def resolve(model: str | Path) -> str:
    """The folder or hub id of a model's name.

    Raises:
        UserError: it is none of those.
    """
    if str(model) == DEFAULT:
        folder = packaged()
        if folder is None:
            raise UserError(
                'the default model is not in this installation; train one (README, "Your own '
                'data") and give its folder with --model'
            )
        return str(folder)
    path = Path(model)
    if path.is_dir():
        if not (path / "model_index.json").exists():
            raise UserError(f"{path}: no model_index.json here; give a folder in diffusers' layout")
        return str(path)
    if str(model).count("/") == 1 and not path.exists() and not str(model).startswith((".", "/")):
        return str(model)
    raise UserError(
        f"{model}: no such model; give {DEFAULT!r}, a folder, or a hub id such as owner/name"
    )


def packaged() -> Path | None:
    """The folder of the default model, if it is installed."""
    folder = Path(str(files("egoframe"))) / "weights" / DEFAULT
    return folder if (folder / "model_index.json").exists() else None


def fingerprint(folder: str) -> str | None:
    """SHA-256 over the weights and settings of a model folder; None for a hub id."""
    path = Path(folder)
    if not path.is_dir():
        return None
    digest = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.suffix in (".safetensors", ".json")):
        digest.update(str(file.relative_to(path)).encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()
