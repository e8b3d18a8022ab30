"""What is asked about the frames of a dataset, and the answers that are learnt from it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from egoframe.enhancer.prompts import NEXT, question

if TYPE_CHECKING:
    import datasets

    from egoframe.enhancer.model import Enhancer

WITHIN = 4.0  # seconds from a frame to the hand that sets out for the next action


@dataclass(frozen=True)
class Lesson:
    """A question about a frame of a pair, and its answer."""

    pair: int  # row of the dataset
    frame: str  # one of `pairs.FRAMES`
    question: str
    answer: str


def describing(pairs: datasets.Dataset) -> list[Lesson]:
    """How each action is done, asked of its input frame; every pair has a description."""
    told = zip(pairs["action"], pairs["description"], strict=True)
    return [
        Lesson(pair, "input_frame", question(action), description)
        for pair, (action, description) in enumerate(told)
    ]


def anticipating(pairs: datasets.Dataset, within: float = WITHIN) -> list[Lesson]:
    """What is done next, asked of every input frame, and of those action frames that another
    action of the video follows soon.

    Arguments:
        within: seconds from the action frame to the next one's input frame, at most.
    """
    actions = list(pairs["action"])
    asked = [Lesson(pair, "input_frame", NEXT, action) for pair, action in enumerate(actions)]
    following = next_pairs(pairs, within)
    asked += [Lesson(k, "action_frame", NEXT, actions[other]) for k, other in following.items()]
    return asked


def make_room(enhancer: Enhancer, lessons: Sequence[Lesson]) -> None:
    """Let the enhancer's answers be as long as those of the lessons.

    Raises:
        UserError: a text holds one of the model's own marks, or cannot be told from the prompt.
    """
    told = dict.fromkeys((lesson.question, lesson.answer) for lesson in lessons)
    enhancer.make_room(*map(list, zip(*told, strict=True)))


def next_pairs(pairs: datasets.Dataset, within: float = WITHIN) -> dict[int, int]:
    """For the rows that have one: the row of the action that follows in the same video."""
    videos: dict[str, list[int]] = defaultdict(list)
    for row, video in enumerate(pairs["video_id"]):
        videos[video].append(row)
    begins, during = list(pairs["input_time"]), list(pairs["action_time"])
    found = {}
    for rows in videos.values():
        rows.sort(key=during.__getitem__)
        for row, other in pairwise(rows):
            if 0 <= begins[other] - during[row] <= within:
                found[row] = other
    return found
