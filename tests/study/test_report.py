"""Figures against known preferences and closed forms; who is left out; the table of answers."""

import csv
import io
import math
import random
from collections import Counter

import pytest

from egoframe.errors import UserError
from egoframe.study.design import Study, assigned
from egoframe.study.report import as_csv, failing, make_report
from egoframe.study.store import Stored
from tests.study.test_design import MODELS, question, study

STRENGTHS = {"lego": 0.8, "label": 0.2, "copy": -1.0}


def answer(rater: str, shown, chosen: str | None, seconds: float | None = 2.0) -> Stored:
    return Stored(rater, shown.question.id, shown.order, chosen, seconds, "2030-01-01T00:00:00")


def prefer(draw: random.Random, order: tuple[str, ...], tie: float | None) -> str | None:
    """A choice by Davidson's model; what is not a model's is by chance."""
    told = [STRENGTHS.get(model, 0.0) for model in order]
    weights = [math.exp(strength) for strength in told]
    options: list[str | None] = list(order)
    if tie is not None:
        weights.append(math.exp(tie + sum(told) / len(told)))
        options.append(None)
    return draw.choices(options, weights)[0]


def simulated(made: Study, raters: int = 60, careless: int = 0, seed: int = 0) -> list[Stored]:
    """Raters who answer by STRENGTHS; the last ones never look."""
    draw, stored = random.Random(seed), []
    for rater in range(raters):
        for shown in assigned(made, rater):
            if rater >= raters - careless:
                chosen: str | None = draw.choice(shown.order)
            elif shown.question.right:
                chosen = shown.question.right
            else:
                chosen = prefer(draw, shown.order, -0.5 if made.ties else None)
            stored.append(answer(str(rater), shown, chosen))
    return stored


@pytest.mark.parametrize("kind", ["choice", "ranking"])
def test_known_preferences_are_recovered_within_the_intervals(kind):
    """Of fifteen intervals of 95 %, more than three miss in one of two hundred cases."""
    made, missed = study(kind, pairs=30, each=20), Counter()
    total = sum(map(math.exp, STRENGTHS.values()))
    for seed in range(5):
        found = make_report(made, simulated(made, seed=seed))
        assert (found.raters, found.answers, found.left_out) == (60, 1200, ())
        for model, strength in STRENGTHS.items():
            score, rate = found.scores[model], found.rates[model]
            missed["scores"] += not score.low < strength < score.high
            missed["rates"] += not rate.low < math.exp(strength) / total < rate.high
            assert 0 < score.high - score.low < 0.4
        assert found.verbs["open"].rates == found.rates
        assert (0.15 < found.ties < 0.25) if made.ties else found.ties == 0
    assert missed["scores"] <= 3
    if kind == "choice":  # of two, wins depend on the other
        assert missed["rates"] <= 3


def test_who_fails_more_than_a_quarter_of_the_checks_is_left_out():
    made = study(checks_each=4)
    shown = assigned(made, 0)
    checks = [s for s in shown if s.question.right]
    others = [answer("ada", s, s.order[0]) for s in shown if not s.question.right]
    assert len(checks) == 4
    right, wrong, tie = "truth", "noise", None
    for marks, out in (
        ([right] * 4, False), ([right, wrong, right, right], False), ([tie, right] * 2, True),
        ([wrong, right, right, tie], True), ([right] * 3, False), ([wrong], True), ([], False),
    ):  # fmt: skip
        own = [answer("ada", s, mark) for s, mark in zip(checks, marks, strict=False)]
        assert failing(made, own + others) == ({"ada"} if out else set())


def test_careless_raters_do_not_blur_the_figures():
    made = study("ranking", pairs=30, each=20, checks_each=6)
    stored = simulated(made, 60, careless=30)
    found, blurred = make_report(made, stored), make_report(made, stored, keep_all=True)
    assert set(found.left_out) <= {str(k) for k in range(30, 60)}
    assert len(found.left_out) > 20  # of the 30 who guess, by the binomial 27 are expected
    assert found.raters == 60 - len(found.left_out)
    assert found.answers == 20 * found.raters
    assert (blurred.raters, blurred.left_out) == (60, ())
    assert blurred.scores["lego"].value < found.scores["lego"].value


def test_checks_are_no_answers():
    made = study()
    stored = [answer("ada", s, s.question.right or s.order[0]) for s in assigned(made, 0)]
    found = make_report(made, stored)
    assert found.answers == 6
    assert set(found.rates) == set(MODELS)


def test_agreement_is_none_by_chance_however_many_models_there_are():
    made, draw = study("ranking", pairs=30, each=90, checks_each=0), random.Random(0)
    asked = [assigned(made, rater) for rater in range(20)]
    by_chance = [
        answer(str(r), s, draw.choice(s.order)) for r, own in enumerate(asked) for s in own
    ]
    assert abs(make_report(made, by_chance).alpha) < 0.02
    agreed = [
        answer(str(r), s, max(s.order, key=STRENGTHS.__getitem__))
        for r, own in enumerate(asked)
        for s in own
    ]
    assert make_report(made, agreed).alpha == 1


def test_verbs_are_told_apart():
    made = study("choice", pairs=6)
    verbs = ("open", "cut")
    questions = tuple(
        type(q)(**{**vars(q), "verb": verbs[k % 2]}) for k, q in enumerate(made.questions)
    )
    made = Study(**{**vars(made), "questions": questions})
    stored = [
        answer(str(r), s, s.question.right or ("lego" if s.question.verb == "cut" else "copy"))
        for r in range(3)
        for s in assigned(made, r)
    ]
    found = make_report(made, stored)
    assert {verb: own.answers for verb, own in found.verbs.items()} == {"cut": 9, "open": 9}
    assert found.verbs["cut"].rates["lego"].value == 1
    assert found.verbs["open"].rates["lego"].value == 0
    assert found.rates["lego"].value == 0.5


def fits(pairs: int = 4) -> Study:
    """Of descriptions."""
    asked = [question(f"p{k}", ("yes", "no")) for k in range(pairs)]
    checks = [question(f"c{k}", ("yes", "no"), ("no", "yes")[k % 2]) for k in range(2)]
    return Study("alignment", (), tuple(asked), tuple(checks), pairs, 2, 0, "Do you agree?")


def test_a_share_of_descriptions_fits():
    made = fits()
    stored = [
        answer(f"r{r}", s, s.question.right or ("no" if s.question.pair_id == f"p{r}" else "yes"))
        for r in range(4)
        for s in assigned(made, r)
    ]
    found = make_report(made, stored)
    assert (list(found.rates), found.scores) == (["yes"], {})
    assert (found.rates["yes"].value, found.answers) == (0.75, 16)
    assert list(found.verbs["open"].rates) == ["yes"]


@pytest.mark.parametrize("always", ["yes", "no"])
def test_who_always_says_the_same_of_descriptions_is_left_out(always):
    made = fits()
    stored = [answer("ada", s, always) for s in assigned(made, 0)]
    with pytest.raises(UserError, match="no answers to report; 1 raters failed the checks"):
        make_report(made, stored)
    assert make_report(made, stored, keep_all=True).rates["yes"].value == (always == "yes")


def test_every_answer_is_a_row():
    made = study()
    shown = assigned(made, 0)
    places = {s.question.id: s for s in shown}
    stored = [answer("ada, née b", s, s.order[0], 1.234) for s in shown[:-1]]
    stored.append(answer("ada, née b", shown[-1], None, None))
    rows = list(csv.DictReader(io.StringIO(as_csv(made, stored))))
    assert len(rows) == len(shown)
    for row, a in zip(rows, stored, strict=True):
        asked = places[a.question].question
        assert (row["rater"], row["pair_id"], row["action"]) == (
            a.rater,
            asked.pair_id,
            "open drawer",
        )
        assert row["verb"] == "open"
        assert row["shown"] == " | ".join(a.shown)
        assert row["chosen"] == ("tie" if a.chosen is None else a.shown[0])
        assert row["seconds"] == ("" if a.seconds is None else "1.23")
        assert row["check"] == str(asked.right is not None)
        assert row["right"] == (str(a.chosen == "truth") if asked.right else "")
        assert row["passed"] == str("ada, née b" not in failing(made, stored))


def test_answers_of_another_study_are_refused():
    made, other = study(), study("choice", pairs=6)
    stored = [answer("ada", s, s.order[0]) for s in assigned(other, 0)]
    for told in (make_report, as_csv):
        with pytest.raises(UserError, match=r"to no question of this study; give each its own"):
            told(made, stored)
    with pytest.raises(UserError, match="no answers to report"):
        make_report(made, [])
