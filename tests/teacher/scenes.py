"""Scenes and datasets to describe."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from egoframe.pairs import ActionPair, Box, write_pairs
from egoframe.storage import Folder
from egoframe.teacher.scene import Scene

VERBS = ("open", "take", "wash")
NOUNS = ("drawer", "mug", "plate", "knife")


def scene(action: str = "open drawer", boxes: Sequence[Box] = (), **other: Any) -> Scene:
    """What is done to what, with boxes of the action frame."""
    verb, _, noun = action.partition(" ")
    made = Scene("1", action, action, verb, noun, [], list(boxes))
    return replace(made, **other)


def box(label: str, touches: str | None = None) -> Box:
    return Box(label, 0.1, 0.1, 0.3, 0.3, touches)


def pair(number: int, **other: Any) -> ActionPair:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (number % 256, 0, 0)).save(file, "PNG")
    verb, noun = VERBS[number % 3], NOUNS[number % 4]
    made = ActionPair(
        pair_id=f"p{number}", source="test", split="train", video_id="v",
        narration=f"{verb} {noun}", action=f"{verb} {noun}", verb=verb, noun=noun,
        description=None, description_source=None,
        input_frame=file.getvalue(), action_frame=file.getvalue(),
        input_time=0.0, action_time=1.0,
        input_boxes=[box(noun)], action_boxes=[box("right hand", noun), box(noun)],
        similarity=0.9, sharpness=1.0, exposure=0.5, camera_motion=0.0,
    )  # fmt: skip
    return replace(made, **other)


def dataset(where: str | Path, count: int = 12, **other: Any) -> Folder:
    """Write pairs "p0", "p1", …; every fourth is of the validation split."""
    folder = Folder(where)
    splits = ("train", "train", "train", "validation")
    write_pairs(folder, [pair(n, split=splits[n % 4], **other) for n in range(count)])
    return folder
