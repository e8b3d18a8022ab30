"""Folders on this machine or at any fsspec URL, whose files are whole or absent."""

from __future__ import annotations

import contextlib
import fnmatch
import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from egoframe.errors import UserError, first_line


class Folder:
    """A folder, here or at a URL such as `s3://bucket/pairs`.

    Names inside it are relative, with slashes. What fails says which file, and why.

    Raises:
        UserError: no such kind of URL, or its package is not installed.
    """

    def __init__(self, where: str | Path) -> None:
        from fsspec.core import url_to_fs

        try:
            self.fs, root = url_to_fs(str(where))
        except Exception as error:  # whatever a store's own library thinks of it
            raise UserError(f"{where}: {first_line(error)}") from None
        self.root = str(root).rstrip("/") or "/"
        self.url = str(where)
        self.local = "file" in _protocols(self.fs)

    def __str__(self) -> str:
        return self.url

    def path(self, name: str = "") -> str:
        """The full path of a file, as its file system wants it."""
        return f"{self.root}/{name}" if name else self.root

    def link(self, name: str = "") -> str:
        """A path or URL under which any process finds a file, or the folder itself."""
        if self.local:
            return self.path(name)
        return f"{self.url.rstrip('/')}/{name}" if name else self.url

    def exists(self, name: str = "") -> bool:
        with self._telling(name):
            return bool(self.fs.exists(self.path(name)))

    def names(self, pattern: str) -> list[str]:
        """Names of the files that match a pattern, such as `train/*.parquet`, sorted."""
        folder, _, wanted = pattern.rpartition("/")
        with self._telling(folder):
            self.fs.invalidate_cache()  # other processes write here too
            try:
                paths = self.fs.ls(self.path(folder), detail=False)
            except (FileNotFoundError, NotADirectoryError):
                return []
        names = fnmatch.filter((str(path).rpartition("/")[2] for path in paths), wanted)
        return sorted(f"{folder}/{name}" if folder else name for name in names)

    @contextmanager
    def _telling(self, name: str) -> Iterator[None]:
        """What a store's own library raises is told in one line."""
        try:
            yield
        except Exception as error:
            raise UserError(f"{self.link(name)}: cannot be reached ({first_line(error)})") from None

    def read(self, name: str) -> bytes:
        """What a file holds.

        Raises:
            UserError: it cannot be read.
        """
        try:
            return bytes(self.fs.cat_file(self.path(name)))
        except Exception as error:
            raise UserError(f"{self.link(name)}: cannot be read ({_why(error)})") from None

    def open(self, name: str) -> IO[bytes]:
        """A file, open for reading in any order.

        Raises:
            UserError: it cannot be read.
        """
        try:
            return self.fs.open(self.path(name), "rb")  # type: ignore[no-any-return]
        except Exception as error:
            raise UserError(f"{self.link(name)}: cannot be read ({_why(error)})") from None

    def write(self, name: str, data: bytes | str) -> None:
        """Write a file, whole or not at all: a process that dies leaves no half of it.

        Raises:
            UserError: it cannot be written; the file is as it was.
        """
        with self.writing(name) as file:
            file.write(data.encode() if isinstance(data, str) else data)

    @contextmanager
    def writing(self, name: str) -> Iterator[IO[bytes]]:
        """A file to write piece by piece; it gets its name when all of it is there.

        Raises:
            UserError: it cannot be written; the file is as it was.
        """
        path = self.path(name)
        try:
            with _local(Path(path)) if self.local else _remote(self.fs, path) as file:
                yield file
        except OSError as error:
            raise UserError(
                f"{self.link(name)}: cannot be written ({_why(error)}); what was finished is kept, "
                "the same command goes on"
            ) from None

    def delete(self, name: str) -> None:
        """Remove a file or folder, if it is there."""
        with self._telling(name), contextlib.suppress(FileNotFoundError):
            self.fs.rm(self.path(name), recursive=True)


def _protocols(fs: Any) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)


@contextmanager
def _local(path: Path) -> Iterator[IO[bytes]]:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.writing")
    try:
        with temporary.open("wb") as file:
            yield file
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _remote(fs: Any, path: str) -> Iterator[IO[bytes]]:
    """Written here first: a store shows an object once all of it has come."""
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/file", "wb") as file:
            yield file
        try:
            fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            fs.put_file(f"{folder}/file", path)
        except Exception as error:  # whatever a store's own library raises
            raise OSError(_why(error)) from None


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or first_line(error)
