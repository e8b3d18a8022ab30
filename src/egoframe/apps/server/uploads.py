"""Photos from outside: checked and decoded off the event loop, few at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.datastructures import UploadFile

from egoframe.apps.server.settings import Settings
from egoframe.errors import printable
from egoframe.images import open_photo

if TYPE_CHECKING:
    from PIL import Image

LONGEST_NAME = 60  # characters of a file's name in a message


class Decoder:
    """Opens uploads as upright RGB pictures without metadata."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._room = asyncio.Semaphore(settings.decoders)

    async def open(self, upload: UploadFile) -> Image.Image:
        """The picture of an upload, at most `photo_side` long; its name is for messages alone.

        Raises:
            UserError: it is no picture that is taken.
        """
        async with self._room:
            return await asyncio.to_thread(self._open, await upload.read(), upload.filename)

    def _open(self, data: bytes, name: str | None) -> Image.Image:
        called = printable(name or "")[-LONGEST_NAME:] or "the picture"
        photo = open_photo(data, called, self.settings.photo)
        times = -(-max(photo.size) // self.settings.photo_side)
        return photo.reduce(times) if times > 1 else photo
