"""What the person does next, in the enhancer's own words and with its own probabilities.

That it says an action is how likely it holds the action to be. One temperature, fitted on frames
that training did not see, makes these probabilities true (Guo et al., 2017, Sec. 4.2); it is kept
in the model's configuration as `next_temperature`, 1 where there is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from egoframe.enhancer.answers import likeliest_answers
from egoframe.enhancer.model import Enhancer
from egoframe.enhancer.prompts import NEXT

BEAMS = 20  # answers looked at
TOGETHER = 16  # pictures asked about at once
TEMPERATURES = np.geomspace(0.2, 5.0, 65)  # tried


def next_actions_of(enhancer: Enhancer, images: Sequence[Image.Image]) -> list[dict[str, float]]:
    """The likeliest next actions in each of B RGB pictures, with their probabilities, which add up
    to 1; none where the enhancer names no action."""
    temperature = getattr(enhancer.model.config, "next_temperature", 1.0)
    return [tempered(told, temperature) for told in _said(enhancer, images)]


def calibrate(enhancer: Enhancer, images: Sequence[Image.Image], actions: Sequence[str]) -> float:
    """Fit the temperature to what B pictures were truly followed by, and set it in the model."""
    told = _said(enhancer, images)
    enhancer.model.config.next_temperature = best = fit_temperature(told, actions)
    return best


def fit_temperature(told: Sequence[Mapping[str, float]], actions: Sequence[str]) -> float:
    """The temperature, of `TEMPERATURES`, at which the true actions are likeliest.

    Arguments:
        told: for each picture, the log probability of each action that was said; where the true
            one was not, no temperature helps, and the picture does not count.
        actions: the true ones.
    Returns:
        1 where no picture counts.
    """
    known = [(row, true) for row, true in zip(told, actions, strict=True) if true in row]
    if not known:
        return 1.0
    losses = [-sum(np.log(tempered(row, t)[true]) for row, true in known) for t in TEMPERATURES]
    return float(TEMPERATURES[int(np.argmin(losses))])


def tempered(told: Mapping[str, float], temperature: float) -> dict[str, float]:
    """Probabilities that add up to 1, from log probabilities."""
    if not told:
        return {}
    scores = np.array(list(told.values())) / temperature
    shares = np.exp(scores - scores.max())
    return dict(zip(told, (shares / shares.sum()).tolist(), strict=True))


def _said(enhancer: Enhancer, images: Sequence[Image.Image]) -> list[dict[str, float]]:
    """The log probability of each action that is said of each picture."""
    found = []
    for start in range(0, len(images), TOGETHER):
        part = images[start : start + TOGETHER]
        for answers in likeliest_answers(enhancer, part, [NEXT] * len(part), BEAMS):
            found.append({one.text: one.log_probability for one in answers if one.text})
    return found
