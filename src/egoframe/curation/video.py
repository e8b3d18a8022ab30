"""Frames by their time, out of a video or a folder of numbered frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

SEEK_AHEAD = 2.0  # seconds; a longer way to the next wanted frame is skipped, not decoded


class UnreadableMedia(Exception):
    """A frame or video that cannot be decoded; says which and why."""


def read_frames(media: Path, times: Sequence[float], fps: float) -> list[Image.Image]:
    """The frames on show at some times.

    Arguments:
        media: a video, or a folder of `frame_%010d.jpg`, the first numbered 1.
        times: seconds.
        fps: of the numbered frames; a video's own presentation times count.
    Raises:
        UnreadableMedia: a missing or damaged file, or a time past the end.
    """
    if media.is_dir():
        return [_read_numbered(media, round(t * fps) + 1) for t in times]
    if not media.exists():
        raise UnreadableMedia(f"{media.name}: no such video")
    return _decode(media, times)


def _read_numbered(folder: Path, number: int) -> Image.Image:
    path = folder / f"frame_{number:010d}.jpg"
    try:
        with Image.open(path) as picture:
            return picture.convert("RGB")
    except OSError as error:
        raise UnreadableMedia(f"{folder.name}/{path.name}: {error}") from None


def _decode(path: Path, times: Sequence[float]) -> list[Image.Image]:
    """One pass over the video, in the order of time; GOPs that hold no wanted frame are skipped."""
    import av

    order = np.argsort(times, kind="stable")
    found: dict[int, Image.Image] = {}
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "SLICE"
            base = float(stream.time_base or 0)
            first = (stream.start_time or 0) * base
            half = 0.5 / float(stream.average_rate or 50)
            frames = container.decode(stream)
            current = None
            for index in order:
                wanted = times[index] + first + half  # the frame on show begins before this
                shown = -np.inf if current is None else _time(current, base)
                if current is None or wanted - shown > SEEK_AHEAD:
                    target = int((wanted - 2 * half) / base)
                    container.seek(max(target, 0), stream=stream, backward=True)
                    frames, current = container.decode(stream), None
                ahead = None
                for frame in frames:
                    if _time(frame, base) > wanted and current is not None:
                        ahead = frame
                        break
                    current = frame
                if current is None or (ahead is None and wanted - _time(current, base) > 4 * half):
                    raise UnreadableMedia(f"{path.name}: no frame at {times[index]:.2f} s")
                found[int(index)] = current.to_image()
                current = ahead if ahead is not None else current
    except (av.FFmpegError, IndexError) as error:
        raise UnreadableMedia(f"{path.name}: {error}") from None
    return [found[index] for index in range(len(times))]


def _time(frame, base: float) -> float:  # type: ignore[no-untyped-def]
    return float(frame.pts) * base
