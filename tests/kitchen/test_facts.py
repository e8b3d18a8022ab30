import re

import pytest

from egoframe.scenes import check, describe
from egoframe.simulator.facts import Fact, accuracy
from tests.kitchen.made_up import records

RECORDS = records(600, seed=1)

DRAWER = {
    "narration_id": "P09_02_5",
    "verb": "open",
    "noun": "drawer",
    "item": {"name": "drawer_2", "noun": "drawer", "color": "white"},
    "tool": None,
    "from": None,
    "to": None,
    "hands": ["right"],
    "other_hand": {"side": "left", "doing": "hold",
                   "item": {"name": "mug_1", "noun": "mug", "color": "red"}},
    "motion": "towards",
    "frames": {"pre": {"boxes": [{"label": "drawer_2", "x0": 0.7, "x1": 0.9, "y0": 0.7,
                                  "y1": 0.9}]}},
}  # fmt: skip


def wrong(text: str) -> list[tuple[str, str]]:
    return [(fact.kind, fact.said) for fact in check(text, DRAWER) if not fact.right]


def test_it_reads_sentences_that_no_template_wrote():
    text = (
        "Stretching out the right hand, somebody slides the white drawer at the lower right open "
        "towards the body, while the left hand holds the red mug."
    )
    kinds = [fact.kind for fact in check(text, DRAWER)]
    assert sorted(kinds) == sorted(
        ["hand", "object", "place", "direction", "other hand", "other hand", "other hand"]
    )
    assert wrong(text) == []


@pytest.mark.parametrize(
    ("text", "errors"),
    [
        ("The left hand pulls the white drawer.", [("hand", "left")]),
        ("The right hand pulls the brown drawer.", [("object", "brown drawer")]),
        ("The right hand pulls the white cupboard.", [("object", "white cupboard")]),
        ("The right hand pulls the drawer at the upper left.", [("place", "upper left")]),
        ("The right hand pulls the drawer in the middle of the view.", [("place", "middle")]),
        ("The right hand pushes the drawer away from the body.", [("direction", "away")]),
        ("The right hand takes the drawer from the worktop.", [("surface", "worktop")]),
        ("It opens. The right hand rests.", [("other hand", "right"), ("other hand", "rest")]),
        ("It opens. The left hand steadies the red mug.", [("other hand", "steady")]),
        ("It opens, while the left hand holds the blue mug.", [("other hand", "blue mug")]),
        ("A drawer opens.", []),
    ],
)
def test_it_names_what_is_wrong(text, errors):
    assert wrong(text) == errors


def swapped(text: str, *pairs: tuple[str, str]) -> str:
    """A text with each word of a pair put in the place of the other."""
    other = {a: b for pair in pairs for a, b in (pair, pair[::-1])}
    return re.sub(rf"\b({'|'.join(other)})\b", lambda match: other[match[0]], text)


@pytest.mark.parametrize(
    ("kind", "pairs"),
    [
        ("hand", [("left hand", "right hand")]),
        ("other hand", [("left hand", "right hand")]),
        ("object", [("red", "blue"), ("white", "black"), ("steel", "wooden"), ("grey", "green")]),
        ("tool", [("kettle", "bottle"), ("knife", "spatula"), ("spoon", "spatula")]),
        ("direction", [("towards", "away from"), ("clockwise", "anticlockwise"),
                       ("to the left", "to the right")]),
        ("surface", [("worktop", "hob"), ("sink", "chopping board")]),
    ],
)  # fmt: skip
def test_swapped_facts_are_caught(kind, pairs):
    caught = told = 0
    for record in RECORDS:
        true = describe(record)
        false = swapped(true, *pairs)
        if false == true or kind not in {fact.kind for fact in check(true, record)}:
            continue
        told += 1
        caught += any(not fact.right for fact in check(false, record))
    assert told > 60
    assert caught == told


def test_accuracy_is_the_share_of_right_facts():
    facts = [Fact("hand", "left", True), Fact("place", "middle", False)]
    assert accuracy(facts) == 0.5
    assert accuracy([]) == 1.0
