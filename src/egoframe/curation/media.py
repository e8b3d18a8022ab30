"""Opening a video, and what its container says of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from egoframe.errors import first_line

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

NO_TIMESTAMPS = 0x80  # AVFMT_NOTIMESTAMPS
# What a video is: no pictures, texts or playlists, which FFmpeg would open as well.
FORMATS = "mov,matroska,avi,mpegts,mpeg,mpegvideo,h264,hevc,m4v,obu,ivf,flv,asf,ogg,mxf,nut"
EBML, SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"  # RFC 9559
TS_PACKET = 188  # ISO/IEC 13818-1
MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"moof", b"styp", b"sidx")


class UnreadableMedia(Exception):
    """A frame or video that cannot be had: one line.

    Attributes:
        file: its name.
        reason: fixed words: "no such file", "empty file", "not a video", "cut short", "damaged",
            "past the end", "negative time".
    """

    def __init__(self, file: str, reason: str, detail: str = "") -> None:
        super().__init__(f"{file}: {reason}" + (f" ({detail})" if detail else ""))
        self.file, self.reason, self.detail = file, reason, detail

    def __reduce__(self) -> tuple[type, tuple[str, str, str]]:
        return type(self), (self.file, self.reason, self.detail)


@dataclass
class Video:
    """A video that is open, to be decoded by one thread: each core has a video of its own."""

    path: Path
    container: InputContainer
    stream: VideoStream
    cut: bool | None  # the file is shorter than it says; None: it does not say
    files: ExitStack

    @property
    def name(self) -> str:
        return self.path.name

    def context(self, lenient: bool) -> VideoCodecContext:
        """The decoder that stops at errors, or one that goes on and marks the frames."""
        return self._lenient if lenient else self.stream.codec_context

    @cached_property
    def _lenient(self) -> VideoCodecContext:
        container = self.files.enter_context(_open(self.path))
        context = next(
            s for s in container.streams.video if s.index == self.stream.index
        ).codec_context
        context.thread_count = 1
        return context

    @property
    def fps(self) -> float:
        """Average frame rate; nan where it is not told."""
        return float(self.stream.average_rate or self.stream.guessed_rate or math.nan)

    @property
    def frame_time(self) -> float:
        """Nominal seconds of a frame."""
        return 1 / self.fps if self.fps > 0 else 1 / 25

    @property
    def duration(self) -> float:
        """Seconds that the video should last; nan where it is not told."""
        if self.stream.duration and self.stream.time_base:
            return float(self.stream.duration * self.stream.time_base)
        return self.container.duration / 1e6 if self.container.duration else math.nan

    @property
    def untimed(self) -> bool:
        """Whether there are no presentation times, and no others stand for them."""
        form = self.container.format
        reordered = self.stream.codec_context.has_b_frames
        return bool(form.flags & NO_TIMESTAMPS or (form.name == "avi" and reordered))

    def damaged(self, time: float) -> UnreadableMedia:
        """Says that the frame at a time is not whole."""
        return UnreadableMedia(
            self.name, "cut short" if self.cut else "damaged", f"at {time:.3f} s"
        )

    def beyond(self, time: float, lasts: float, cut: bool | None) -> UnreadableMedia:
        """Says that there is no frame at a time, for the last ends at `lasts`."""
        said = self.duration
        lacks = said - lasts > 2 * self.frame_time and time <= said
        reason = "cut short" if cut or (cut is None and lacks) else "past the end"
        return UnreadableMedia(self.name, reason, f"at {time:.3f} s of {lasts:.3f} s")


@contextmanager
def open_video(path: Path) -> Iterator[Video]:
    """Open a video.

    Raises:
        UnreadableMedia: no file, or no video.
    """
    import av

    try:
        cut = _is_cut(path)
        if path.stat().st_size == 0:
            raise UnreadableMedia(path.name, "empty file")
    except OSError as error:
        reason = "not a video" if path.exists() else "no such file"
        raise UnreadableMedia(path.name, reason, error.strerror or "") from None
    with ExitStack() as files:
        try:
            container = files.enter_context(_open(path))
        except (av.FFmpegError, OSError, ValueError) as error:
            reason = "cut short" if cut else "not a video"
            why = getattr(error, "strerror", None) or first_line(error)
            raise UnreadableMedia(path.name, reason, why) from None
        stream = container.streams.best("video")
        if stream is None or stream.codec_context is None:
            raise UnreadableMedia(path.name, "not a video", "no pictures that can be decoded")
        stream.codec_context.thread_count = 1
        stream.codec_context.options = {"err_detect": "explode"}
        yield Video(path, container, stream, cut, files)  # type: ignore[arg-type]


def _open(path: Path) -> InputContainer:
    import av

    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
    return av.open(str(path), container_options=options)


def _is_cut(path: Path) -> bool | None:
    """Whether a file ends before it says: MP4 by its boxes (ISO/IEC 14496-12, 4.2), AVI by its
    chunks, Matroska by its segment, MPEG-TS in a packet; None where nothing is said."""
    length = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(4096)
        if head[:4] == b"RIFF":
            return length < 8 + int.from_bytes(head[4:8], "little")
        if head[:4] == EBML:
            at = head.find(SEGMENT) + 4
            return _segment_end(head, at) > length if at >= 4 and at < len(head) else None
        if head[:1] == head[TS_PACKET : TS_PACKET + 1] == b"G" and length % TS_PACKET:
            return True
        if head[4:8] not in MP4_BOXES:
            return None
        at, index = 0, False
        while at + 8 <= length:
            file.seek(at)
            box = file.read(16)
            size = int.from_bytes(box[:4], "big")
            size = int.from_bytes(box[8:], "big") if size == 1 else size or length - at
            index = index or box[4:8] == b"moov"
            at += max(size, 8)
        return at > length or not index


def _segment_end(head: bytes, at: int) -> int:
    """Where a Matroska segment ends, whose size, an EBML number, is at a place; 0 if unknown."""
    width = 9 - head[at].bit_length()
    size = int.from_bytes(head[at : at + width], "big") & ((1 << 7 * width) - 1)
    return 0 if size == (1 << 7 * width) - 1 else at + width + size
