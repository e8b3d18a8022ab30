"""Frames as small JPEGs inside the page."""

from __future__ import annotations

import base64
import io

from PIL import Image

from egoframe.errors import UserError
from egoframe.images import open_photo

WIDTH = 256  # pixels at most, as the height: a dataset as it is built by default, unscaled
QUALITY = 80


def data_uri(encoded: bytes) -> str | None:
    """A picture as the URI of a small JPEG; None where it cannot be decoded."""
    try:
        picture = open_photo(encoded)
    except UserError:
        return None
    picture.thumbnail((WIDTH, WIDTH), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
