"""Answers written by hand, and which of them are put before a question.

A line of `examples.jsonl`, or of a user's own file, is a JSON object: narration, action, verb,
noun, input_boxes, action_boxes (as a dataset's columns), and answer (description, objects, hand).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from egoframe.errors import UserError
from egoframe.teacher.answer import check
from egoframe.teacher.scene import MAX_LABEL, Scene, clean
from egoframe.teacher.things import KIN, words
from egoframe.teacher.verbs import family

SAME_VERB, SAME_FAMILY = 4, 3  # the verb counts for more: it decides what hands do
SAME_NOUN, SAME_HEAD = 2, 1
REPEATED = 2  # taken off for each example with that verb that is chosen already


@dataclass(frozen=True)
class Example:
    """A scene, and a good answer about it."""

    scene: Scene
    answer: dict[str, Any]


def load_examples(path: Path | None = None) -> list[Example]:
    """Those of a file, or those that ship.

    Raises:
        UserError: the file cannot be read, or one of its answers would not do; the line is named.
    """
    try:
        if path is None:
            text = files("egoframe.teacher").joinpath("examples.jsonl").read_text(encoding="utf-8")
        else:
            text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    lines = ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())
    return [_example(line, f"{path or 'examples.jsonl'}, line {number}") for number, line in lines]


def nearest(scene: Scene, examples: Sequence[Example], count: int, seed: int = 0) -> list[Example]:
    """The examples whose verb and noun are nearest to a scene's, the nearest last.

    Points: 4 for the same verb, 3 for one of its family; 2 for the same noun, 1 for the same head
    noun ("salad bowl", "bowl") or another name for it. They are chosen one by one, and each that is
    chosen costs those with its verb 2 points, so that they differ. The seed and the pair's id
    decide between equals.
    """
    left = {place: _points(scene, example.scene) for place, example in enumerate(examples)}
    luck = {p: zlib.crc32(f"{seed} {scene.pair_id} {p}".encode(errors="replace")) for p in left}
    chosen: list[Example] = []
    while left and len(chosen) < count:
        best = max(left, key=lambda place: (left[place], luck[place]))
        del left[best]
        chosen.append(examples[best])
        for place in left:
            if examples[place].scene.verb == examples[best].scene.verb:
                left[place] -= REPEATED
    return chosen[::-1]


def _points(scene: Scene, example: Scene) -> int:
    points = 0
    if scene.verb == example.verb:
        points += SAME_VERB
    elif family(scene.verb) == family(example.verb):
        points += SAME_FAMILY
    one, other = words(scene.noun), words(example.noun)
    if one and one == other:
        points += SAME_NOUN
    elif one and other and other[-1] in KIN.get(one[-1], {one[-1]}):
        points += SAME_HEAD
    return points


def _example(line: str, where: str) -> Example:
    try:
        told = json.loads(line)
        scene, answer = Scene.of({"pair_id": "", **told}), told["answer"]
        checked = check(json.dumps(answer), scene)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{where}: not an example ({type(error).__name__}: {error}); see teacher/examples.py"
        ) from None
    if not checked.good:
        raise UserError(f"{where}: its answer will not do: {checked.complaint}")
    objects = [clean(thing, MAX_LABEL) for thing in answer["objects"]]
    return Example(scene, answer | {"description": checked.description, "objects": objects})
