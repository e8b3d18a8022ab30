"""What the person does next, by an enhancer tuned to say it (`questions` in its settings)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import PIL.Image

from egoframe.errors import UserError
from egoframe.sources.narration import verb_and_noun

if TYPE_CHECKING:
    from egoframe.generator.pipeline import ActionFramePipeline

MAX_TOP = 20


@dataclass(frozen=True)
class NextAction:
    """What may be done next."""

    action: str  # in plain words: "open drawer"
    verb: str
    noun: str  # "" where it acts on nothing
    probability: float  # 0 to 1; those of all actions add up to 1 at most


def next_actions(
    pipe: ActionFramePipeline, image: PIL.Image.Image | Sequence[PIL.Image.Image], top: int = 3
) -> list[NextAction]:
    """The likeliest next actions, the likeliest first.

    Arguments:
        pipe: a model with an enhancer.
        image: what the person sees; or several frames of the last seconds, whose probabilities are
            averaged.
        top: how many.
    Raises:
        UserError: the model has no enhancer, or one that was not tuned for it, or `top` is out of
            range.
    """
    from egoframe.enhancer.anticipation import next_actions_of
    from egoframe.enhancer.model import Enhancer
    from egoframe.generator.photos import enhancer_view
    from egoframe.images import upright

    if not 1 <= top <= MAX_TOP:
        raise UserError(f"top {top}: from 1 to {MAX_TOP}")
    if pipe.enhancer is None:
        raise UserError("this model has no enhancer, which would say what is next; give another")
    given = [image] if isinstance(image, PIL.Image.Image) else list(image)
    config = pipe.config
    photos = [
        enhancer_view(upright(one), config.sample_size, config.squeeze, config.enhancer_sees)
        for one in given
    ]
    told = next_actions_of(Enhancer(pipe.enhancer, pipe.processor), photos)
    shares: dict[str, float] = defaultdict(float)
    for one in told:
        for action, share in one.items():
            shares[action] += share / len(told)
    known = pipe.familiarity
    if known is not None:  # what cannot be drawn is no action
        shares = {said: p for said, p in shares.items() if not any(known.unknown_words([said]))}
    if not shares:
        raise UserError(
            "the model's enhancer names no action: it was not tuned to say what is next"
        )
    best = sorted(shares.items(), key=lambda one: -one[1])[:top]
    return [NextAction(action, *verb_and_noun(action), share) for action, share in best]
