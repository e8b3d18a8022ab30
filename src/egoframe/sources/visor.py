"""Reads VISOR: polygons of hands and objects in some frames of EPIC-KITCHENS-100's videos.

One JSON file for each video (Darkhalil et al., *EPIC-KITCHENS VISOR Benchmark*, 2022), in pixels of
1920×1080 whatever the video's size:
```
info
video_annotations[]                                     # of a frame each
    image: name (P01_01_frame_0000000241.jpg), video, …
    annotations[]: id, name, segments (polygons), in_contact_object (of hands and worn gloves: the
        id of what is touched, or words that say why there is none), on_which_hand (of gloves)
```
Frames are numbered from 1, at 60/s, or 50/s in the videos that EPIC-KITCHENS-100 added: frame 241
of P26_02 is at 4.0 s, says VISOR's own table of times. EPIC-KITCHENS' `rgb_frames` were extracted
by another ffmpeg; the release's `frame_mapping.json` gives their numbers.

A glove on one hand is that hand, and what it touches is what the hand touches.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from egoframe.errors import UserError
from egoframe.pairs import Box
from egoframe.sources.reading import mapping, number, read_json, sequence, text

WIDTH, HEIGHT = 1920, 1080
HANDS = ("left hand", "right hand")
PLACES = ("visor", "VISOR", ".")  # of a release in a dataset's folder
INSIDE = "GroundTruth-SparseAnnotations/annotations"
FILE = re.compile(r"(?:(?:train|val)_)?(P\d+_\d+)\.json", re.ASCII)
FRAME = re.compile(r"frame_(\d{1,10})\.\w+$", re.ASCII)

Corners = tuple[float, float, float, float]


class Visor:
    """VISOR's annotations in a dataset's folder: of the release as it is, or its files in `visor`.

    Attributes:
        files: by video.
        anomalies: how many annotations have each flaw; counted while reading.
    """

    def __init__(self, folder: Path, anomalies: Counter[str]) -> None:
        self.anomalies = anomalies
        releases = [folder / place for place in PLACES]
        self.files: dict[str, Path] = {}
        for release in releases:
            for path in _json_files(release, release != folder):
                self.files.setdefault(FILE.fullmatch(path.name)[1], path)  # type: ignore[index]
        found = (release / "frame_mapping.json" for release in releases)
        self._mapping = next((path for path in found if self.files and path.exists()), None)
        self._numbers: dict[str, Any] | None = None

    def boxes(self, video: str, rate: float, extracted: bool) -> dict[float, list[Box]]:
        """Boxes of every annotated frame of a video, by time in seconds; none without a file.

        Arguments:
            rate: at which its frames are numbered, in frames/s.
            extracted: times are those of EPIC-KITCHENS' `rgb_frames`, not of the video.
        Raises:
            UserError: a file that is not VISOR's.
        """
        if video not in self.files:
            return {}
        path = self.files[video]
        frames = read_json(path, dict, "VISOR's").get("video_annotations")
        if not isinstance(frames, list):
            raise UserError(f"{path}: no video_annotations; is this VISOR's file?")
        renamed = mapping(self._renamed().get(video)) if extracted else {}
        boxes: dict[float, list[Box]] = {}
        for frame in map(mapping, frames):
            name = text(mapping(frame.get("image")).get("name")) or ""
            found = FRAME.search(text(renamed.get(name)) or name)
            if found is None or int(found[1]) < 1:
                self.anomalies["VISOR frame without a number"] += 1
                continue
            shown = self._frame(sequence(frame.get("annotations")))
            boxes.setdefault((int(found[1]) - 1) / rate, []).extend(shown)
        return dict(sorted(boxes.items()))

    def _renamed(self) -> dict[str, Any]:
        if self._numbers is None:
            path = self._mapping
            self._numbers = read_json(path, dict, "VISOR's") if path else {}
        return self._numbers

    def _frame(self, annotations: list[Any]) -> Iterator[Box]:
        """The boxes of one frame."""
        told = {key: a for a in map(mapping, annotations) if (key := text(a.get("id")))}
        if len(told) < len(annotations):
            self.anomalies["VISOR object without an id of its own"] += len(annotations) - len(told)
        worn = {key: side for key, a in told.items() if (side := _worn_on(a))}
        names = {key: worn.get(key) or _called(a) for key, a in told.items()}
        found: dict[str, Box] = {}
        for key, annotation in told.items():
            corners = _corners(annotation.get("segments"))
            if corners is None:
                self.anomalies["VISOR object without a shape"] += 1
                continue
            name = names[key]
            touched = text(annotation.get("in_contact_object"))
            if touched in worn and worn[touched] == name:  # a hand its own glove
                touched = text(told[touched].get("in_contact_object"))
            contact = names.get(touched) if touched and name in HANDS else None
            found[key] = Box(name, *corners, contact)
        for glove, side in worn.items():
            hand = next((k for k, b in found.items() if b.label == side and k not in worn), None)
            if glove in found and hand is not None:
                found[hand] = _together(found[hand], found.pop(glove))
        yield from found.values()


def _json_files(release: Path, flat: bool) -> Iterator[Path]:
    folders = [release / INSIDE / split for split in ("train", "val")]
    if flat:
        folders += [release, release / "train", release / "val"]
    for folder in folders:
        if folder.is_dir():
            yield from sorted(p for p in folder.iterdir() if FILE.fullmatch(p.name))


def _called(annotation: dict[str, Any]) -> str:
    """What it is: the first of several names, "bin" of "bin/garbage can"."""
    return (text(annotation.get("name")) or "").partition("/")[0].strip() or "object"


def _worn_on(annotation: dict[str, Any]) -> str | None:
    """The one hand that a glove is on."""
    told = annotation.get("on_which_hand")
    sides = [told] if isinstance(told, str) else sequence(told)
    return sides[0] if len(sides) == 1 and sides[0] in HANDS else None


def _corners(segments: Any) -> Corners | None:
    """Around all polygons, in 0..1 of the frame; None if that is nothing, or no polygons."""
    xs, ys = [], []
    for point in (point for polygon in sequence(segments) for point in sequence(polygon)):
        x, y = (number(value) for value in [*sequence(point), None, None][:2])
        if x is None or y is None:
            return None
        xs.append(min(max(x / WIDTH, 0.0), 1.0))
        ys.append(min(max(y / HEIGHT, 0.0), 1.0))
    if not xs or min(xs) == max(xs) or min(ys) == max(ys):
        return None
    return min(xs), min(ys), max(xs), max(ys)


def _together(hand: Box, glove: Box) -> Box:
    return replace(
        hand,
        x0=min(hand.x0, glove.x0),
        y0=min(hand.y0, glove.y0),
        x1=max(hand.x1, glove.x1),
        y1=max(hand.y1, glove.y1),
        in_contact=glove.in_contact or hand.in_contact,
    )
