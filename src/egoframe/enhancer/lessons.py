"""What is asked about the frames of a dataset, and the answers that are learnt from it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from egoframe.enhancer.prompts import NEXT, plan_question, question

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


def planning(pairs: datasets.Dataset) -> list[Lesson]:
    """The steps of each task, asked of the frame before the first; where the dataset's facts tell
    of tasks, and every step of it made a pair."""
    actions, facts = list(pairs["action"]), list(pairs["facts"])
    found: list[Lesson] = []
    for rows in _videos(pairs).values():
        open_task: list[int] = []
        for row in rows:
            told = json.loads(facts[row] or "{}").get("task")
            if told is None or told["step"] != len(open_task) + 1:
                open_task = []
            if told is None or told["step"] != len(open_task) + 1:
                continue
            open_task.append(row)
            if told["step"] == told["steps"]:
                steps = ", ".join(actions[one] for one in open_task)
                words = plan_question(told["words"])
                found.append(Lesson(open_task[0], "input_frame", words, steps))
                open_task = []
    return found


def tasks_of(pairs: datasets.Dataset) -> set[str]:
    """The tasks that the dataset's facts tell of, such as "make a cup of tea"."""
    told = (json.loads(facts or "{}").get("task") for facts in pairs["facts"])
    return {task["words"] for task in told if task}


KINDS = {"describe": describing, "next": anticipating, "plan": planning}


def make_room(enhancer: Enhancer, lessons: Sequence[Lesson]) -> None:
    """Let the enhancer's answers be as long as those of the lessons.

    Raises:
        UserError: a text holds one of the model's own marks, or cannot be told from the prompt.
    """
    told = dict.fromkeys((lesson.question, lesson.answer) for lesson in lessons)
    enhancer.make_room(*map(list, zip(*told, strict=True)))


def next_pairs(pairs: datasets.Dataset, within: float = WITHIN) -> dict[int, int]:
    """For the rows that have one: the row of the action that follows in the same video."""
    begins, during = list(pairs["input_time"]), list(pairs["action_time"])
    found = {}
    for rows in _videos(pairs).values():
        for row, other in pairwise(rows):
            if 0 <= begins[other] - during[row] <= within:
                found[row] = other
    return found


def _videos(pairs: datasets.Dataset) -> dict[str, list[int]]:
    """The rows of each video, in order of time."""
    videos: dict[str, list[int]] = defaultdict(list)
    for row, video in enumerate(pairs["video_id"]):
        videos[video].append(row)
    during = list(pairs["action_time"])
    return {video: sorted(rows, key=during.__getitem__) for video, rows in videos.items()}
