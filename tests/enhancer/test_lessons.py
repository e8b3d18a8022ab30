import json
from pathlib import Path

import pytest

from egoframe.enhancer.lessons import (
    Lesson,
    anticipating,
    describing,
    make_room,
    next_pairs,
    planning,
    tasks_of,
)
from egoframe.enhancer.model import IGNORED
from egoframe.enhancer.prompts import NEXT, plan_question, question
from egoframe.pairs import open_pairs
from tests.enhancer.families import FAMILIES
from tests.little_dataset import photo, write_dataset


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory):
    folder: Path = write_dataset(tmp_path_factory.mktemp("pairs"))
    rows = open_pairs(folder, "train").select(range(5)).to_list()
    told = [  # in no order; begins, during
        ("a", 9.0, 10.0, "close drawer"),
        ("a", 0.0, 1.0, "open drawer"),
        ("b", 1.2, 2.0, "take mug"),
        ("a", 3.0, 4.0, "take spoon"),
        ("a", 3.9, 4.6, "press button"),
    ]
    for row, (video, begins, during, action) in zip(rows, told, strict=True):
        row |= {"video_id": video, "action": action, "input_time": begins, "action_time": during}
    whole = open_pairs(folder, "train")
    return type(whole).from_list(rows, features=whole.features)


def test_each_frame_is_asked_what_its_video_tells_of_it(pairs):
    assert [(one.question, one.answer) for one in describing(pairs)] == [
        (question(action), description)
        for action, description in zip(pairs["action"], pairs["description"], strict=True)
    ]
    asked = anticipating(pairs, within=3.0)
    assert {one.question for one in asked} == {NEXT}
    before = {one.pair: one.answer for one in asked if one.frame == "input_frame"}
    assert before == dict(enumerate(pairs["action"]))
    during = {one.pair: one.answer for one in asked if one.frame == "action_frame"}
    # After pressing comes a long pause; while the spoon is taken, the finger is on its way already.
    assert during == {1: "take spoon"}


def test_what_follows_does_not_depend_on_the_order_of_the_rows(pairs):
    assert next_pairs(pairs, within=60) == {1: 3, 4: 0}
    turned = pairs.select(range(4, -1, -1))
    assert next_pairs(turned, within=60) == {3: 1, 0: 4}


def test_the_steps_of_a_task_are_asked_of_the_frame_before_it(pairs):
    def told(rows: list[dict]):
        return type(pairs).from_list(rows, features=pairs.features)

    rows = pairs.to_list()
    tea = {"name": "tea", "words": "make tea", "steps": 3}
    for row, step in ((1, 1), (3, 2), (4, 3)):
        rows[row]["facts"] = json.dumps({"task": {**tea, "step": step}})
    rows[2]["facts"] = json.dumps({"task": {**tea, "step": 1}})  # in another video; cut short
    (lesson,) = planning(told(rows))
    assert lesson == Lesson(
        1, "input_frame", plan_question("make tea"), "open drawer, take spoon, press button"
    )
    assert tasks_of(told(rows)) == {"make tea"}
    rows[3]["facts"] = None  # a step that made no pair: the plan would lack it
    assert planning(told(rows)) == []


def test_room_is_made_for_the_longest_answer(pairs):
    enhancer = FAMILIES["llava"]()
    long = Lesson(0, "input_frame", NEXT, " ".join(["open drawer"] * 60))
    make_room(enhancer, [*anticipating(pairs), long])
    (labels,) = enhancer.lesson([photo("red")], [NEXT], [long.answer])["labels"]
    told = enhancer.decode([labels[labels != IGNORED]])
    assert told == [long.answer]
