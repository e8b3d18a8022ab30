"""What raters answered, as figures and as a table of all answers."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from egoframe.errors import UserError
from egoframe.study.design import Question, Study, placed
from egoframe.study.preferences import (
    Answer,
    Counts,
    agreement,
    bradley_terry,
    counted,
    over_raters,
    win_rates,
)
from egoframe.study.store import Stored

# Share of a rater's checks that may be wrong: one of six, so that who guesses between two pictures
# passes in 11 % of cases.
TOLERATED = 0.25
TIE = "tie"


@dataclass(frozen=True)
class Figure:
    """A figure with its 95 % interval over raters; nan where there is one rater."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Verb:
    """The answers about one verb."""

    answers: int
    rates: dict[str, Figure]


@dataclass(frozen=True)
class Report:
    """The figures of a study; checks are not among the answers."""

    kind: str
    raters: int  # that count
    left_out: tuple[str, ...]  # names of those who failed the checks
    answers: int
    ties: float  # share of answers
    rates: dict[str, Figure]  # by model, how often it wins where it is shown; of alignment, "yes"
    scores: dict[str, Figure]  # by model, Bradley–Terry; of alignment, none
    alpha: float  # Krippendorff's, of which picture stands out, 0 by chance
    verbs: dict[str, Verb]


def questions_of(study: Study, stored: Iterable[Stored]) -> Mapping[str, Question]:
    """All that was asked, by id.

    Raises:
        UserError: an answer is of another study.
    """
    questions = {question.id: question for question in (*study.questions, *study.checks)}
    for a in stored:
        if a.question not in questions:
            raise UserError(
                f"the answer of {a.rater} to {a.question} is to no question of this study; give "
                "each its own database"
            )
    return questions


def make_report(study: Study, stored: Sequence[Stored], keep_all: bool = False) -> Report:
    """The figures of all raters who passed the checks.

    Arguments:
        keep_all: count those who failed too.
    Raises:
        UserError: answers are of another study, or none are left.
    """
    questions = questions_of(study, stored)
    failed = set() if keep_all else failing(study, stored)
    kept = [a for a in stored if a.rater not in failed and questions[a.question].right is None]
    if not kept:
        told = f"; {len(failed)} raters failed the checks" if failed else ""
        raise UserError(f"no answers to report{told}")
    answers = [Answer(a.rater, a.shown, a.chosen) for a in kept]
    by_verb: dict[str, list[Answer]] = {}
    for answer, a in zip(answers, kept, strict=True):
        by_verb.setdefault(questions[a.question].verb, []).append(answer)
    alone = study.kind == "alignment"

    def rates(some: Iterable[Answer]) -> dict[str, Figure]:
        found = _with_intervals(list(some), win_rates)
        return {"yes": found["yes"]} if alone else found

    return Report(
        kind=study.kind,
        raters=len({a.rater for a in kept}),
        left_out=tuple(sorted(failed)),
        answers=len(kept),
        ties=sum(a.chosen is None for a in kept) / len(kept),
        rates=rates(answers),
        scores={} if alone else _with_intervals(answers, lambda n: bradley_terry(n).of),
        alpha=agreement((a.question, _value(study, questions[a.question], a)) for a in kept),
        verbs={verb: Verb(len(some), rates(some)) for verb, some in sorted(by_verb.items())},
    )


def failing(study: Study, stored: Iterable[Stored]) -> set[str]:
    """The raters who answered more than a quarter of their checks wrongly."""
    right = {check.id: check.right for check in study.checks}
    marks: dict[str, list[bool]] = {}
    for a in stored:
        if a.question in right:
            marks.setdefault(a.rater, []).append(a.chosen == right[a.question])
    return {rater for rater, own in marks.items() if own.count(False) > TOLERATED * len(own)}


def as_csv(study: Study, stored: Sequence[Stored]) -> str:
    """A row for each answer, those to checks and of raters who failed them included.

    Raises:
        UserError: answers are of another study.
    """
    questions, failed = questions_of(study, stored), failing(study, stored)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(
        ["rater", "passed", "pair_id", "action", "verb", "shown", "chosen", "seconds", "at",
         "check", "right"]
    )  # fmt: skip
    for a in stored:
        question = questions[a.question]
        check = question.right is not None
        table.writerow(
            [a.rater, a.rater not in failed, question.pair_id, question.action, question.verb,
             " | ".join(a.shown), TIE if a.chosen is None else a.chosen,
             "" if a.seconds is None else round(a.seconds, 2), a.at, check,
             a.chosen == question.right if check else ""]
        )  # fmt: skip
    return text.getvalue()


def _value(study: Study, question: Question, a: Stored) -> str | int:
    """What an answer says, for agreement.

    Places in an order at random, not models: of raters who always agree, some choose the first and
    some the second, whichever models win, and by chance alpha is 0 however many models there are.
    """
    if a.chosen is None:
        return TIE
    return placed(study, question, 0).index(a.chosen)


def _with_intervals(
    answers: Sequence[Answer], figures: Callable[[Counts], dict[str, float]]
) -> dict[str, Figure]:
    ends = over_raters(answers, figures)
    return {name: Figure(value, *ends[name]) for name, value in figures(counted(answers)).items()}
