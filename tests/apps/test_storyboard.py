from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from egoframe.apps import storyboard
from egoframe.apps.storyboard import draw_steps, parse_plan, plan_steps, read_plan
from egoframe.enhancer import answers
from egoframe.enhancer.answers import Answer
from egoframe.errors import UserError
from egoframe.generator.familiarity import Familiarity
from tests.generator.tiny import tiny_pipeline

PHOTO = Image.new("RGB", (64, 64), "red")


@pytest.mark.parametrize(
    "text",
    [
        "take kettle, pour water, put down kettle",
        "1. take kettle\n2. pour water\n3. put down kettle",
        "1) take kettle; 2) pour water; then put down kettle.",
        "- take kettle\n\n- pour  water\n- put down kettle\n",
    ],
)
def test_a_plan_is_read_however_it_is_written(text):
    assert parse_plan(text) == ["take kettle", "pour water", "put down kettle"]


def test_a_plan_has_an_end():
    assert parse_plan("") == parse_plan(" . ,") == []
    assert len(parse_plan("stir pot," * 50)) == storyboard.MAX_STEPS


def test_plans_of_files(tmp_path: Path):
    path = tmp_path / "plan.txt"
    path.write_text("# tea\n1. Take the kettle\n\npour water\n", encoding="utf-8")
    assert read_plan(path) == ["Take the kettle", "pour water"]
    for content, told in (
        ("# nothing\n", "0 actions; give 1 to 20"),
        ("stir\n" * 21, "21 actions"),
        (f"stir\n{'stir ' * 50}\n", "step 2: the action has 50 words"),
    ):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(UserError, match=told):
            read_plan(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="cannot be read as text"):
        read_plan(path)
    with pytest.raises(UserError, match="cannot be read as text"):
        read_plan(tmp_path / "none.txt")


def test_the_enhancer_plans(monkeypatch):
    pipe = tiny_pipeline()
    asked = []

    def say(enhancer, images, questions, count, tokens):
        asked.extend(questions)
        return [[Answer("take kettle, pour water, put down kettle", -0.1)]]

    monkeypatch.setattr(answers, "likeliest_answers", say)
    assert plan_steps(pipe, PHOTO, "make  tea", steps=2) == ["take kettle", "pour water"]
    assert "to make tea?" in asked[0]
    pipe.familiarity = Familiarity(np.zeros(1), 0.0, 0.0, frozenset({"take", "kettle"}))
    with pytest.raises(UserError, match="knows no steps for it"):
        plan_steps(pipe, PHOTO, "make tea")
    every = frozenset({"take", "kettle", "pour", "water", "put", "down"})
    pipe.familiarity = Familiarity(np.zeros(1), 0.0, 0.0, every, ("make a pot of tea", "wash up"))
    assert plan_steps(pipe, PHOTO, "make tea", steps=1) == ["take kettle"]
    with pytest.raises(UserError, match="knows how to make a pot of tea, wash up; give the steps"):
        plan_steps(pipe, PHOTO, "make coffee")
    pipe.familiarity = None
    monkeypatch.setattr(answers, "likeliest_answers", lambda *_: [[]])
    with pytest.raises(UserError, match="knows no steps for it"):
        plan_steps(pipe, PHOTO, "fly")
    with pytest.raises(UserError, match="steps 0: from 1 to 20"):
        plan_steps(pipe, PHOTO, "make tea", steps=0)
    pipe.enhancer = None
    with pytest.raises(UserError, match="no enhancer"):
        plan_steps(pipe, PHOTO, "make tea")


def test_steps_are_drawn_one_after_another():
    pipe = tiny_pipeline()
    frames = list(draw_steps(pipe, PHOTO, ["open drawer", "take mug"], seed=1))
    assert [frame.size for frame in frames] == [(64, 64)] * 2
    again = list(draw_steps(pipe, PHOTO, ["open drawer", "take mug"], seed=1))
    for one, other in zip(frames, again, strict=True):
        assert np.array_equal(np.asarray(one), np.asarray(other))
    with pytest.raises(UserError, match="the action is empty"):
        next(draw_steps(pipe, PHOTO, [" "]))
