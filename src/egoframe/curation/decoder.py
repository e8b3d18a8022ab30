"""A decoder that gives whole frames only: nothing that is concealed, nothing made of it."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from egoframe.curation.media import Video

if TYPE_CHECKING:
    import av

MAX_REORDER = 32  # frames that a decoder may hold back; codecs allow 16


class Decoder:
    """Takes packets in order; after an error it gives nothing until the next keyframe.

    Attributes:
        begin: presentation time of the keyframe at which it began.
        begun: that keyframe came out.
        broken: there was an error since.
        drained: nothing is held back any more.
    """

    def __init__(self, video: Video) -> None:
        self.video = video
        self.context = video.context(lenient=False)
        self._start(lenient=False)

    def flush(self) -> None:
        """Forget everything; what comes next is a keyframe."""
        self._start(lenient=False)

    def _start(self, lenient: bool) -> None:
        self.context.flush_buffers()
        self.context = self.video.context(lenient)
        self.lenient = lenient
        self.begin: float = -math.inf
        self.begun = self.broken = self.drained = False
        self.sent: deque[int | None] = deque(maxlen=4 * MAX_REORDER)  # presentation times
        self.held: list[av.VideoFrame] = []  # a frame that they may be made of is not out yet
        self.last_out: float = -math.inf

    @property
    def fresh(self) -> bool:
        """Whether a keyframe would begin anew."""
        return self.broken or not self.sent

    def send(self, packet: av.Packet, only_if_referenced: bool = False) -> list[av.VideoFrame]:
        """Frames that are now ready.

        Behind an H.264 keyframe that is no IDR picture, others may ask for pictures before it to be
        forgotten. To a strict decoder that has not got these that is an error, but it does not
        show. A lenient one marks the errors that show, though on frames that may come out after
        others that are made of them. Where such a keyframe is not intra-coded, as with periodic
        intra refresh, nothing is given: much behind it is not whole, and not marked.
        """
        import av

        if packet.is_keyframe and self.fresh:
            self._start(lenient=self.context.name == "h264" and not self._is_idr(packet))
            self.begin = -math.inf if packet.pts is None else packet.pts
        if self.broken:
            return []
        self.context.skip_frame = "NONREF" if only_if_referenced else "DEFAULT"
        try:
            if packet.is_corrupt:
                raise av.InvalidDataError(0, "corrupt packet")
            frames = self.context.decode(packet)
        except av.FFmpegError:
            if packet.pts is not None and packet.pts < self.begin:
                return []
            frames, self.broken = self.drain(), True
            return frames
        self.sent.append(packet.pts)
        return self._whole(frames)

    def _is_idr(self, packet: av.Packet) -> bool:
        """Whether an H.264 packet has an IDR picture's slice (ITU-T H.264, 7.4.1 and Annex B; with
        lengths in place of start codes ISO/IEC 14496-15, 5.3)."""
        data, setup = bytes(packet), self.context.extradata or b""
        if setup[:1] != b"\1" or len(setup) < 5:
            return any(part[:1] and part[0] & 31 == 5 for part in data.split(b"\0\0\1")[1:])
        at, width = 0, (setup[4] & 3) + 1
        while at + width < len(data):
            if data[at + width] & 31 == 5:
                return True
            at += width + int.from_bytes(data[at : at + width], "big")
        return False

    def drain(self) -> list[av.VideoFrame]:
        """Frames that are held back; nothing of a packet that failed."""
        import av

        self.drained = True
        try:
            return self._whole(self.context.decode(None))
        except av.FFmpegError:
            return []

    def _whole(self, frames: list[av.VideoFrame]) -> list[av.VideoFrame]:
        whole = []
        for frame in frames:
            pts = self.begin if frame.pts is None else frame.pts
            self.last_out = max(self.last_out, pts)
            if pts < self.begin or (frame.pts is not None and frame.pts not in self.sent):
                continue
            no_start = self.lenient and not self.begun and not self._is_intra_keyframe(frame)
            if frame.is_corrupt or no_start:
                self.broken = True
                self.held = [f for f in self.held if self._sent_before(f.pts, frame.pts)]
            elif not self.broken:
                self.begun = self.begun or pts == self.begin
                whole.append(frame)
        return self._out(whole) if self.lenient else whole

    def _is_intra_keyframe(self, frame: av.VideoFrame) -> bool:
        from av.video.frame import PictureType

        return frame.pts == self.begin and frame.pict_type == PictureType.I

    def _sent_before(self, first: int | None, second: int | None) -> bool:
        return self.sent.index(first) < self.sent.index(second)

    def _out(self, frames: list[av.VideoFrame]) -> list[av.VideoFrame]:
        """Frames before whose packets none was sent that is not out, and was not broken."""
        self.held += frames
        ready = []
        for frame in self.held:
            place = self.sent.index(frame.pts)
            earlier = [pts for pts in list(self.sent)[:place] if pts is not None]
            if self.drained or all(pts <= self.last_out for pts in earlier):
                ready.append(frame)
        self.held = [frame for frame in self.held if frame not in ready]
        return ready
