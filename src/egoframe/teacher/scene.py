"""An action pair in words: what a model that sees no pictures can be told of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from egoframe.errors import printable
from egoframe.pairs import Box

HANDS = ("left hand", "right hand")
MARKS = re.compile(r"[<>\[\]{}|`]")  # chat templates and JSON are made of them, narrations are not
MAX_NARRATION, MAX_LABEL = 300, 60  # characters
MAX_BOXES = 16  # told of a frame
LARGE, SMALL = 0.12, 0.02  # share of the frame
ACROSS, DOWN = ("left", "", "right"), ("upper", "", "lower")
ALONE = {"upper": "top", "lower": "bottom", "": "middle"}  # where nothing is said of across


@dataclass(frozen=True)
class Scene:
    """An action pair without its frames."""

    pair_id: str
    narration: str
    action: str
    verb: str
    noun: str
    before: list[Box]  # boxes of the input frame
    during: list[Box]  # of the action frame

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Scene:
        """From a row of a dataset, or anything with its keys; what cannot be shown is left out.

        Raises:
            KeyError, TypeError, ValueError: not such a row.
        """
        narration = clean(row["narration"], MAX_NARRATION)
        return cls(
            str(row["pair_id"]),
            narration,
            clean(row["action"], MAX_NARRATION) or narration,
            clean(row["verb"], MAX_LABEL),
            plain_noun(clean(row["noun"], MAX_LABEL)),
            [_box(box) for box in row["input_boxes"] or ()],
            [_box(box) for box in row["action_boxes"] or ()],
        )

    @property
    def objects(self) -> set[str]:
        """Labels of everything in both frames but hands, and of what these touch."""
        labels = {box.label for box in (*self.before, *self.during)}
        return (labels | {box.in_contact or "" for box in self.during + self.before}) - {"", *HANDS}

    @property
    def hands(self) -> set[str]:
        """Those of the hands that are in a frame."""
        return {box.label for box in (*self.before, *self.during)} & set(HANDS)


def clean(text: str | None, limit: int) -> str:
    """A text from outside in one line, without control characters and marks of chat templates."""
    words = MARKS.sub(" ", printable(" ".join((text or "").split())))
    return " ".join(words.split())[:limit].strip()


def plain_noun(noun: str) -> str:
    """EPIC-KITCHENS' "board:chopping" as one says it: "chopping board"."""
    head, *rest = noun.split(":")
    return " ".join([*rest, head]).strip()


def in_words(boxes: Iterable[Box]) -> list[str]:
    """Where things are, hands first, then the largest: "left hand: lower left, large, touching
    the drawer". At most 16.
    """
    order = sorted(boxes, key=lambda box: (box.label not in HANDS, -_area(box), box.label))
    return [_told(box) for box in order[:MAX_BOXES]]


def _told(box: Box) -> str:
    area = _area(box)
    size = "large" if area >= LARGE else "small" if area < SMALL else "medium"
    told = f"{box.label}: {place(box)}, {size}"
    return f"{told}, touching the {box.in_contact}" if box.in_contact else told


def place(box: Box) -> str:
    """In which ninth of the frame its centre lies: "upper left", "top", "middle", …"""
    column, row = (min(int((a + b) * 1.5), 2) for a, b in ((box.x0, box.x1), (box.y0, box.y1)))
    if not ACROSS[column]:
        return ALONE[DOWN[row]]
    return f"{DOWN[row]} {ACROSS[column]}".strip()


def _area(box: Box) -> float:
    return (box.x1 - box.x0) * (box.y1 - box.y0)


def _box(box: Mapping[str, Any]) -> Box:
    label = clean(box["label"], MAX_LABEL).lower() or "thing"
    touched = clean(box.get("in_contact"), MAX_LABEL).lower() or None
    x0, y0, x1, y1 = (min(max(float(box[key]), 0.0), 1.0) for key in ("x0", "y0", "x1", "y1"))
    return Box(label, x0, y0, x1, y1, touched)
