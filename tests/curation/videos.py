"""Synthetic videos whose every frame carries its own number."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

COLUMNS, ROWS, SQUARE = 4, 3, 32
WIDTH, HEIGHT = COLUMNS * SQUARE, ROWS * SQUARE
TICKS = 90000  # a second, of the times that are given


def numbered(number: int) -> np.ndarray:
    """A noisy picture (HEIGHT, WIDTH, 3) that carries its number as black or white squares."""
    bits = (number >> np.arange(ROWS * COLUMNS)) & 1
    squares = bits.reshape(ROWS, COLUMNS).astype(np.uint8) * 170 + 40
    noise = np.random.default_rng(number % 50).integers(-30, 30, (HEIGHT, WIDTH, 3))
    return (np.kron(squares, np.ones((SQUARE, SQUARE), np.uint8))[..., None] + noise).astype("u1")


def number_of(picture: np.ndarray) -> int:
    """The number that a picture of any size carries."""
    small = Image.fromarray(picture).convert("L").resize((COLUMNS, ROWS), Image.Resampling.BOX)
    return int(((np.asarray(small) > 127).ravel() * 2 ** np.arange(ROWS * COLUMNS)).sum())


def make_video(
    path: Path,
    count: int = 120,
    rate: Fraction | int = 25,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    pixels: str = "yuv420p",
    times: Sequence[int] | None = None,  # of the frames, in TICKS; else `rate` tells
    container_options: dict[str, str] | None = None,
) -> Path:
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixels
        stream.options = options or {}
        if times is not None:
            stream.codec_context.time_base = Fraction(1, TICKS)
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(numbered(number), format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[number], Fraction(1, TICKS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def patch_box(path: Path, kind: bytes, offset: int, values: bytes) -> None:
    """Overwrite bytes of an MP4's box, from an offset behind its kind."""
    data = bytearray(path.read_bytes())
    at = data.index(kind) + 4 + offset
    data[at : at + len(values)] = values
    path.write_bytes(data)


def rotate(path: Path, degrees: int) -> None:
    """Have an MP4 shown turned clockwise (ISO/IEC 14496-12, 8.3.2: x' = ax + cy, y' = bx + dy)."""
    cos, sin = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    a, b, c, d = cos, sin, -sin, cos
    matrix = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    patch_box(path, b"tkhd", 40, matrix)


def trim_start(path: Path, ticks: int) -> None:
    """Have an MP4's edit list begin later in the media, by `ticks` of its time scale."""
    data = path.read_bytes()
    at = data.index(b"elst")
    version, entries = data[at + 4], struct.unpack_from(">I", data, at + 8)[0]
    assert version == 0
    assert entries == 1
    (media_time,) = struct.unpack_from(">i", data, at + 16)
    patch_box(path, b"elst", 12, struct.pack(">i", media_time + ticks))


def retime(path: Path, to: Path, times: Sequence[int]) -> Path:
    """Copy a video without B-frames, giving its packets other presentation times, in ms."""
    with av.open(str(path)) as source, av.open(str(to), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.size]
        for number, (packet, time) in enumerate(zip(packets, times, strict=True)):
            packet.time_base = Fraction(1, 1000)
            packet.pts, packet.dts = time, number - 10 * len(packets)
            packet.stream = stream
            target.mux(packet)
    return to


def decode_all(path: Path, rate: float | None = None) -> tuple[np.ndarray, list[np.ndarray]]:
    """Times from the first frame, in seconds, and pictures, of a plain full decode.

    Arguments:
        rate: count the frames at this rate, where the container has no times.
    """
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [(frame.time, frame.to_ndarray(format="rgb24"))
                  for frame in container.decode(stream)]  # fmt: skip
    times = np.array([n / rate if rate else time for n, (time, _) in enumerate(frames)])
    return times - times[0], [picture for _, picture in frames]
