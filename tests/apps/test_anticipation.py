import math

import numpy as np
import pytest
from PIL import Image

from egoframe.apps.anticipation import NextAction, next_actions
from egoframe.enhancer import anticipation
from egoframe.enhancer.answers import Answer
from egoframe.enhancer.prompts import NEXT
from egoframe.errors import UserError
from egoframe.generator.familiarity import Familiarity
from tests.generator.tiny import tiny_pipeline

PHOTO = Image.new("RGB", (64, 64), "red")


@pytest.fixture
def said(monkeypatch) -> list[list[Answer]]:
    told = [
        [Answer("open drawer", math.log(0.6)), Answer("take the big mug", math.log(0.3))],
        [Answer("take the big mug", math.log(0.5)), Answer("", math.log(0.2))],
    ]

    def say(enhancer, images, questions, count):
        assert questions == [NEXT] * len(images)
        assert count == 20
        return told[: len(images)]

    monkeypatch.setattr(anticipation, "likeliest_answers", say)
    return told


def test_the_likeliest_come_first(said):
    (first, second) = next_actions(tiny_pipeline(), PHOTO)
    assert first == NextAction("open drawer", "open", "drawer", pytest.approx(2 / 3))
    assert (second.verb, second.noun) == ("take", "mug")


def test_frames_of_a_clip_are_averaged(said):
    found = next_actions(tiny_pipeline(), [PHOTO, PHOTO])
    assert [one.action for one in found] == ["take the big mug", "open drawer"]
    assert [one.probability for one in found] == [pytest.approx(2 / 3), pytest.approx(1 / 3)]
    assert len(next_actions(tiny_pipeline(), PHOTO, top=1)) == 1


def test_what_the_generator_could_not_draw_is_no_action(said):
    pipe = tiny_pipeline()
    words = frozenset(["take", "the", "big", "mug"])
    pipe.familiarity = Familiarity(np.zeros(1), 0.0, 0.0, words)
    assert [one.action for one in next_actions(pipe, PHOTO)] == ["take the big mug"]
    pipe.familiarity = Familiarity(np.zeros(1), 0.0, 0.0, frozenset())
    with pytest.raises(UserError, match="was not tuned to say what is next"):
        next_actions(pipe, PHOTO)


def test_what_cannot_be_asked_is_refused(said):
    pipe = tiny_pipeline()
    for top in (0, 21):
        with pytest.raises(UserError, match=f"top {top}: from 1 to 20"):
            next_actions(pipe, PHOTO, top)
    pipe.enhancer = None
    with pytest.raises(UserError, match="no enhancer"):
        next_actions(pipe, PHOTO)
