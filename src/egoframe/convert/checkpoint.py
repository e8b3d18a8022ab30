"""Opening other people's checkpoints, and writing folders that are whole or absent.

A `.ckpt` or `.bin` file is a pickle, which may run any code when it is opened. These are opened
with `weights_only=True`, which builds tensors and plain containers alone. What training frameworks
leave beside the weights (callbacks, settings) is replaced by inert stand-ins; anything else is
refused.
"""

from __future__ import annotations

import pickletools
import secrets
import shutil
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from diffusers.utils import logging as diffusers_logging
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from transformers.utils import logging as transformers_logging

from egoframe.errors import UserError, first_line, printable

# Modules whose objects lie beside the weights in checkpoints of known trainers; none is imported.
TRAINERS = ("pytorch_lightning", "lightning", "lightning_fabric", "omegaconf", "argparse",
            "pathlib", "numpy", "typing", "collections", "parse_config")  # fmt: skip
# Types, which settings name; the last two make those such as Optional[int].
TYPES = ("builtins.dict", "builtins.list", "builtins.tuple", "builtins.set", "builtins.int",
         "builtins.float", "builtins.str", "builtins.bool", "builtins.type", "types.GenericAlias",
         "_operator.getitem")  # fmt: skip
ZIP, PICKLE, POINTER = b"PK\x03\x04", b"\x80", b"version https://git-lfs"  # how files start
PICKLES = 4  # in a file of torch < 1.6, before the weights
SHOWN = 8  # keys of each kind in a report

Tell = Callable[[str], object]  # is told what is being done


class _Inert:
    """Takes the place of any object that is not a weight; does nothing."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __setstate__(self, _: Any) -> None: ...


class _InertDict(_Inert):
    """Becomes a plain mapping, which may be given items."""

    def __new__(cls, *_: Any) -> Any:
        return OrderedDict()


class _InertList(_Inert):
    """Becomes a plain list, which may be appended to."""

    def __new__(cls, *_: Any) -> Any:
        return []


def silent(_: str) -> None:
    """Tell nobody."""


def open_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors of a `.ckpt`, `.bin`, `.pt` or `.safetensors` file, by name; memory-mapped.

    Nothing that the file holds is executed or imported.

    Raises:
        UserError: no such file, a damaged or hostile one, or one without tensors.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        with path.open("rb") as file:
            start = file.read(len(POINTER))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    if start == POINTER:
        raise UserError(f"{path}: a git-LFS pointer, not the file: fetch it with git lfs pull")
    safe = path.suffix == ".safetensors"
    if not safe and not start.startswith((ZIP, PICKLE)):
        raise UserError(f"{path}: no checkpoint: neither what torch.save writes nor a pickle")
    try:
        loaded = load_file(path) if safe else _unpickle(path, start.startswith(ZIP))
    except UserError:
        raise
    except Exception:  # of any kind; torch's own text advises to run what the file holds
        raise UserError(f"{path}: damaged, or no checkpoint; fetch it again") from None
    state = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else {}
    pairs = dict.items(state) if isinstance(state, dict) else ()
    tensors = {str(key): value for key, value in pairs if isinstance(value, Tensor)}
    if not tensors:
        raise UserError(f"{path}: holds no weights")
    return tensors


def _unpickle(path: Path, zipped: bool) -> Any:
    if zipped:
        foreign = set(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    else:
        foreign = _named(path)
    hostile = [n for n in foreign if n.partition(".")[0] not in TRAINERS and n not in TYPES]
    if hostile:
        raise UserError(
            f"{path}: not opened, for it holds objects that are not weights: "
            f"{some(sorted(hostile))}"
        )
    stand_ins = [(_stand_in(name), name) for name in foreign]
    with torch.serialization.safe_globals(stand_ins), warnings.catch_warnings():  # type: ignore[arg-type]
        warnings.simplefilter("ignore")  # of other pickles' kinds
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)


def _named(path: Path) -> set[str]:
    """The objects that a bare pickle names, besides torch's; none of them is looked up."""
    found, texts = set(), [""]
    with path.open("rb") as file, suppress(ValueError):  # what is no pickle any more
        for _ in range(PICKLES):
            for code, told, _ in pickletools.genops(file):
                if code.name in ("GLOBAL", "INST"):
                    found.add(str(told).replace(" ", "."))
                elif code.name == "STACK_GLOBAL":
                    found.add(".".join(texts[-2:]))
                elif isinstance(told, str):
                    texts.append(told)
    return {name for name in found if name.partition(".")[0] not in ("torch", "_codecs")}


def _stand_in(name: str) -> type:
    """Something inert for an object of that name, a class of its own for each."""
    kind: type = _Inert
    if name.lower().endswith("dict"):
        kind = _InertDict
    elif name.endswith((".deque", ".list")):
        kind = _InertList
    return type("Inert", (kind,), {})


def check_keys(
    found: Mapping[str, Tensor], wanted: Mapping[str, torch.Size], name: str, path: Path
) -> None:
    """Compare the tensors of a part with those it needs.

    Raises:
        UserError: some are missing, unexpected, of another shape, or whole numbers; the line
            names them.
    """
    there = [key for key in wanted if key in found]
    problems = {
        "missing": [key for key in wanted if key not in found],
        "unexpected": [key for key in found if key not in wanted],
        "of another shape": [
            f"{key} is {tuple(found[key].shape)} for {tuple(wanted[key])}"
            for key in there
            if found[key].shape != wanted[key]
        ],
        "of whole numbers": [key for key in there if not found[key].is_floating_point()],
    }
    told = [f"{len(keys)} {kind}: {some(keys)}" for kind, keys in problems.items() if keys]
    if told:
        raise UserError(f"{path}: does not fit {name} ({'; '.join(told)})")


def some(keys: Iterable[str]) -> str:
    """The first of some names, for a line."""
    names = list(keys)
    return printable(", ".join(names[:SHOWN])) + (", …" if len(names) > SHOWN else "")


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to write in, that takes the name `out` when all went well, and else is gone.

    Raises:
        UserError: `out` exists, or cannot be written.
    """
    check_absent(out)
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    temporary = out.with_name(f".{out.name}.{secrets.token_hex(4)}")  # each run has its own
    try:
        with saving(out):
            temporary.mkdir(parents=True)
        yield temporary
        with saving(out):
            _share(temporary)
            check_absent(out)
            temporary.rename(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def saving(out: Path) -> Iterator[None]:
    """Tell in one line why something could not be written.

    Raises:
        UserError: the disk is full, or `out` may not be written.
    """
    try:
        yield
    except Exception as error:
        told = isinstance(error, OSError | SafetensorError | RuntimeError)
        if not told and type(error) is not Exception:  # which is what tokenizers raises
            raise
        raise UserError(f"{out}: cannot be written ({first_line(error)})") from None


def check_absent(out: Path) -> None:
    """Find out before the work whether a folder can be written.

    Raises:
        UserError: there is something of that name.
    """
    if out.exists():
        raise UserError(f"{out}: exists; give a new folder, or remove it")


def _share(folder: Path) -> None:
    """Give files the usual permissions; safetensors writes some for their owner alone."""
    usual = folder.stat().st_mode & 0o666
    for file in folder.rglob("*"):
        if file.is_file() and file.stat().st_nlink == 1:  # no link to a file of others
            file.chmod(usual)
