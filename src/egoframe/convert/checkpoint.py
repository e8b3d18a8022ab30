"""Opening other people's checkpoints, and writing folders that are whole or absent.

A `.ckpt` or `.bin` file is a pickle, which may run any code when it is opened. These are opened
with `weights_only=True`, which builds tensors and plain containers alone. What training frameworks
leave beside the weights (callbacks, settings) is replaced by inert stand-ins; anything else is
refused.
"""

from __future__ import annotations

import pickle
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from diffusers.utils import logging as diffusers_logging
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from transformers.utils import logging as transformers_logging

from egoframe.errors import UserError

# Modules whose objects lie beside the weights in checkpoints of known trainers; none is imported.
TRAINERS = ("pytorch_lightning", "lightning", "lightning_fabric", "omegaconf", "argparse",
            "pathlib", "numpy", "typing", "collections")  # fmt: skip
SHOWN = 8  # keys of each kind in a report


class _Inert:
    """Takes the place of any object that is not a weight; does nothing."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __setstate__(self, _: Any) -> None: ...


def open_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors of a `.ckpt`, `.bin`, `.pt` or `.safetensors` file, by name; memory-mapped.

    Nothing that the file holds is executed or imported.

    Raises:
        UserError: no such file, a damaged or hostile one, or one without tensors.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        loaded = _unpickle(path)
    except (SafetensorError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: damaged, or no checkpoint ({_line(error)})") from None
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path}: not opened, for it holds more than weights ({_line(error)})"
        ) from None
    state = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else {}
    tensors = {str(key): value for key, value in state.items() if isinstance(value, Tensor)}
    if not tensors:
        raise UserError(f"{path}: holds no weights")
    return tensors


def _unpickle(path: Path) -> Any:
    if not zipfile.is_zipfile(path):  # torch < 1.6 wrote bare pickles
        return torch.load(path, map_location="cpu", weights_only=True)
    foreign = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    hostile = sorted(name for name in foreign if name.partition(".")[0] not in TRAINERS)
    if hostile:
        raise pickle.UnpicklingError(f"it would call {', '.join(hostile[:SHOWN])}")
    stand_ins = [(type("Inert", (_Inert,), {}), name) for name in foreign]
    with torch.serialization.safe_globals(stand_ins):  # type: ignore[arg-type]
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)


def _line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200]


def check_keys(
    found: Mapping[str, Tensor], wanted: Mapping[str, torch.Size], name: str, path: Path
) -> None:
    """Compare the tensors of a part with those it needs.

    Raises:
        UserError: some are missing, unexpected or of another shape; the line names them.
    """
    wrong = [
        f"{key} is {tuple(found[key].shape)} for {tuple(wanted[key])}"
        for key in wanted
        if key in found and found[key].shape != wanted[key]
    ]
    problems = {
        "missing": [key for key in wanted if key not in found],
        "unexpected": [key for key in found if key not in wanted],
        "of another shape": wrong,
    }
    told = [f"{len(keys)} {kind}: {_some(keys)}" for kind, keys in problems.items() if keys]
    if told:
        raise UserError(f"{path}: does not fit {name} ({'; '.join(told)})")


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:SHOWN]) + (", …" if len(keys) > SHOWN else "")


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to write in, that takes the name `out` when all went well, and else is gone.

    Raises:
        UserError: `out` exists, or cannot be written, or the disk is full.
    """
    if out.exists():
        raise UserError(f"{out}: exists; give a new folder, or remove it")
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    temporary = out.with_name(f".{out.name}.writing")
    try:
        shutil.rmtree(temporary, ignore_errors=True)  # of a run that was killed
        temporary.mkdir(parents=True)
        yield temporary
        temporary.rename(out)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{out}: cannot be written ({_line(error)})") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
