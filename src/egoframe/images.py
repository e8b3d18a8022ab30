"""Photos from outside: opened as if hostile, and pictures written so that nothing is half there."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from egoframe.errors import UserError

if TYPE_CHECKING:
    from PIL import Image

MAX_BYTES = 64 * 2**20
MAX_PIXELS = 100_000_000
FORMATS = ("JPEG", "PNG", "WEBP")


@dataclass(frozen=True)
class Limits:
    """What a photo may have at most, before anything of it is decoded."""

    bytes: int = MAX_BYTES
    pixels: int = MAX_PIXELS
    side: int = MAX_PIXELS  # pixels


def open_photo(
    source: str | Path | bytes, name: str = "the picture", limits: Limits = Limits()
) -> Image.Image:
    """Open a photo as an upright RGB picture without metadata.

    The content decides, not the name; bytes and pixels are capped before anything is decoded. EXIF
    orientation is applied. Transparency is laid on white; of an animation the first frame counts;
    16-bit and CMYK pictures are converted.

    Arguments:
        source: a path, or the bytes of a file.
        name: what bytes are called in messages.
    Raises:
        UserError: missing, empty, too large, damaged, or not a JPEG, PNG or WebP picture.
    """
    from PIL import Image, UnidentifiedImageError

    name, data = (name, source) if isinstance(source, bytes) else _read(Path(source), limits)
    if not data:
        raise UserError(f"{name}: is empty (0 bytes); give a JPEG, PNG or WebP picture")
    if len(data) > limits.bytes:
        raise UserError(f"{name}: larger than {limits.bytes // 2**20} MB; give a smaller picture")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(data), formats=FORMATS)
            width, height = picture.size
            if width * height > limits.pixels:
                raise UserError(
                    f"{name}: {width}×{height} are too many pixels (at most "
                    f"{limits.pixels // 10**6} million); scale it down first"
                )
            if max(width, height) > limits.side:
                raise UserError(
                    f"{name}: {width}×{height} is too long (a side has at most {limits.side} "
                    "pixels); scale it down first"
                )
            picture.load()
            return upright(picture)
    except Image.DecompressionBombError:
        raise UserError(
            f"{name}: has too many pixels (at most {limits.pixels // 10**6} million); scale it "
            "down first"
        ) from None
    except UnidentifiedImageError:
        raise UserError(f"{name}: is not a JPEG, PNG or WebP picture") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"{name}: is damaged and cannot be decoded ({error})") from None


def _read(path: Path, limits: Limits) -> tuple[str, bytes]:
    try:
        if path.stat().st_size > limits.bytes:
            return str(path), bytes(limits.bytes + 1)
        return str(path), path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder; give a picture") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def upright(picture: Image.Image) -> Image.Image:
    """Any picture → RGB, turned as its EXIF orientation says, without metadata.

    Transparency is laid on white; 16 bits are scaled to 8.
    """
    import numpy as np
    from PIL import Image, ImageOps

    with contextlib.suppress(Exception):  # damaged metadata tell nothing; the picture counts
        picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I") or picture.mode == "F":  # 16 bits of grey
        values = np.asarray(picture, np.float64)
        top = 65535 if values.max() > 255 else 255
        picture = Image.fromarray((values / top * 255).clip(0, 255).astype(np.uint8))
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(white, layer)
    return Image.fromarray(np.asarray(picture.convert("RGB")))


def save_png(picture: Image.Image, path: Path, text: dict[str, str]) -> None:
    """Write a PNG with text chunks, whole or not at all; equal pictures give equal bytes."""
    write_bytes(path, png_bytes(picture, text))


def png_bytes(picture: Image.Image, text: dict[str, str]) -> bytes:
    """A PNG with text chunks; equal pictures give equal bytes."""
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    for key, value in text.items():
        info.add_itxt(key, value)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def make_folder(path: Path) -> Path:
    """A folder, made where it is not there yet.

    Raises:
        UserError: it cannot be.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be made ({error.strerror}); give another folder") from None
    return path


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all.

    Raises:
        UserError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.writing")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise UserError(f"{path}: cannot be written ({error.strerror})") from None


def side_by_side(left: Image.Image, right: Image.Image) -> Image.Image:
    """Two pictures beside each other, at the right one's size, with a gap between them."""
    from PIL import Image

    gap = max(2, right.width // 64)
    sheet = Image.new("RGB", (2 * right.width + gap, right.height), (255, 255, 255))
    sheet.paste(left.convert("RGB").resize(right.size, Image.Resampling.LANCZOS), (0, 0))
    sheet.paste(right, (right.width + gap, 0))
    return sheet
