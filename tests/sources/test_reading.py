import math
from pathlib import Path

import pytest

from egoframe.sources.clip import flawed
from egoframe.sources.reading import number, safe_name, text, unique


def test_ids_given_again_get_others_that_nobody_has():
    ids = ["a", "a#2", "a", "b", "a"]
    clips = [flawed(name, "s", "train", "v", Path(), "") for name in ids]
    told = {clip.clip_id: clip.flaw for clip in unique(clips)}
    twice = "id given twice"
    assert told == {"a": "", "a#2": "", "a#3": twice, "b": "", "a#4": twice}


@pytest.mark.parametrize("odd", [None, True, "3", [], math.nan, math.inf, 10**400])
def test_numbers_are_finite(odd):
    assert number(odd) is None
    assert (number(3), number(-0.5)) == (3.0, -0.5)


def test_texts_are_what_a_file_can_hold():
    assert (text(" a\ud800b "), text("\ud800"), text("  "), text(3)) == ("ab", None, None, None)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("P01_01", "P01_01"),
        ("../up", "___up"),
        ("c:\\é", "c___"),
        ("", "unnamed"),
        ("a" * 200, "a" * 100),
    ],
)
def test_names_are_safe_on_any_system(name, safe):
    assert safe_name(name) == safe
