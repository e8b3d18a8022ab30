"""A little dataset as `egoframe data build` leaves it, holding all that a row can hold."""

import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL import Image

from egoframe.curation.build import BuildConfig, BuildReport
from egoframe.curation.card import card
from egoframe.pairs import (
    ActionPair,
    Box,
    RejectedClip,
    rejected_features,
    to_row,
    write_pairs,
    write_shard,
)
from egoframe.storage import Folder


def picture(grey: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), (grey, grey, 7)).save(file, "JPEG", quality=95)
    return file.getvalue()


def pair(number: int, **more: Any) -> ActionPair:
    """A pair; every other one lacks what may lack, and every third is of the validation split."""
    whole = number % 2 == 0
    hand = Box("left hand", 0.1, 0.2, 0.5, 0.75, in_contact="tasse à café" if whole else None)
    told = {
        "pair_id": f"p{number}", "source": "kitchen", "video_id": "v", "verb": "take",
        "split": "validation" if number % 3 == 2 else "train", "noun": "mug",
        "narration": "Take the mug – now.", "action": "take the mug",
        "description": "The left hand takes the mug." if whole else None,
        "description_source": "kitchen-teacher" if whole else None,
        "description_flags": ["spoon", "jar"] if whole else [],
        "facts": '{"item": "mug"}' if whole else None,
        "input_frame": picture(number), "action_frame": picture(255 - number),
        "input_time": 0.25 * number, "action_time": 0.25 * number + 0.7,
        "input_boxes": [hand, Box("mug", 0.5, 0.5, 1.0, 1.0)] if whole else [],
        "action_boxes": [hand], "similarity": 0.9, "sharpness": 3.5, "exposure": 0.5,
        "camera_motion": 0.0, "hands": 1 if whole else None, "aesthetic": 5.25 if whole else None,
    }  # fmt: skip
    return ActionPair(**(told | more))


def write_finished(folder: Path, pairs: Sequence[ActionPair]) -> Path:
    """Write the dataset, with one rejected clip of the first pair's source."""
    where, first = Folder(folder), pairs[0]
    rejected = RejectedClip(
        "r0", first.source, "train", "v", "look around", "look", "", "the head turns",
        action_frame=picture(1),
    )  # fmt: skip
    kept = {"train": 0, "validation": 0} | write_pairs(where, pairs)
    write_shard(where, "rejected.parquet", [to_row(rejected)], rejected_features())
    settings = json.loads(json.dumps(asdict(BuildConfig(size=16)), default=str))
    reasons = Counter([rejected.reason])
    told = asdict(BuildReport(len(pairs) + 1, kept, dict(reasons), {}, {}, {}, settings))
    where.write("README.md", card(where, told))
    where.write("report.json", json.dumps(told))
    where.write("build.json", json.dumps({"settings": settings, "clips_sha256": "0"}))
    return folder


def content(folder: Path) -> dict[str, bytes]:
    """What the files of a folder hold, by their names in it."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
