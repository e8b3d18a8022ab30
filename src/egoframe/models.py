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

FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]  # of a model on the hub
DEFAULT = "kitchen"  # ships with the package; it knows the built-in kitchen alone


def load(
    model: str | Path = DEFAULT, device: str = "cpu", dtype: torch.dtype | None = None
) -> ActionFramePipeline:
    """Open a model, ready to draw.

    Arguments:
        model: "kitchen", the packaged default; a folder in diffusers' layout; or a hub id.
        device: such as "cpu" or "cuda".
        dtype: of the weights; float32 where not given.
    Raises:
        UserError: no such model, or it cannot be had here.
    """
    import torch
    import transformers
    from diffusers.utils import logging

    from egoframe.generator import familiarity
    from egoframe.generator.pipeline import ActionFramePipeline

    place, where = resolve(model), usable_device(device)
    logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    try:
        pipeline = ActionFramePipeline.from_pretrained(
            place, dtype=dtype or torch.float32, use_safetensors=True
        )
        pipeline.to(where)
    except (OSError, ValueError, KeyError, RuntimeError, AssertionError) as error:
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"{model}: cannot be opened as a model ({line})") from None
    pipeline.familiarity = familiarity.load(place)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def usable_device(name: str) -> torch.device:
    """The device of a name.

    Raises:
        UserError: there is none of that name here.
    """
    import torch

    try:
        return torch.zeros(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        line = str(error).splitlines()[0]
        raise UserError(f"device {name!r}: not to be had here ({line}); give cpu") from None


def resolve(model: str | Path) -> Path:
    """The folder of a model; that of a hub id is fetched, unless it is in the cache.

    Raises:
        UserError: no such model, or it cannot be had here.
    """
    if str(model) == DEFAULT:
        folder = packaged()
        if folder is None:
            raise UserError(
                'the default model is not in this installation; train one (README, "Your own '
                'data") and give its folder with --model'
            )
        return folder
    path = Path(model)
    if path.is_dir():
        if not (path / "model_index.json").exists():
            raise UserError(f"{path}: no model_index.json here; give a folder in diffusers' layout")
        return path
    if str(model).count("/") == 1 and not path.exists() and not str(model).startswith((".", "/")):
        return _fetch(str(model))
    raise UserError(
        f"{model}: no such model; give {DEFAULT!r}, a folder, or a hub id such as owner/name"
    )


def _fetch(hub_id: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(hub_id, allow_patterns=FILES))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{hub_id}: cannot be had from the hub ({' '.join(str(error).split())[:200]})"
        ) from None


def packaged() -> Path | None:
    """The folder of the default model, if it is installed."""
    folder = Path(str(files("egoframe"))) / "weights" / DEFAULT
    return folder if (folder / "model_index.json").exists() else None


def fingerprint(path: Path) -> str:
    """SHA-256 over the weights and settings of a model's folder."""
    digest = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.suffix in (".safetensors", ".json")):
        digest.update(str(file.relative_to(path)).encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()
