"""What is asked, and who sees what in which order.

A question shows the pictures that some models drew of one pair, side by side and without names.
Raters take turns at the questions, so that all are answered equally often, and each picture stands
equally often at each place. Hidden among them are checks, whose answer is plain, and stands equally
often at each place too: who always answers the same fails as many of them as who guesses.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

from egoframe.errors import UserError
from egoframe.images import write_bytes

Kind = Literal["choice", "ranking", "alignment"]
FILE = "study.json"
PICTURES = "pictures"  # the folder beside it
KEYS = 9  # options that a digit can choose
_PICTURES = "You will see {count} photos, each with pictures that computers drew of an action, and "
_KEPT = (
    " Your answers are kept under the name that this link was made for, and used for research "
    "alone. You may stop at any time, and go on later with the same link."
)
CONSENT: dict[Kind, str] = {
    "choice": _PICTURES + "say which picture is best." + _KEPT,
    "ranking": _PICTURES + "say which picture is better." + _KEPT,
    "alignment": "You will see {count} actions, and say of each whether a text fits it." + _KEPT,
}


@dataclass(frozen=True)
class Question:
    """What is shown of one pair."""

    id: str
    pair_id: str
    action: str
    verb: str
    photo: str  # file of the input frame
    options: dict[str, str]  # by model, the file of its picture; alignment: by answer, no file
    text: str = ""  # the description, in alignment
    frame: str = ""  # file of the action frame, in alignment
    right: str | None = None  # of a check


@dataclass(frozen=True)
class Study:
    """A whole study."""

    kind: Kind
    models: tuple[str, ...]
    questions: tuple[Question, ...]
    checks: tuple[Question, ...]
    each: int  # questions of a rater, without the checks
    checks_each: int
    seed: int
    consent: str

    @property
    def ties(self) -> bool:
        """Whether "about the same" can be chosen."""
        return self.kind == "ranking"

    def __post_init__(self) -> None:
        check_models(self.kind, self.models)
        if not 1 <= self.each <= len(self.questions):
            raise UserError(f"each={self.each}: from 1 to the {len(self.questions)} questions")
        if not 0 <= self.checks_each <= len(self.checks):
            raise UserError(
                f"checks_each={self.checks_each}: from 0 to the {len(self.checks)} checks"
            )


@dataclass(frozen=True)
class Shown:
    """A question as one rater sees it."""

    question: Question
    order: tuple[str, ...]  # models, from left to right


def check_models(kind: Kind, models: Sequence[str]) -> None:
    """Whether a study can be made of them.

    Raises:
        UserError: there are too few, or too many to be told apart by keys.
    """
    if kind == "alignment":
        if models:
            raise UserError("a study of descriptions compares no models; leave out NAME=PICTURES")
    elif len(models) < 2:
        told = f"one model ({models[0]})" if models else "no model"
        raise UserError(f"a study of {told} compares nothing; give two or more, as NAME=PICTURES")
    elif kind == "choice" and len(models) > KEYS:
        raise UserError(f"{len(models)} models side by side: at most {KEYS}, or --kind ranking")


def groups_of(kind: Kind, models: Sequence[str]) -> list[tuple[str, ...]]:
    """The models that are shown together: all of them, or each pair of them."""
    return list(combinations(models, 2)) if kind == "ranking" else [tuple(models)]


def question_id(secret: str, pair_id: str, options: Sequence[str]) -> str:
    """A name that tells nothing, and that no other study has."""
    return hashlib.sha256(json.dumps([secret, pair_id, *options]).encode()).hexdigest()[:16]


def assigned(study: Study, rater: int) -> list[Shown]:
    """What a rater is asked, in order.

    Of n questions in a random order, rater k gets those from k · each on, and round and round; in
    each round the pictures of a question move on by a place. Checks go round likewise; the right
    answers of a rater's stand at each place in turn.

    Arguments:
        rater: a number, from 0 on in the order of their coming.
    """
    order = list(study.questions)
    random.Random(f"{study.seed} questions").shuffle(order)
    shown = []
    for turn in range(rater * study.each, (rater + 1) * study.each):
        question = order[turn % len(order)]
        shown.append(Shown(question, placed(study, question, turn // len(order))))
    own = random.Random(f"{study.seed} rater {rater}")
    own.shuffle(shown)
    first = own.randrange(len(study.questions[0].options))
    for turn in range(study.checks_each):
        check = study.checks[(rater * study.checks_each + turn) % len(study.checks)]
        shown.insert(
            own.randrange(len(shown) + 1), Shown(check, placed(study, check, first + turn))
        )
    return shown


def placed(study: Study, question: Question, turn: int) -> tuple[str, ...]:
    """The models of a question from left to right, at one of its turns."""
    models = list(question.options)
    if study.kind == "alignment":  # yes stays before no
        return tuple(models)
    if question.right is None:  # of a check, the right one stands first
        random.Random(f"{study.seed} {question.pair_id} {models}").shuffle(models)
    turn %= len(models)
    return tuple(models[turn:] + models[:turn])


def save_study(study: Study, folder: Path) -> None:
    """Write `study.json`, whole or not at all."""
    text = json.dumps(asdict(study), indent=1, ensure_ascii=False) + "\n"
    write_bytes(folder / FILE, text.encode())


def open_study(folder: Path) -> Study:
    """Read it.

    Raises:
        UserError: there is none, or it is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        raise UserError(f"{folder}: no study here; make one with egoframe study create")
    try:
        told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for name in ("questions", "checks"):
            told[name] = tuple(Question(**question) for question in told[name])
        return Study(**told | {"models": tuple(told["models"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path}: no study ({error})") from None
