"""From the name of a model to a pipeline: packaged, LEGO's released ones, a folder, or a hub id."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from egoframe.errors import UserError
from egoframe.released import RECORD, RELEASES, prepared

if TYPE_CHECKING:
    import torch

    from egoframe.generator.pipeline import ActionFramePipeline

FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]  # of a model on the hub
BLOCK = 1 << 20  # bytes read at once; a model may be larger than the memory
DEFAULT = "kitchen"  # ships with the package; it knows the built-in kitchen alone


def load(
    model: str | Path = DEFAULT,
    device: str | None = None,
    dtype: torch.dtype | None = None,
    bits: Literal[4, 8] | None = None,
    offload: bool = False,
    compile: bool = False,
) -> ActionFramePipeline:
    """Open a model, ready to draw.

    Arguments:
        model: "kitchen", the packaged default; "lego-ego4d" and the like, which LEGO's authors
            released; a folder in diffusers' layout; or a hub id.
        device: such as "cpu" or "cuda"; the GPU, where there is one, if not given.
        dtype: of the weights; float32 on a CPU and float16 on a GPU, as LEGO draws, if not given.
        bits: of the weights of the enhancer's language model, quantised while they are read.
        offload: keep on the device only the part that works; the others wait in main memory.
        compile: compile the U-Net (`torch.compile`): the first picture takes minutes, the others
            less time than without.
    Raises:
        UserError: no such model, or it cannot be had here.
    """
    import torch
    import transformers
    from diffusers.utils import logging

    from egoframe.enhancer.opening import open_model, open_processor
    from egoframe.generator import familiarity
    from egoframe.generator.pipeline import ActionFramePipeline

    place, where = resolve(model), usable_device(device)
    if offload and where.type == "cpu":
        raise UserError("offloading takes a GPU; without it, leave it out")
    logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    weights = dtype or default_dtype(where)
    parts = {}
    if (place / "processor").is_dir():
        parts["processor"] = open_processor(place / "processor")
    if bits is not None:
        if not (place / "enhancer").is_dir():
            raise UserError(f"{model}: has no enhancer whose weights could be quantised")
        parts["enhancer"] = open_model(place / "enhancer", weights, bits, where)
    try:
        pipeline = ActionFramePipeline.from_pretrained(
            place, dtype=weights, use_safetensors=True, **parts
        )
        if where.type == "cuda":  # convolutions are faster there in this layout
            for part in (pipeline.unet, pipeline.vae):
                part.to(memory_format=torch.channels_last)
        if offload:
            pipeline.enable_model_cpu_offload(device=where)
        else:
            pipeline.to(where)
    except (OSError, ValueError, KeyError, RuntimeError, AssertionError) as error:
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"{model}: cannot be opened as a model ({line})") from None
    if compile:
        pipeline.unet.compile(mode="reduce-overhead" if where.type == "cuda" else "default")
    pipeline.familiarity = familiarity.load(place)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def usable_device(name: str | None) -> torch.device:
    """The device of a name; without one, the GPU where there is one.

    Raises:
        UserError: there is none of that name here.
    """
    import torch

    name = name or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.zeros(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        line = str(error).splitlines()[0]
        raise UserError(f"device {name!r}: not to be had here ({line}); give cpu") from None


def default_dtype(device: torch.device) -> torch.dtype:
    """What weights are drawn with, if nothing else is said."""
    import torch

    return torch.float32 if device.type == "cpu" else torch.float16


def resolve(model: str | Path) -> Path:
    """The folder of a model; what is on the hub is fetched, unless it is in the cache.

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
    if str(model) in RELEASES:
        return prepared(str(model))
    path = Path(model)
    if path.is_dir():
        if not (path / "model_index.json").exists():
            raise UserError(f"{path}: no model_index.json here; give a folder in diffusers' layout")
        return path
    if path.suffix == ".ckpt" and path.is_file():
        raise UserError(
            f"{path}: a checkpoint; convert it first, with egoframe convert lego {path} OUT"
        )
    if str(model).count("/") == 1 and not path.exists() and not str(model).startswith((".", "/")):
        return _fetch(str(model))
    raise UserError(
        f"{model}: no such model; give {', '.join([DEFAULT, *RELEASES])}, a folder, or a hub id "
        "such as owner/name"
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
    """SHA-256 over the weights and settings of a model's folder.

    Of one that was made from a release, over its record, which has the hashes of all that it was
    made from, and its settings: the weights may have tens of gigabytes.
    """
    digest = hashlib.sha256()
    kinds = (".json",) if (path / RECORD).exists() else (".safetensors", ".json")
    for file in sorted(p for p in path.rglob("*") if p.suffix in kinds):
        digest.update(str(file.relative_to(path)).encode())
        with file.open("rb") as content:
            while block := content.read(BLOCK):
                digest.update(block)
    return digest.hexdigest()
