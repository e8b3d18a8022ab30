import pytest

from egoframe.errors import UserError
from egoframe.pairs import check_action, normalise_action


@pytest.mark.parametrize("text", ["Turn-on the tap.", "turn on  tap", " TURN ON A TAP! "])
def test_actions_are_normalised(text):
    assert normalise_action(text, articles=False) == "turn on tap"


def test_articles_are_kept_where_they_are_wanted():
    assert normalise_action("Turn-on  the tap.") == "turn on the tap"


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "empty"), (" . ", "empty"), ("open " * 1000, "1000 words"),
     ("x" * 5000, "5000 characters")],
)  # fmt: skip
def test_what_is_no_action_is_refused(text, words):
    with pytest.raises(UserError, match=words):
        check_action(text)


def test_an_action_passes_normalised():
    assert check_action("Open the drawer.") == "open the drawer"
    with pytest.raises(UserError, match="empty"):
        check_action("the", articles=False)
