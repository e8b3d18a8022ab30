"""From the name of a model to a pipeline: packaged, LEGO's released ones, a folder, or a hub id."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from egoframe.errors import UserError, first_line
from egoframe.released import RECORD, RELEASES, prepared

if TYPE_CHECKING:
    import torch

    from egoframe.generator.pipeline import ActionFramePipeline

FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja", "README.md"]  # on the hub
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
        dtype: of the weights; if not given, float32 on a CPU, and on a GPU float16, as LEGO draws,
            but that on disk for the enhancer.
        bits: of the weights of the enhancer's language model, quantised while they are read.
        offload: keep on the device only the part that works; the others wait in main memory.
        compile: compile the U-Net (`torch.compile`): the first picture takes minutes, the others
            less time than without.
    Raises:
        UserError: no such model, or it cannot be had here.
    """
    import transformers
    from diffusers.utils import logging

    import egoframe
    from egoframe.enhancer.opening import check_bits, one_line, open_model, open_processor
    from egoframe.generator import familiarity
    from egoframe.generator.pipeline import ActionFramePipeline

    where = usable_device(device)
    if offload and where.type == "cpu":
        raise UserError("offloading takes a GPU; without one, leave it out")
    if offload and (compile or bits):
        raise UserError("offloading goes neither with compiling nor with quantised weights")
    check_bits(bits)
    place = resolve(model)
    logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    weights = dtype or default_dtype(where)
    # These are never left to diffusers, which would run, or ask to run, code that lies beside them.
    parts: dict[str, Any] = {"processor": None, "enhancer": None}
    if (place / "processor").is_dir():
        parts["processor"] = open_processor(place / "processor")
    if (place / "enhancer").is_dir():
        as_saved = dtype is None and (bits is not None or where.type != "cpu")
        parts["enhancer"] = open_model(
            place / "enhancer", None if as_saved else weights, bits, "cpu" if offload else where
        )
    elif bits is not None:
        raise UserError(f"{model}: has no enhancer whose weights could be quantised")
    with one_line(place, "cannot be opened as a model"):
        index = json.loads((place / "model_index.json").read_text(encoding="utf-8"))
        for name, kind in index.items():
            if isinstance(kind, list) and str(kind[0]).startswith("egoframe."):
                own = getattr(egoframe, kind[1])
                parts[name] = own.from_pretrained(place / name, dtype=weights, use_safetensors=True)
        pipeline = ActionFramePipeline.from_pretrained(
            place, dtype=weights, use_safetensors=True, **parts
        )
        if offload:
            pipeline.enable_model_cpu_offload(device=where)
        else:
            pipeline.to(where)
    quicken(pipeline, where, compile)
    with one_line(place / familiarity.FILE, "cannot be read"):
        pipeline.familiarity = familiarity.load(place)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def quicken(pipeline: ActionFramePipeline, device: torch.device, compile: bool) -> None:
    """Lay out the weights as the device likes them, and compile the U-Net if asked to."""
    import torch

    if device.type == "cuda":  # whose convolutions are faster in this layout
        for part in (pipeline.unet, pipeline.vae):
            part.to(memory_format=torch.channels_last)
    if compile:
        pipeline.unet.compile(mode="reduce-overhead" if device.type == "cuda" else "default")


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
        raise UserError(
            f"device {name!r}: not to be had here ({first_line(error)}); give cpu"
        ) from None


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
    from huggingface_hub.errors import HTTPError

    try:
        return Path(snapshot_download(hub_id, allow_patterns=FILES))
    except (OSError, ValueError, HTTPError) as error:
        raise UserError(f"{hub_id}: cannot be had from the hub ({first_line(error)})") from None


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
    kinds = (".json",) if _has_record(path) else (".safetensors", ".json")
    for file in sorted(p for p in path.rglob("*") if p.suffix in kinds):
        digest.update(str(file.relative_to(path)).encode())
        with file.open("rb") as content:
            while block := content.read(BLOCK):
                digest.update(block)
    return digest.hexdigest()


def _has_record(path: Path) -> bool:
    """Whether a folder was made from a release, and says of what files."""
    try:
        told = json.loads((path / RECORD).read_text(encoding="utf-8"))
        return bool(told) and all(
            part.keys() == {"repo", "revision", "sha256"} and part["sha256"].keys()
            for part in told.values()
        )
    except (OSError, ValueError, AttributeError):  # none, or none of ours
        return False
