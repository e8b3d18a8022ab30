"""Clips as units of work, each of one video. They wait on disk: a list of any length fits."""

from __future__ import annotations

import copy
import hashlib
import os
import pickle
import tempfile
from array import array
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, overload

from egoframe.curation.selection import SelectionConfig, choose_moments
from egoframe.curation.unit import Unit, unit_file
from egoframe.errors import UserError
from egoframe.sources.clip import ActionClip


class Place(NamedTuple):
    """Which clips of which video are a unit's."""

    number: int
    video: int
    first: int
    clips: int


def _folder(clip: ActionClip) -> Path:
    """That which a clip's video, folder of frames or stills lie in."""
    return clip.media if clip.stills is not None else clip.media.parent


class Units(Sequence[Unit]):
    """The clips by video, in the order of the annotations, at most so many in a unit.

    Attributes:
        clips_sha256: over every clip, but not over where its frames lie.
    Raises:
        UserError: the temporary folder has no room for them.
    """

    def __init__(self, clips: Iterable[ActionClip], most: int, config: SelectionConfig) -> None:
        self.config = config
        self.file = tempfile.TemporaryFile()  # noqa: SIM115
        self.offsets: list[array[int]] = []  # of each video's clips
        videos: dict[tuple[str, Path], int] = {}
        digest = hashlib.sha256()
        folders: set[Path] = set()
        for clip in clips:
            if clip.flaw is None:
                folders.add(_folder(clip))
            digest.update(repr(replace(clip, media=Path())).encode())
            video = videos.setdefault((clip.video_id, clip.media), len(videos))
            if video == len(self.offsets):
                self.offsets.append(array("Q"))
            self.offsets[video].append(self.file.tell())
            self._write(pickle.dumps(clip))
        self._write(b"", flush=True)
        self.clips_sha256 = digest.hexdigest()
        self.root = Path(os.path.commonpath(folders)) if folders else Path()
        spans = (
            (video, first, min(most, len(offsets) - first))
            for video, offsets in enumerate(self.offsets)
            for first in range(0, len(offsets), most)
        )
        self.places = [Place(number, *span) for number, span in enumerate(spans)]
        self.video: int | None = None  # whose clips are in memory

    @property
    def clips(self) -> int:
        """How many there are in all units."""
        return sum(place.clips for place in self.places)

    def without(self, finished: Collection[str]) -> Units:
        """The units whose result is not among these files."""
        left = copy.copy(self)
        left.places = [p for p in self.places if unit_file(p.number, "json") not in finished]
        return left

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, index: int) -> Unit: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Unit]: ...
    def __getitem__(self, index: int | slice) -> Unit | Sequence[Unit]:
        if isinstance(index, slice):
            return [self[k] for k in range(*index.indices(len(self)))]
        place = self.places[index]
        if place.video != self.video:
            self._load(place.video)
        some = self.found[place.first : place.first + place.clips]
        chosen = {c.clip_id: self.moments[c.clip_id] for c in some if c.clip_id in self.moments}
        good = next((_folder(clip) for clip in some if clip.flaw is None), self.root)
        return Unit(place.number, some, chosen, good.relative_to(self.root).as_posix())

    def _write(self, data: bytes, flush: bool = False) -> None:
        try:
            self.file.write(data)
            if flush:
                self.file.flush()
        except OSError as error:
            raise UserError(
                f"{tempfile.gettempdir()}: the clips cannot wait there ({error.strerror}); give "
                "another folder as TMPDIR"
            ) from None

    def _load(self, video: int) -> None:
        self.found: list[ActionClip] = []
        for offset in self.offsets[video]:
            self.file.seek(offset)
            self.found.append(pickle.load(self.file))
        usable = [clip for clip in self.found if clip.flaw is None and clip.stills is None]
        self.moments = choose_moments(usable, self.config)
        self.found.sort(key=lambda clip: clip.start if clip.start == clip.start else -1.0)
        self.video = video
