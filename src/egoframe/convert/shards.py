"""A model's folder in shards: read from a folder or a .zip, and written."""

from __future__ import annotations

import json
import shutil
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from egoframe.errors import UserError, first_line

INDEX = "model.safetensors.index.json"
INDICES = (INDEX, "pytorch_model.bin.index.json")
SINGLE = ("model.safetensors", "pytorch_model.bin")
MAX_SHARD = 5_000_000_000  # bytes


class Source:
    """The files of a release: in a folder, or in a .zip, whence each is taken when it is needed."""

    def __init__(self, source: Path, spare: Path) -> None:
        self.source, self.spare = source, spare
        self.members: dict[str, zipfile.ZipInfo] = {}
        spare.mkdir()
        try:
            if source.is_dir():
                self.names = {path.name for path in source.iterdir()}
            else:
                self.members = self._members()
                self.names = set(self.members)
        except zipfile.BadZipFile:
            raise UserError(f"{source}: neither a folder nor a whole .zip of one") from None
        except OSError as error:
            raise UserError(f"{source}: cannot be read ({error.strerror or error})") from None
        if "config.json" not in self.names:
            raise UserError(f"{source}: no config.json in it, so it is no model's folder")

    def path(self, name: str) -> Path:
        """Where a file lies; it is unpacked first if need be."""
        if not self.members:
            return self.source / name
        place = self.spare / name
        if place.exists():
            return place
        try:
            with (
                zipfile.ZipFile(self.source) as archive,
                archive.open(self.members[name]) as packed,
                place.open("wb") as unpacked,
            ):
                shutil.copyfileobj(packed, unpacked, 1 << 20)
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
            told = first_line(error)
            raise UserError(f"{self.source}: damaged: {name} cannot be read ({told})") from None
        except OSError as error:
            told = error.strerror or str(error)
            raise UserError(f"{self.source}: {name} cannot be unpacked ({told})") from None
        return place

    def drop(self, name: str) -> None:
        """Give back the room of a file that was unpacked."""
        (self.spare / name).unlink(missing_ok=True)

    def json(self, name: str) -> dict[str, Any]:
        path = self.path(name)
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"{self.source}: {name} is no JSON ({first_line(error)})") from None
        if not isinstance(value, dict):
            raise UserError(f"{self.source}: {name} is no JSON object")
        return value

    def _members(self) -> dict[str, zipfile.ZipInfo]:
        """The files of the outermost folder that has a config.json, by their bare names."""
        with zipfile.ZipFile(self.source) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
        roots = [
            PurePosixPath(member.filename).parent
            for member in members
            if PurePosixPath(member.filename).name == "config.json"
        ]
        root = min(roots, key=lambda path: len(path.parts), default=PurePosixPath())
        paths = {PurePosixPath(member.filename): member for member in members}
        return {
            path.name: member
            for path, member in paths.items()
            if path.parent == root and not path.name.startswith(".")
        }


class Writer:
    """Writes weights in files of at most `MAX_SHARD`, with their index."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: list[list[str]] = []
        self.size = 0

    def add(self, tensors: Mapping[str, Tensor]) -> None:
        waiting: dict[str, Tensor] = {}
        for name, tensor in tensors.items():
            if waiting and sum(x.nbytes for x in waiting.values()) + tensor.nbytes > MAX_SHARD:
                self._write(waiting)
                waiting = {}
            waiting[name] = tensor.contiguous()
        if waiting:
            self._write(waiting)

    def _write(self, tensors: dict[str, Tensor]) -> None:
        save_file(tensors, self.folder / f"{len(self.files)}.part", metadata={"format": "pt"})
        self.files.append(list(tensors))
        self.size += sum(tensor.nbytes for tensor in tensors.values())

    def finish(self) -> None:
        """Give the files their names, and write the index."""
        places: dict[str, str] = {}
        for number, names in enumerate(self.files):
            file = f"model-{number + 1:05d}-of-{len(self.files):05d}.safetensors"
            (self.folder / f"{number}.part").rename(self.folder / file)
            places |= dict.fromkeys(names, file)
        index = {"metadata": {"total_size": self.size}, "weight_map": places}
        text = json.dumps(index, indent=1, sort_keys=True) + "\n"
        (self.folder / INDEX).write_text(text, encoding="utf-8")
