"""The temperature that makes probabilities true, against draws whose truth is known."""

import math

import numpy as np
import pytest
from PIL import Image

from egoframe.enhancer import anticipation
from egoframe.enhancer.answers import Answer
from egoframe.enhancer.anticipation import (
    calibrate,
    fit_temperature,
    next_actions_of,
    tempered,
)
from egoframe.enhancer.model import Enhancer
from egoframe.enhancer.prompts import NEXT
from tests.generator.tiny import tiny_pipeline

PHOTO = Image.new("RGB", (64, 64), "red")


@pytest.mark.parametrize("wrong_by", [0.5, 1.0, 2.5])
def test_the_fitted_temperature_undoes_what_was_done_to_the_probabilities(wrong_by):
    rng = np.random.default_rng(0)
    names = [f"take {k}" for k in range(6)]
    told, actions = [], []
    for _ in range(4000):
        shares = rng.dirichlet(np.ones(6))
        actions.append(rng.choice(names, p=shares))
        told.append(dict(zip(names, wrong_by * np.log(shares) + rng.normal(), strict=True)))
    assert fit_temperature(told, actions) == pytest.approx(wrong_by, rel=0.06)


def test_pictures_whose_true_action_was_not_said_do_not_count():
    told = [{"open drawer": -0.1, "take mug": -3.0}, {"open drawer": -0.1}]
    assert fit_temperature(told, ["open drawer", "wash mug"]) == pytest.approx(0.2)  # surely
    assert fit_temperature(told, ["wash mug", "wash mug"]) == 1.0


def test_tempered_probabilities_add_up_to_one():
    shares = tempered({"a": math.log(0.4), "b": math.log(0.1)}, 0.5)
    assert shares == {"a": pytest.approx(16 / 17), "b": pytest.approx(1 / 17)}
    assert tempered({}, 0.5) == {}


def test_a_calibrated_model_keeps_its_temperature(monkeypatch, tmp_path):
    def say(enhancer, images, questions, count):
        assert questions == [NEXT] * len(images)
        told = [Answer("open drawer", math.log(0.4)), Answer("take mug", math.log(0.1))]
        return [[*told, Answer("", math.log(0.3))] for _ in images]

    monkeypatch.setattr(anticipation, "likeliest_answers", say)
    pipe = tiny_pipeline()
    enhancer = Enhancer(pipe.enhancer, pipe.processor)
    assert next_actions_of(enhancer, [PHOTO])[0]["open drawer"] == pytest.approx(0.8)
    photos = [PHOTO] * 100
    calibrate(enhancer, photos, ["open drawer"] * 94 + ["take mug"] * 6)
    enhancer.save_pretrained(tmp_path)
    for opened in (enhancer, Enhancer.from_pretrained(tmp_path)):
        found = next_actions_of(opened, photos[:20])
        assert len(found) == 20
        assert found[19]["open drawer"] == pytest.approx(0.94, abs=0.01)
