"""The page's private folder: names of our own making, old files and too many of them go."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import tempfile
import time
from pathlib import Path

from egoframe.apps.server.settings import Settings


class PrivateFolder:
    """A folder that this process made and that nobody else may enter.

    Attributes:
        path: without links in it.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.path = Path(tempfile.mkdtemp(prefix="egoframe-")).resolve()
        self._stays: frozenset[Path] = frozenset()

    def write(self, png: bytes) -> str:
        """The path of a new file with a PNG in it."""
        self.sweep()
        path = self.path / f"{secrets.token_urlsafe(16)}.png"
        path.write_bytes(png)
        return str(path)

    def holds(self, name: str) -> Path | None:
        """The file of a name that a browser sent, if it is one in here."""
        try:
            path = Path(name).resolve()
            return path if path.is_relative_to(self.path) and path.is_file() else None
        except (OSError, ValueError):
            return None

    def keep_what_is_there(self) -> None:
        """What is in it now belongs to the page and stays."""
        self._stays = frozenset(self.path.rglob("*"))

    def sweep(self) -> None:
        """Remove what is too old, and the oldest of what is too much."""
        found = []
        for path in self.path.rglob("*"):
            with contextlib.suppress(OSError):  # another sweep may be there first
                if path not in self._stays and path.is_file():
                    told = path.stat()
                    found.append((told.st_mtime, told.st_size, path))
        oldest, room = time.time() - self.settings.keep, self.settings.kept_bytes
        for written, size, path in sorted(found, reverse=True):
            room -= size
            if written < oldest or room < 0:
                path.unlink(missing_ok=True)
                if path.parent != self.path:
                    with contextlib.suppress(OSError):  # not empty
                        path.parent.rmdir()

    def remove(self) -> None:
        """With all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
