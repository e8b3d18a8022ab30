import json

import numpy as np
import pytest

from egoframe.kitchen.facts import accuracy, check
from egoframe.kitchen.teacher import describe

DRAWER = {
    "narration_id": "P01_01_3", "verb": "open", "noun": "drawer",
    "item": {"name": "drawer_2", "noun": "drawer", "color": "white"}, "tool": None,
    "from": None, "to": None, "hands": ["right"], "other_hand": {"side": "left", "doing": "rest"},
    "motion": "towards",
    "frames": {"pre": {"boxes": [{"label": "drawer_2", "x0": 0.7, "y0": 0.7, "x1": 0.9, "y1": 0.9}]},
               "pnr": {"boxes": []}},
}  # fmt: skip


@pytest.fixture(scope="module")
def records(tmp_path_factory, renderer_available) -> list[dict]:
    from pathlib import Path

    from egoframe.kitchen.record import RecordConfig, record

    out: Path = tmp_path_factory.mktemp("recording")
    config = RecordConfig(kitchens=6, actions=40, size=64, frames_only=True, seed=11)
    list(record(out, config))
    return [json.loads(line) for line in (out / "simulator.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_what_is_said_is_so(records):
    facts = [fact for r in records for seed in range(3) for fact in check(describe(r, seed), r)]
    assert len(facts) > 3000
    assert accuracy(facts) >= 0.95
    kinds = {fact.kind for fact in facts}
    assert kinds == {"hand", "object", "place", "direction", "surface", "tool", "other hand"}


@pytest.mark.slow
def test_descriptions_are_short_and_varied(records):
    texts = [describe(record) for record in records]
    assert max(len(text.split()) for text in texts) <= 60
    assert len(set(texts)) > 0.8 * len(texts)
    assert describe(records[0]) == describe(records[0])
    assert len({describe(records[0], seed) for seed in range(20)}) > 3


def test_a_description_names_hand_thing_place_and_direction():
    for seed in range(10):
        text = describe(DRAWER, seed)
        for words in ("right hand", "white drawer", "at the lower right", "towards the body"):
            assert words in text.replace("of the right hand", "right hand"), text
        assert accuracy(check(text, DRAWER)) == 1


@pytest.mark.parametrize(
    ("word", "wrong", "kind"),
    [
        ("right hand", "left hand", "hand"),
        ("white drawer", "red drawer", "object"),
        ("white drawer", "white cupboard", "object"),
        ("lower right", "upper left", "place"),
        ("towards the body", "away from the body", "direction"),
        ("left hand", "right hand", "other hand"),
    ],
)
def test_the_checker_catches_what_is_wrong(word, wrong, kind):
    text = "The right hand reaches for the handle of the white drawer at the lower right and pulls "
    text += "it towards the body. The left hand rests."
    assert all(fact.right for fact in check(text, DRAWER))
    head, _, tail = text.partition(". ")
    changed = (
        f"{head}. {tail.replace(word, wrong)}"
        if kind == "other hand"
        else text.replace(word, wrong, 1)
    )
    assert any(fact.kind == kind and not fact.right for fact in check(changed, DRAWER))


def test_what_is_not_said_is_not_judged():
    assert check("Somebody does something.", DRAWER) == []
    assert accuracy([]) == 1


def test_places_follow_the_box():
    from egoframe.kitchen.teacher import place

    for x, y, words in ((0.1, 0.1, "at the upper left"), (0.5, 0.9, "at the bottom"),
                        (0.9, 0.5, "on the right"), (0.5, 0.5, "in the middle of the view")):  # fmt: skip
        box = {"label": "drawer_2", "x0": x, "y0": y, "x1": x, "y1": y}
        record = {**DRAWER, "frames": {"pre": {"boxes": [box]}, "pnr": {"boxes": []}}}
        assert place(record) == words
        assert np.isclose(accuracy(check(f"The right hand is {words}.", record)), 1)
