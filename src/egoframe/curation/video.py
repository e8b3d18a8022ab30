"""Frames by their time, out of a video or a folder of numbered frames.

Time 0 is the presentation time of the first frame; a time means the frame whose presentation time
is nearest, of two equally near the earlier. Frames are counted only where a file has no
presentation times: raw streams, and AVI files with B-frames.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from egoframe.curation import decoding
from egoframe.curation.decoding import TIE, Wanted
from egoframe.curation.media import UnreadableMedia, open_video
from egoframe.errors import first_line

if TYPE_CHECKING:
    import av

__all__ = ["UnreadableMedia", "VideoFacts", "probe", "read_frames"]

Answer = tuple[int, np.ndarray | UnreadableMedia]


@dataclass(frozen=True)
class VideoFacts:
    """What a video says of itself; nan where it does not."""

    fps: float  # average
    duration: float  # seconds


def read_frames(
    media: Path, times: Sequence[float], fps: float, size: int | None = None
) -> Iterator[Answer]:
    """The frames at some times, one at a time, in order of time; each is answered once.

    Arguments:
        media: a video, or a folder of `frame_%010d.jpg`, the first numbered 1.
        times: seconds, in any order, also repeated.
        fps: of the numbered frames; a video's own presentation times count.
        size: fit the whole frame into size × size.
    Yields:
        (index into `times`, upright RGB picture (H, W, 3) uint8, or why there is none).
    """
    wanted = sorted((time, index) for index, time in enumerate(times) if time >= 0)
    for index, time in enumerate(times):
        if not time >= 0:
            yield index, UnreadableMedia(media.name, "negative time", f"{time:.3f} s")
    if media.is_dir():
        yield from _read_numbered(media, wanted, fps, size)
    elif wanted:
        yield from _read_video(media, wanted, size)


def probe(media: Path) -> VideoFacts | UnreadableMedia:
    """A video's own frame rate and duration, without decoding it."""
    try:
        with open_video(media) as video:
            return VideoFacts(video.fps, video.duration)
    except UnreadableMedia as trouble:
        return trouble


def _read_numbered(folder: Path, wanted: Wanted, fps: float, size: int | None) -> Iterator[Answer]:
    for time, index in wanted:
        number = math.ceil(max((time - TIE) * fps - 0.5, 0)) + 1 if time < math.inf else 0
        name = f"{folder.name}/frame_{number:010d}.jpg"
        try:
            with Image.open(folder.parent / name) as opened:
                picture = opened.convert("RGB")
        except FileNotFoundError:
            yield index, UnreadableMedia(name, "no such file")
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            yield index, UnreadableMedia(name, "damaged", first_line(error))
        else:
            if size is not None:
                picture = picture.resize((size, size), Image.Resampling.BOX)
            yield index, np.asarray(picture)


def _read_video(media: Path, wanted: Wanted, size: int | None) -> Iterator[Answer]:
    import av

    left = {index: None for _, index in wanted}
    shown: av.VideoFrame | None = None
    try:
        for index, found in decoding.read(media, wanted):
            del left[index]
            if isinstance(found, UnreadableMedia):
                yield index, found
                continue
            if found is not shown:
                picture, shown = _picture(found, size), found
            yield index, picture
    except UnreadableMedia as trouble:
        yield from ((index, trouble) for index in left)
    except (av.FFmpegError, OSError, ValueError) as error:
        why = UnreadableMedia(media.name, "damaged", first_line(error))
        yield from ((index, why) for index in left)


def _picture(frame: av.VideoFrame, size: int | None) -> np.ndarray:
    """RGB, upright."""
    from av.video.reformatter import Interpolation

    if size is None:
        picture = frame.to_ndarray(format="rgb24")
    else:
        # Without the latter two, swscale takes short cuts that darken a picture by two levels.
        filters = Interpolation.AREA | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND
        picture = frame.reformat(size, size, "rgb24", interpolation=filters).to_ndarray()
    turns = round(frame.rotation / 90) % 4  # counterclockwise, as np.rot90 does
    return np.ascontiguousarray(np.rot90(picture, turns)) if turns else picture
