import pytest

from egoframe.teacher.things import checkable, invented, singular
from tests.teacher.scenes import box, scene

SCENE = scene(
    "cut onion",
    [box("right hand", "kitchen knife"), box("left hand"), box("onions"), box("chopping board"),
     box("tap")],
    narration="cut the onion into rings",
)  # fmt: skip


@pytest.mark.parametrize(
    ("thing", "known"),
    [
        ("onion", True),
        ("the red onions", True),  # number and colour
        ("knife", True),  # by what a hand touches
        ("sharp knives", True),
        ("cutting board", True),  # the same head noun
        ("knife block", False),  # another
        ("onion's skin", False),
        ("edge of the board", True),  # a part
        ("rings", True),  # narrated
        ("faucet", True),  # another name
        ("counter", True),  # scenery
        ("fingertips", True),
        ("bowl of onions", False),
        ("plate", False),
        ("", True),
    ],
)
def test_things_are_known_by_their_head_noun(thing, known):
    assert invented(SCENE, "", [thing]) == ([] if known else [thing])


def test_things_that_are_named_but_not_listed_are_found():
    text = (
        "The person takes two plates and cuts the onion with a knife like a saw, beside a kettle."
    )
    assert invented(SCENE, text, []) == ["plate", "kettle"]
    assert invented(SCENE, text, ["white plate", "kettle"]) == ["white plate", "kettle"]
    assert invented(SCENE, "The hand holds the knife like a pen.", []) == []


def test_a_hand_that_neither_frame_shows_is_invented():
    one = scene("cut onion", [box("right hand", "knife"), box("onion")])
    text = "The person holds the onion with the left hand and cuts with the right hand."
    assert invented(one, text, []) == ["left hand"]
    assert invented(SCENE, text, []) == []
    nobody = scene("cut onion", [box("knife"), box("onion")])
    assert invented(nobody, text, []) == []  # hands are not annotated


def test_without_boxes_nothing_can_be_checked():
    bare = scene("cut onion")
    assert not checkable(bare)
    assert invented(bare, "The person hits a piano with the left hand.", ["piano"]) == []
    hands = scene("cut onion", [box("right hand")])
    assert not checkable(hands)
    assert invented(hands, "The right hand lifts a kettle.", ["piano"]) == []
    assert checkable(SCENE)


@pytest.mark.parametrize(
    ("words", "one"),
    [("mugs", "mug"), ("boxes", "box"), ("dishes", "dish"), ("berries", "berry"),
     ("knives", "knife"), ("glass", "glass"), ("glasses", "glass"), ("pies", "pie"),
     ("couscous", "couscous"), ("potatoes", "potato"), ("gas", "gas"), ("vases", "vase"),
     ("cheese", "cheese"), ("spoon", "spoon"), ("gloves", "glove")],
)  # fmt: skip
def test_words_in_the_singular(words, one):
    assert singular(words) == one
    assert singular(one) == one


@pytest.mark.parametrize(
    "text",
    [
        "The right hand cups the onion.",
        "The person lifts the glass lid off the board.",
        "The left-hand side of the board stays free.",
        "The board lies at the left hand side, beside the sink.",
        "Water runs from the tap.",
    ],
)
def test_ordinary_words_are_no_inventions(text):
    one = scene("cut onion", [box("right hand", "knife"), box("onion"), box("board"), box("tap")])
    assert invented(one, text, ["water", "sink"]) == []


def test_what_looks_like_them_is_invented_still():
    one = scene("cut onion", [box("right hand", "knife"), box("onion")])
    text = "With the left hand the person puts two cups and a glass beside the onion."
    assert invented(one, text, ["water"]) == ["water", "cup", "glass", "left hand"]
