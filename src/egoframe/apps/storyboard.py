"""A task as pictures: its steps, planned for the scene, each drawn from the one before."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from egoframe.errors import UserError
from egoframe.pairs import check_action

if TYPE_CHECKING:
    from PIL import Image

    from egoframe.generator.pipeline import ActionFramePipeline

MAX_STEPS = 20
PLAN_TOKENS = 120  # of a whole plan
BEAMS = 3
PARTS = re.compile(r"[,;\n]|\bthen\b")
NUMBER = re.compile(r"^\s*(?:\d+\s*[.):]|[-*•])\s*")


def plan_steps(
    pipe: ActionFramePipeline, photo: Image.Image, task: str, steps: int | None = None
) -> list[str]:
    """The actions that do a task in the scene of a photo, in order, as the enhancer says them.

    Arguments:
        pipe: a model whose enhancer was tuned to plan.
        task: such as "make a cup of tea".
        steps: the first so many.
    Raises:
        UserError: the model has no enhancer, it never learnt such a task, or it plans nothing.
    """
    from egoframe.enhancer.answers import likeliest_answers
    from egoframe.enhancer.model import Enhancer
    from egoframe.enhancer.prompts import plan_question
    from egoframe.generator.photos import enhancer_view
    from egoframe.images import upright

    if steps is not None and not 1 <= steps <= MAX_STEPS:
        raise UserError(f"steps {steps}: from 1 to {MAX_STEPS}")
    words = check_action(task, pipe.config.articles)
    if pipe.enhancer is None:
        raise UserError("this model has no enhancer, which would plan; give the steps yourself")
    known = pipe.familiarity
    if known is not None and known.tasks:
        learnt = {w for one in known.tasks for w in check_action(one, pipe.config.articles).split()}
        if not learnt.issuperset(words.split()):
            raise UserError(
                f"{task!r}: the model knows how to {', '.join(known.tasks)}; give the steps of "
                "another task in a file (--plan)"
            )
    config = pipe.config
    seen = enhancer_view(upright(photo), config.sample_size, config.squeeze, config.enhancer_sees)
    enhancer = Enhancer(pipe.enhancer, pipe.processor)
    (said,) = likeliest_answers(enhancer, [seen], [plan_question(words)], BEAMS, PLAN_TOKENS)
    actions = parse_plan(said[0].text) if said else []
    if not actions or (known is not None and any(known.unknown_words(actions))):
        raise UserError(f"{task!r}: the model knows no steps for it; give them in a file (--plan)")
    return actions[:steps]


def parse_plan(text: str) -> list[str]:
    """The actions of a plan: one in a line, numbered or not, or separated by commas."""
    parts = (NUMBER.sub("", part) for part in PARTS.split(text))
    return [" ".join(part.split()).strip(" .") for part in parts if part.strip(" .")][:MAX_STEPS]


def read_plan(path: Path) -> list[str]:
    """The actions of a file, one in a line; empty lines and those that begin with # are left out.

    Raises:
        UserError: it cannot be read, names no action or too many, or an action cannot be one.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as text ({error})") from None
    told = [NUMBER.sub("", line).strip() for line in lines if not line.lstrip().startswith("#")]
    actions = [line for line in told if line]
    if not 1 <= len(actions) <= MAX_STEPS:
        raise UserError(f"{path}: {len(actions)} actions; give 1 to {MAX_STEPS}, one in a line")
    for number, action in enumerate(actions, 1):
        try:
            check_action(action)
        except UserError as error:
            raise UserError(f"{path}: step {number}: {error}") from None
    return actions


def draw_steps(
    pipe: ActionFramePipeline, photo: Image.Image, actions: Sequence[str], seed: int = 0
) -> Iterator[Image.Image]:
    """One frame for each action, drawn from the frame before it in the view of the photo.

    Raises:
        UserError: a photo or an action that cannot be drawn from.
    """
    from egoframe.generator.chain import begin_chain, continue_chain, show

    chain = begin_chain(pipe, photo)
    for number, action in enumerate(actions):
        chain, _ = continue_chain(pipe, chain, action, seed=seed, name=str(number))
        yield show(pipe, chain)
