"""Pictures as an attacker sends them: damaged, forged, of other types, and pictures of no end."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator

from PIL import Image

FORMATS = ("JPEG", "PNG", "WEBP")


def encoded(kind: str, size: tuple[int, int] = (40, 30), **settings) -> bytes:
    """A picture whose colours vary, in a format."""
    file = io.BytesIO()
    Image.radial_gradient("L").resize(size).convert("RGB").save(file, kind, **settings)
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    """Of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(width: int, height: int, data: bytes = b"") -> bytes:
    """A PNG that claims a size, whatever data it has."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    rest = chunk(b"IDAT", data or zlib.compress(bytes(64))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + rest


def truncated(draw: random.Random) -> bytes:
    data = encoded(draw.choice(FORMATS))
    return data[: draw.randrange(len(data))]


def flipped(draw: random.Random) -> bytes:
    data = bytearray(encoded(draw.choice(FORMATS)))
    for _ in range(draw.randrange(1, 20)):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return bytes(data)


def spliced(draw: random.Random) -> bytes:
    one, two = (encoded(draw.choice(FORMATS)) for _ in range(2))
    return one[: draw.randrange(len(one))] + two[draw.randrange(len(two)) :]


def bomb(draw: random.Random) -> bytes:
    """Small to send and huge to decode."""
    kind = draw.randrange(4)
    if kind == 0:
        return png_of(draw.randrange(1, 2**31), draw.randrange(1, 2**31))
    if kind == 1:
        return png_of(30_000, 30_000, zlib.compress(bytes(2**20)))
    if kind == 2:  # a text chunk that unpacks to 64 MB
        text = b"Comment\x00\x00" + zlib.compress(bytes(2**26), 9)
        whole = png_of(8, 8)
        return whole[:33] + chunk(b"zTXt", text) + whole[33:]
    return png_of(1, 60_000, zlib.compress(bytes(2**18)))


def polyglot(draw: random.Random) -> bytes:
    """A picture that is something else, too."""
    other = draw.choice(
        (b"<script>alert(1)</script>", b"GIF89a\x01\x00\x01\x00", b"%PDF-1.7\n", b"PK\x03\x04" * 9,
         b"<?php system($_GET[0]); ?>", b"\x7fELF", b"#!/bin/sh\nid\n")
    )  # fmt: skip
    data = encoded(draw.choice(FORMATS))
    return draw.choice((data + other, other + data, data[:20] + other + data[20:]))


def other_type(draw: random.Random) -> bytes:
    return draw.choice(
        (
            lambda: encoded("GIF"),
            lambda: encoded("BMP"),
            lambda: encoded("TIFF"),
            lambda: encoded("ICO"),
            lambda: encoded("PPM"),
            lambda: (
                b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>"
            ),
            lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
            lambda: b"http://127.0.0.1/picture.png",
            lambda: b"",
            lambda: draw.randbytes(draw.randrange(1, 3000)),
        )
    )()


def good(draw: random.Random) -> bytes:
    return encoded(draw.choice(FORMATS), (draw.randrange(20, 60), draw.randrange(20, 60)))


KINDS: dict[str, Callable[[random.Random], bytes]] = {
    "truncated": truncated, "flipped": flipped, "spliced": spliced, "bomb": bomb,
    "polyglot": polyglot, "other type": other_type, "good": good,
}  # fmt: skip
NAMES = (
    "photo.png",
    "../../etc/passwd",
    "/tmp/x.png",
    "a\x00b.png",
    "..\\..\\x",
    "x" * 300,
    "ü.jpg",
)


def mutated(seed: int, count: int) -> Iterator[tuple[str, str, bytes]]:
    """Kind, file name and bytes of each."""
    for number in range(count):
        draw = random.Random(f"{seed}/{number}")
        kind = list(KINDS)[number % len(KINDS)]
        yield kind, draw.choice(NAMES), KINDS[kind](draw)
