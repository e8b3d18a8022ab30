"""What is asked, and who sees what in which order.

A question shows the pictures that some models drew of one pair, side by side and without names.
Raters take turns at the questions, so that all are answered equally often, and each picture stands
equally often at each place. Hidden among them are checks, whose answer is plain.
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

Kind = Literal["choice", "ranking", "alignment"]
FILE = "study.json"
CONSENT = (
    "You will see photos and pictures that computers drew of an action, and say which is best. It "
    "takes some ten minutes. Your answers are kept without your name, for research alone; you may "
    "stop at any time."
)


@dataclass(frozen=True)
class Question:
    """What is shown of one pair."""

    id: str
    pair_id: str
    action: str
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
    consent: str = CONSENT

    @property
    def ties(self) -> bool:
        """Whether "about the same" can be chosen."""
        return self.kind == "ranking"

    def __post_init__(self) -> None:
        if self.kind != "alignment" and len(self.models) < 2:
            raise UserError(
                f"a study of one model ({', '.join(self.models)}) compares nothing; give two or "
                "more"
            )
        if not 1 <= self.each <= len(self.questions):
            raise UserError(f"each={self.each}: from 1 to the {len(self.questions)} questions")
        if not 0 <= self.checks_each <= len(self.checks):
            raise UserError(f"checks_each={self.checks_each}: from 0 to {len(self.checks)}")


@dataclass(frozen=True)
class Shown:
    """A question as one rater sees it."""

    question: Question
    order: tuple[str, ...]  # models, from left to right


def groups_of(kind: Kind, models: Sequence[str]) -> list[tuple[str, ...]]:
    """The models that are shown together: all of them, or each pair of them."""
    return list(combinations(models, 2)) if kind == "ranking" else [tuple(models)]


def question_id(pair_id: str, options: Sequence[str]) -> str:
    """A name that tells nothing."""
    return hashlib.sha256(json.dumps([pair_id, *options]).encode()).hexdigest()[:16]


def assigned(study: Study, rater: int) -> list[Shown]:
    """What a rater is asked, in order.

    Of n questions in a random order, rater k gets those from k · each on, and round and round; in
    each round the pictures of a question move on by a place.

    Arguments:
        rater: a number, from 0 on in the order of their coming.
    """
    order = list(study.questions)
    random.Random(f"{study.seed} questions").shuffle(order)
    shown = []
    for turn in range(rater * study.each, (rater + 1) * study.each):
        shown.append(_placed(study, order[turn % len(order)], turn // len(order)))
    own = random.Random(f"{study.seed} rater {rater}")
    own.shuffle(shown)
    for check in own.sample(study.checks, study.checks_each):
        place = own.randrange(len(shown) + 1)
        shown.insert(place, _placed(study, check, own.randrange(len(check.options))))
    return shown


def _placed(study: Study, question: Question, turn: int) -> Shown:
    models = list(question.options)
    if study.kind != "alignment":  # yes stays before no
        random.Random(f"{study.seed} {question.id}").shuffle(models)
        turn %= len(models)
        models = models[turn:] + models[:turn]
    return Shown(question, tuple(models))


def save_study(study: Study, folder: Path) -> None:
    """Write `study.json`."""
    text = json.dumps(asdict(study), indent=1, ensure_ascii=False) + "\n"
    (folder / FILE).write_text(text, encoding="utf-8")


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
