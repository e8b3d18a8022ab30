import json
from collections import Counter
from dataclasses import replace

import pytest

from egoframe.errors import UserError
from egoframe.teacher.examples import Example, load_examples, nearest
from egoframe.teacher.verbs import FAMILIES, family
from tests.teacher.scenes import scene


def test_those_that_ship_are_good_and_of_many_kinds():
    examples = load_examples()  # checks each of them
    assert len(examples) >= 24
    assert len({family(example.scene.verb) for example in examples}) >= 20
    assert len({example.answer["description"] for example in examples}) == len(examples)
    hands = Counter(example.answer["hand"] for example in examples)
    assert min(hands[hand] for hand in ("left", "right", "both")) >= 5
    for example in examples:
        assert 30 <= len(example.answer["description"].split()) <= 60
        assert example.answer["description"].startswith("The person ")
        assert example.scene.before
        assert example.scene.during


def test_no_verb_is_of_two_families():
    verbs = Counter(FAMILIES.split())
    assert [verb for verb, count in verbs.items() if count > 1] == []


def test_verbs_find_their_family():
    assert family("pick-up") == family("pick up") == family("take") == family("Grab")
    assert family("put-in") != family("put-down")
    assert family("put-beside") == family("put")
    assert family("turn-on") != family("turn-off") != family("turn")
    assert family("juggle") == family("juggle") != family("take")


def made(*actions):
    return [Example(scene(action), {"number": n}) for n, action in enumerate(actions)]


def names(chosen):
    return [f"{e.scene.verb} {e.scene.noun}" for e in chosen]


def test_the_nearest_come_last():
    examples = made("close drawer", "open door", "unlock box", "wash mug", "open drawer", "eat pie")
    chosen = names(nearest(scene("open drawer"), examples, 6))
    # open drawer 6; unlock 3, open door 4 - 2, close drawer 2; then those with nothing in common
    assert chosen[-1] == "open drawer"
    assert chosen[-2] == "unlock box"
    assert set(chosen[-4:-2]) == {"open door", "close drawer"}
    assert set(chosen[:2]) == {"wash mug", "eat pie"}
    assert names(nearest(scene("scrub cup"), examples, 1)) == ["wash mug"]
    assert names(nearest(scene("paint cup"), examples, 1)) == ["wash mug"]  # by another name


def test_they_vary():
    examples = made(
        *(f"open {n}" for n in ("jar", "bag", "box", "tin")), "unlock car", "unseal pot"
    )
    chosen = names(nearest(scene("open drawer"), examples, 3))
    assert {"unlock car", "unseal pot"} < set(chosen)


def test_equals_are_drawn_by_seed_and_pair_and_always_alike():
    examples = made(*(f"carve n{k}" for k in range(9)))
    where = scene("open drawer")
    assert nearest(where, examples, 4) == nearest(where, examples, 4)
    firsts = {names(nearest(replace(where, pair_id=str(k)), examples, 1))[0] for k in range(60)}
    assert len(firsts) > 4
    assert len({str(names(nearest(where, examples, 4, seed))) for seed in range(9)}) > 4
    assert nearest(where, examples, 0) == []
    assert len(nearest(where, examples, 99)) == 9


def test_a_file_of_ones_own(tmp_path):
    path = tmp_path / "mine.jsonl"
    shipped = load_examples()
    line = json.dumps(
        {"narration": "open drawer", "action": "open drawer", "verb": "open", "noun": "drawer",
         "input_boxes": [], "action_boxes": [],
         "answer": {"description": "The person pulls the drawer open \ud800 with the left hand, "
                    "fingers hooked behind its handle.", "objects": ["drawer"], "hand": "left"}}
    )  # fmt: skip
    path.write_text(f"{line}\n\n{line}\n", encoding="utf-8")
    mine = load_examples(path)
    assert len(mine) == 2
    assert mine[0] not in shipped
    mine[0].answer["description"].encode()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "line 1: not an example"),
        ("[]", "line 1: not an example"),
        ('{"narration": "x"}', "line 1: not an example"),
        ('{"narration": 1, "action": "a", "verb": "v", "noun": "n", "input_boxes": [],'
         ' "action_boxes": [], "answer": {}}', "line 1: not an example"),
        ('{"narration": "a", "action": "a", "verb": "v", "noun": "n", "input_boxes": [3],'
         ' "action_boxes": [], "answer": {}}', "line 1: not an example"),
        ('{"narration": "open box", "action": "open box", "verb": "open", "noun": "box",'
         ' "input_boxes": [], "action_boxes": [], "answer": {"description": "Short.",'
         ' "objects": [], "hand": "left"}}', "line 1: its answer will not do"),
    ],
)  # fmt: skip
def test_a_bad_file_is_told_line_by_line(tmp_path, text, said):
    path = tmp_path / "mine.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=said):
        load_examples(path)
    with pytest.raises(UserError, match="cannot be read"):
        load_examples(tmp_path / "absent.jsonl")
