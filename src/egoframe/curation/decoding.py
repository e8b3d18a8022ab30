"""The decoding behind `video.py`: packets are read ahead of the decoder, so that it is known which
frame is the one for a time before any is decoded. GOPs without a wanted frame are never decoded,
nor is what no other picture refers to. Files without usable times are decoded whole, twice."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egoframe.curation.decoder import MAX_REORDER, Decoder
from egoframe.curation.media import UnreadableMedia, Video, open_video

if TYPE_CHECKING:
    import av

TIE = 1e-6  # seconds; a time this near to the middle of two frames means the earlier one
AHEAD_BYTES = 32 * 2**20  # of packets that wait for the decoder

Wanted = Sequence[tuple[float, int]]  # (seconds, index), sorted
Answer = tuple[int, "av.VideoFrame | UnreadableMedia"]


def read(media: Path, wanted: Wanted) -> Iterator[Answer]:
    """Frames, or why there is none, in order of time as far as the file has an order.

    Raises:
        UnreadableMedia: for all that are not answered yet.
    """
    answered = 0
    with open_video(media) as video:
        try:
            for answer in SparseReader(video, wanted).answers():
                yield answer
                answered += 1
            return
        except IrregularTimes:
            pass
    yield from read_whole(media, wanted[answered:])


class IrregularTimes(Exception):
    """Presentation times are missing or out of order, or a keyframe is none."""


class SparseReader:
    """Decodes the frames of some times in one pass. Times within are ticks of the time base."""

    def __init__(self, video: Video, wanted: Wanted) -> None:
        stream, container = video.stream, video.container
        if not stream.time_base or video.untimed:
            raise IrregularTimes
        self.video, self.wanted = video, wanted
        self.stream, self.container = stream, container
        self.base = float(stream.time_base)
        if "matroska" in container.format.name:  # which reads its index when it first seeks
            with suppress(OSError):  # it was cut off
                container.seek(stream.start_time or 0, stream=stream)
        self.packets = container.demux(stream)
        self.decoder = Decoder(video)
        self.skips = stream.codec_context.name == "h264"
        self.ahead: deque[tuple[int, av.Packet]] = deque()  # read, not decoded
        self.ahead_bytes = 0
        self.known: list[int] = []  # presentation times of packets that were read, sorted
        self.last_dts = -math.inf  # of what was read
        self.lag = 0  # of presentation behind decoding, at keyframes
        self.last_frame = video.frame_time / self.base  # how long it lasts
        self.ended = False
        self.cut = video.cut
        self.cut_at = math.inf  # the index tells of more from here on than there is
        self.ticks: list[float] = []  # wanted
        self.frames: dict[int, av.VideoFrame] = {}  # decoded, may be wanted

    def answers(self) -> Iterator[Answer]:
        """Raises: IrregularTimes; what was not answered then can only be had otherwise."""
        while not self.frames and self._step():
            pass
        if not self.frames:
            raise IrregularTimes
        first = min(self.frames)
        self.ticks = [first + (time - TIE) / self.base for time, _ in self.wanted]
        for tick, (time, index) in zip(self.ticks, self.wanted, strict=True):
            target = self._nearest(tick)
            if target is None:
                yield index, self._beyond(time, first)
            else:
                yield index, self._fetch(target) or self.video.damaged(time)

    def _beyond(self, time: float, first: int) -> UnreadableMedia:
        lasts = (max([first, *self.known]) - first + self.last_frame) * self.base
        return self.video.beyond(time, lasts, self.cut)

    def _nearest(self, tick: float) -> int | None:
        """Presentation time of the frame nearest to a time; None past the end, and where what was
        cut off may be nearer."""
        self._jump(tick)
        while not (settled := self._settled(tick)) and not self.ended:
            self._read(tick)
        above = bisect_left(self.known, tick)
        near = self.known[max(above - 1, 0) : above + 1]
        if not near or (above == len(self.known) and self._is_late(tick)):
            return None
        gap = near[-1] - near[0] > 1.5 * self.last_frame
        if not settled and (self.cut or (self.cut is None and gap)):
            return None
        target = min(near, key=lambda pts: abs(pts - tick))
        if self.ended and self.cut and target >= self.last_dts:  # perhaps of half a packet
            return None
        waits = self.ahead[0][0] if self.ahead else target
        done = bisect_left(self.known, min(target, waits))
        del self.known[: max(done - MAX_REORDER, 0)]
        return target

    def _is_late(self, tick: float) -> bool:
        """Whether the last frame is over."""
        return tick >= self.known[-1] + self.last_frame - 2 * TIE / self.base

    def _settled(self, tick: float) -> bool:
        """Whether no packet to come can be nearer; none is presented before it is decoded. Two
        more are looked at, so that times out of order are seen."""
        above = bisect_left(self.known, tick)
        return above + 2 < len(self.known) and self.last_dts >= self.known[above]

    def _jump(self, tick: float) -> None:
        """Seek, if the index knows a keyframe behind what was read and before what is wanted."""
        if self.ended or math.isinf(tick):
            return
        index = self.stream.index_entries
        at = index.search_timestamp(math.floor(min(tick - self.lag, self.cut_at - 1)))
        while at >= 0 and index[at].timestamp > self.last_dts:
            start = index[at].timestamp
            self.container.seek(start, stream=self.stream)
            self.packets = self.container.demux(self.stream)
            self.decoder.flush()
            self.ahead.clear()
            self.frames.clear()
            self.known.clear()
            self.ahead_bytes, self.last_dts = 0, -math.inf
            self._read()
            if self.ahead and self.ahead[0][1].is_keyframe and self.ahead[0][0] <= tick:
                return
            if self.ended:
                self.ended, self.cut, self.cut_at = False, True, start
            at = index.search_timestamp(start - 1)  # it landed late: further back
            if at < 0:
                raise IrregularTimes

    def _read(self, tick: float = -math.inf) -> None:
        """Read a packet; a keyframe that is shown by `tick` makes all before it useless."""
        import av

        try:
            packet = next(self.packets)
        except StopIteration:
            self.ended = True
            return
        except av.FFmpegError:
            self.ended = self.cut = True
            return
        if not packet.size:
            self.ended = packet.dts is None
            return
        if packet.pts is None:
            raise IrregularTimes
        if packet.dts is not None:
            if packet.dts < self.last_dts or packet.dts > packet.pts:
                raise IrregularTimes
            self.last_dts = packet.dts
            if packet.is_keyframe:
                self.lag = max(self.lag, packet.pts - packet.dts)
        if packet.is_corrupt:
            self.cut = True
        elif not packet.is_discard:
            insort(self.known, packet.pts)
            if packet.pts == self.known[-1] and packet.duration:
                self.last_frame = packet.duration
        self.ahead.append((packet.pts, packet))
        self.ahead_bytes += packet.size
        if packet.is_keyframe and packet.pts <= tick:
            self._begin_at(len(self.ahead) - 1)
        if self.ahead_bytes > AHEAD_BYTES:
            self._step()
            shown = max((pts for pts in self.frames if pts <= tick), default=tick)
            self._forget_before(shown)

    def _begin_at(self, place: int) -> None:
        """Begin to decode at a keyframe in the queue."""
        for _ in range(place):
            self.ahead_bytes -= self.ahead.popleft()[1].size
        self.decoder.flush()
        self.frames.clear()

    def _forget_before(self, pts: float) -> None:
        for early in [at for at in self.frames if at < pts]:
            del self.frames[early]

    def _fetch(self, pts: int) -> av.VideoFrame | None:
        """Decode up to a frame; None if it is not whole."""
        start = None
        for place, (at, packet) in enumerate(self.ahead):
            if packet.is_keyframe and at <= pts:
                start = place
            if at == pts:
                if start is not None and pts not in self.frames:
                    self._begin_at(start)
                break
        self._forget_before(pts)
        while pts not in self.frames and len(self.frames) < MAX_REORDER and self._step():
            self._forget_before(pts)
        damaged = self.cut or (self.decoder.broken and self.decoder.begun)
        if pts not in self.frames and not damaged:
            raise IrregularTimes  # nothing is wrong, but the keyframe was not enough
        return self.frames.get(pts)

    def _step(self) -> bool:
        """Decode a packet; False at the end."""
        if not self.ahead and not self.ended:
            self._read()
        if self.ahead:
            pts, packet = self.ahead.popleft()
            self.ahead_bytes -= packet.size
            frames = self.decoder.send(packet, self._unwanted(pts))
        elif not self.ended:
            return True
        elif self.decoder.drained:
            return False
        else:
            frames = self.decoder.drain()
        for frame in frames:
            if frame.pts is not None:
                self.frames.setdefault(frame.pts, frame)
        return True

    def _unwanted(self, pts: int) -> bool:
        """Whether the H.264 picture of a packet is nobody's: two packets, as a frame's two fields
        may be, lie between it and any wanted time. It may then be left out if it is not referenced
        (nal_ref_idc is 0: ITU-T H.264, 7.4.1), which the decoder sees."""
        low = bisect_left(self.known, pts) - 2
        high = bisect_right(self.known, pts) + 1
        if not self.skips or not self.ticks or low < 0 or high >= len(self.known):
            return False
        after = bisect_left(self.ticks, self.known[low])
        return after == bisect_right(self.ticks, self.known[high])


def read_whole(media: Path, wanted: Wanted) -> Iterator[Answer]:
    """Decode everything to learn the frames' times, then again to take those that are wanted.

    A frame without a time comes one frame of the nominal rate after the one before.
    """
    times: list[float] = []
    takers: dict[int, list[tuple[float, int]]] = {}
    with open_video(media) as video:
        for pts, _ in _all_frames(video):
            if video.untimed or pts is None:
                times.append(times[-1] + video.frame_time if times else 0.0)
            else:
                times.append(pts * float(video.stream.time_base or 0))
        if not times:
            raise UnreadableMedia(
                video.name, "cut short" if video.cut else "damaged", "no frame can be decoded"
            )
        at = np.array(times) - times[0]
        lasts = float(at.max()) + video.frame_time * (0.5 if video.cut else 1)
        for time, index in wanted:
            if time > lasts - TIE:
                yield index, video.beyond(time, lasts, video.cut)
            else:
                nearest = int(np.abs(at - (time - TIE)).argmin())
                takers.setdefault(nearest, []).append((time, index))
    with open_video(media) as video:
        for number, (_, frame) in enumerate(_all_frames(video)):
            for time, index in takers.get(number, ()):
                yield index, frame or video.damaged(time)


def _all_frames(video: Video) -> Iterator[tuple[int | None, av.VideoFrame | None]]:
    """Presentation time of each frame, and the frame, or None where it is not whole; where there
    are no times, up to the first that is not."""
    import av

    decoder = Decoder(video)
    try:
        for packet in video.container.demux(video.stream):
            if packet.size:
                frames = decoder.send(packet)
            elif packet.dts is None and not video.cut:  # else some between them may be cut off
                frames = decoder.drain()
            else:
                continue
            for frame in frames:
                yield frame.pts, frame
            if decoder.broken:
                yield packet.pts, None
                if packet.pts is None:
                    return
    except av.FFmpegError:
        return
