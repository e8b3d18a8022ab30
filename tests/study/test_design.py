"""Every question as often, every picture at every place as often; checks hidden."""

from collections import Counter

import pytest

from egoframe.errors import UserError
from egoframe.study.design import (
    Question,
    Study,
    assigned,
    groups_of,
    open_study,
    question_id,
    save_study,
)

MODELS = ("lego", "label", "copy")


def question(name: str, models: tuple[str, ...], right: str | None = None) -> Question:
    options = {model: f"{question_id('', name, [model])}.jpg" for model in models}
    photo = f"{question_id('', name, [])}.jpg"
    asked = (question_id("", name, models), name, "open drawer", "open", photo)
    return Question(*asked, options, right=right)


def study(kind: str = "ranking", pairs: int = 4, each: int = 6, **changes) -> Study:
    models = changes.pop("models", MODELS)
    questions = tuple(
        question(f"{k}-{'-'.join(group)}", group)
        for k in range(pairs)
        for group in groups_of(kind, models)
    )
    shown = ("truth", "noise", "haze", "fog")[: len(models) if kind == "choice" else 2]
    checks = tuple(question(f"check{k}", shown, "truth") for k in range(6))
    settings = {"checks_each": 2, "seed": 0, "consent": "Do you agree?", **changes}
    return Study(kind, models, questions, checks, each, **settings)


@pytest.mark.parametrize(("kind", "places"), [("ranking", 2), ("choice", 3)])
def test_turns_are_balanced(kind, places):
    made = study(kind, pairs=6, each=6)
    rounds = places * len(made.questions) // 6
    seen, at = Counter(), Counter()
    for rater in range(rounds):
        own = [s for s in assigned(made, rater) if s.question.right is None]
        assert len({s.question.id for s in own}) == 6
        for shown in own:
            seen[shown.question.id] += 1
            for place, model in enumerate(shown.order):
                at[shown.question.id, place, model] += 1
    assert set(seen.values()) == {places}
    assert set(at.values()) == {1}


def test_checks_are_among_the_questions_at_any_place():
    made, places, sides = study(), Counter(), Counter()
    for rater in range(200):
        shown = assigned(made, rater)
        assert len(shown) == 8
        for place, s in enumerate(shown):
            if s.question.right:
                places[place] += 1
                sides[s.order.index("truth")] += 1
    assert set(places) == set(range(8))
    assert sides == {0: 200, 1: 200}  # who always chooses the left one fails half of each rater's


def test_checks_go_round():
    made = study("choice", pairs=6, checks_each=3)
    seen = Counter()
    for rater in range(4):
        own = [s for s in assigned(made, rater) if s.question.right]
        assert {s.order.index("truth") for s in own} == {0, 1, 2}
        seen.update(s.question.id for s in own)
    assert set(seen.values()) == {2}
    assert len(seen) == 6


def test_raters_see_the_same_again_and_others_see_another_order():
    made = study("choice", pairs=6)
    assert assigned(made, 3) == assigned(made, 3)
    assert assigned(made, 3) != assigned(made, 4)
    asked = [{s.question.id for s in assigned(made, k) if not s.question.right} for k in (0, 1)]
    assert asked[0] == asked[1]


def test_it_is_written_and_read(tmp_path):
    made = study()
    save_study(made, tmp_path)
    assert open_study(tmp_path) == made
    with pytest.raises(UserError, match="no study here; make one with egoframe study create"):
        open_study(tmp_path / "nowhere")
    (tmp_path / "study.json").write_text('{"kind": "choice"}')
    with pytest.raises(UserError, match=r"study\.json: no study"):
        open_study(tmp_path)


def test_what_compares_nothing_is_refused():
    with pytest.raises(UserError, match=r"a study of one model \(lego\) compares nothing"):
        study("choice", models=("lego",))
    with pytest.raises(UserError, match="each=13: from 1 to the 12 questions"):
        study(each=13)
    with pytest.raises(UserError, match="checks_each=7: from 0 to the 6"):
        study(checks_each=7)
