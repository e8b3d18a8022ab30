import json
import time

import pytest

from egoframe.teacher import answer
from egoframe.teacher.answer import check
from tests.teacher.scenes import box, scene

TEXT = (
    "The person hooks the fingers of the right hand behind the handle of the drawer and pulls it "
    "straight towards the body until it is open."
)
SCENE = scene("open drawer", [box("right hand", "drawer"), box("drawer"), box("red mug")])


def told(description=TEXT, objects=("drawer",), hand="right", **other):
    return json.dumps({"description": description, "objects": list(objects), "hand": hand, **other})


def problem(text, where=SCENE, finish="stop"):
    checked = check(text, where, finish)
    assert checked.description is None
    assert not checked.good
    assert checked.complaint == checked.problem
    return checked.problem


@pytest.mark.parametrize(
    "text",
    [
        told(),
        f"```json\n{told()}\n```",
        f"Here you are:\n\n{told()}\n\nIs there {{anything}} else?",
        f'The form is {{"description": "...", "objects": [], "hand": "left"}}. Mine: {told()}',
        f"<think>Perhaps {told('It is {a draft}.')} or not.</think>{told()}",
        told(confidence={"description": "nested"}),
        told().replace("drawer and", "drawer\\n  and\\u0007"),
        "{" * 50 + told(),
        "Let me think. " * 9999 + told(),
    ],
)
def test_an_answer_is_found_wherever_it_stands(text):
    checked = check(text, SCENE)
    assert (checked.description, checked.flags, checked.problem) == (TEXT, [], None)
    assert checked.good


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, answer.EMPTY),
        (" \n", answer.EMPTY),
        (told(" "), answer.EMPTY),
        ("The person opens the drawer.", answer.NOT_JSON),
        ('["description"]', answer.NOT_JSON),
        ('{"description": 5, "objects": [], "hand": "left"}', answer.NOT_JSON),
        (told()[:-10], answer.NOT_JSON),
        ("[" * 100_000, answer.NOT_JSON),
        ('{"a":' * 100_000, answer.NOT_JSON),
        ("I'm sorry, but I can't help with that.", answer.REFUSED),
        (told("As an AI, I cannot see the frames and so no description of them is here."),
         answer.REFUSED),
        (told(TEXT, hand="third"), answer.WRONG_FIELDS),
        (told(TEXT, hand=["left"]), answer.WRONG_FIELDS),
        (json.dumps({"description": TEXT, "objects": "drawer", "hand": "left"}),
         answer.WRONG_FIELDS),
        (json.dumps({"description": TEXT, "objects": [1], "hand": "left"}), answer.WRONG_FIELDS),
        (json.dumps({"description": TEXT}), answer.WRONG_FIELDS),
        (told("The person opens the drawer."), answer.TOO_SHORT),
        (told(TEXT + " The drawer moves on." * 40), answer.TOO_LONG),
        (told("I hook my fingers behind the handle of the drawer and pull it towards my body."),
         answer.FIRST_PERSON),
        (told(TEXT.replace("drawer", "cupboard")), answer.OFF_NOUN),
    ],
)  # fmt: skip
def test_what_is_of_no_use_is_told_why(text, why):
    assert problem(text) == why


def test_an_answer_that_was_cut_off_is_told_so():
    assert problem(told()[:80], finish="length") == answer.CUT_OFF
    assert problem(None, finish="length") == answer.CUT_OFF
    assert problem(None, finish="content_filter") == answer.FILTERED
    assert check(told(), SCENE, "length").good  # all that matters came before


def test_an_action_on_nothing_must_be_told_by_its_verb():
    where = scene("wait")
    assert problem(told("The person rests both hands on the table " + "and looks " * 5),
                   where) == answer.OFF_VERB  # fmt: skip
    assert check(told("The person waits, both hands resting on the table, for the " + "food " * 3),
                 where).good  # fmt: skip
    # Another verb of the family will do.
    assert check(told("The person is grabbing with the right hand and then draws the hand back."),
                 scene("take")).good  # fmt: skip


@pytest.mark.parametrize(
    ("action", "said"),
    [("turn-on tap", "faucet"), ("take mugs", "mug"), ("cut tomato", "tomatoes"),
     ("take board:chopping", "board"), ("wipe counter", "worktop"),
     ("pick knife from table", "knives")],
)  # fmt: skip
def test_things_go_by_other_names_and_numbers(action, said):
    text = told(f"The person reaches for the {said} and does what there is to do with it, slowly.")
    assert check(text, scene(action)).problem is None


def test_hostile_letters_do_not_get_through():
    text = told(TEXT.replace("hooks", "hooks\u202e \ud800\x1b[31m\x00"), ["draw\x1ber"])
    description = check(text, SCENE).description
    assert description.isprintable()
    assert description.encode() == description.encode("utf-8", "strict")


def test_a_huge_answer_takes_no_time():
    started = time.perf_counter()
    assert problem("{" * 5_000_000) == answer.NOT_JSON
    assert problem('{"a":' * 1_000_000) == answer.NOT_JSON
    assert problem(told("The drawer " * 1_000_000)) == answer.NOT_JSON
    assert time.perf_counter() - started < 2
