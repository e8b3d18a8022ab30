"""The examples that a page shows, with their frames: a second pass over the chosen rows only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from egoframe.pairs import read_rows
from egoframe.report.facts import FIGURES, REJECTED, Facts, known
from egoframe.report.pictures import data_uri
from egoframe.storage import Folder

SHARED = ("source", "split", "video_id", "narration", "verb", "noun", "input_time", "action_time",
          "input_frame", "action_frame", *FIGURES)  # fmt: skip
OF_PAIRS = ("pair_id", *SHARED, "action", "description", "description_source",
            "description_flags", "input_boxes", "action_boxes")  # fmt: skip
OF_CLIPS = ("clip_id", *SHARED, "reason", "detail", "file")
DIGITS = 6  # of a figure

Item = dict[str, Any]  # what the page's script reads: plain JSON


@dataclass(frozen=True)
class Examples:
    """Everything to show, each once, and where it is."""

    items: list[Item]
    pairs: dict[str, int]  # index by pair_id
    clips: dict[str, int]  # by clip_id, of rejected ones
    sample: list[int]


def read_examples(folder: Folder, facts: Facts) -> Examples:
    """Read the rows that `facts` chose.

    Raises:
        UserError: a file cannot be read.
    """
    wanted = facts.sample.union(*(near.kept for near in facts.near))
    clips = {name for near in facts.near for name in near.rejected}
    clips.update(name for gallery in facts.gallery.values() for name in gallery.pictured)
    items: list[Item] = []
    found: tuple[dict[str, int], dict[str, int]] = {}, {}
    for shard in facts.shards:
        _take(folder, shard, OF_PAIRS, wanted, items, found[0])
    _take(folder, REJECTED, OF_CLIPS, clips, items, found[1])
    sample = [index for name, index in found[0].items() if name in facts.sample]
    return Examples(items, *found, sample)


def _take(
    folder: Folder,
    name: str,
    columns: tuple[str, ...],
    wanted: set[str],
    items: list[Item],
    places: dict[str, int],
) -> None:
    """Add the wanted rows of a file, each id once; frames are read where there are any."""
    key = columns[0]
    if wanted.isdisjoint(row[key] for row in read_rows(folder, name, [key])):
        return
    for row in read_rows(folder, name, columns):
        if row[key] in wanted and row[key] not in places:
            places[row[key]] = len(items)
            items.append(_item(row))


def _item(row: dict[str, Any]) -> Item:
    told = {name: row[name] or "" for name in ("source", "split", "video_id", "narration",
                                               "verb", "noun")}  # fmt: skip
    item = told | {
        "id": row.get("pair_id") or row.get("clip_id") or "",
        "action": row.get("action") or told["narration"],
        "times": [_short(row["input_time"]), _short(row["action_time"])],
        "frames": [
            frame and frame["bytes"] and data_uri(frame["bytes"])
            for frame in (row["input_frame"], row["action_frame"])
        ],
        "figures": {name: _short(value) for name, value in known(row).items()},
    }
    if "reason" in row:
        return item | {name: row[name] or "" for name in ("reason", "detail", "file")}
    return item | {
        "description": row["description"],
        "writer": row["description_source"] or "",
        "flags": row["description_flags"] or [],
        "boxes": [
            [
                {
                    "label": box["label"] or "",
                    "corners": [_short(box[corner]) or 0 for corner in ("x0", "y0", "x1", "y1")],
                    "touches": box["in_contact"],
                }
                for box in row[frame] or []
            ]
            for frame in ("input_boxes", "action_boxes")
        ],
    }


def _short(value: float | None) -> float | None:
    """A number with as many digits as anybody reads; None where it is none."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{DIGITS}g}")
