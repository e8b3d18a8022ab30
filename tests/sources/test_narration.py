import ast
import csv

import pytest

from egoframe.sources.narration import lemma, plain_action, verb_and_noun

# As WordNet 3.0's lemmatiser has them, but for "feed" (it has "fee") and those on the last line
# (it has "scrap", "tap", "rid", "plat", "star").
FORMS = """
opens open, closes close, uses use, fixes fix, mixes mix, presses press, pushes push, passes pass
squeezes squeeze, peels peel, rinses rinse, slices slice, dries dry, ties tie, goes go, does do
puts put, sets set, sits sit, is be, has have, takes take, carries carry, cuts cut, washes wash
unties untie, fries fry, lies lie, undoes undo, releases release, tosses toss, brushes brush
catches catch, stretches stretch, reaches reach, waxes wax, buzzes buzz, quizzes quiz, places place
arranges arrange, adjusts adjust, moves move, leaves leave, shoves shove, freezes freeze, dyes dye
sees see, agrees agree, hoes hoe, aches ache, focuses focus, raises raise, twists twist
press press, pass pass, toss toss, bring bring, swing swing, string string, feed feed, knead knead
need need, shed shed, shred shred, open open, add add, fill fill, wipe wipe, saw saw, dice dice
took take, taken take, held hold, cut cut, put put, was be, were be, went go, gave give, found find
ground grind, wrung wring, hung hang, threw throw, swept sweep, left leave, lit light, wound wind
carried carry, dried dry, tied tie, stirred stir, chopped chop, grabbed grab, added add, opened open
wiped wipe, sliced slice, used use, rinsed rinse, pressed press, filled fill, measured measure
mixed mix, loosened loosen, covered cover, folded fold, tasted taste, moved move, freed free
holding hold, cutting cut, wiping wipe, stirring stir, putting put, sitting sit, setting set
pulling pull, passing pass, buzzing buzz, stuffing stuff, adding add, mixing mix, drying dry
tying tie, lying lie, dyeing dye, seeing see, going go, using use, closing close, rinsing rinse
squeezing squeeze, slicing slice, peeling peel, sweeping sweep, moving move, serving serve
hanging hang, changing change, sponging sponge, plugging plug, managing manage, sprinkling sprinkle
curling curl, crawling crawl, labelling label, shelling shell, rolling roll, controlling control
opening open, covering cover, measuring measure, preparing prepare, removing remove, editing edit
resting rest, rotating rotate, evaluating evaluate, floating float, eating eat, creating create
smoking smoke, pasting paste, breathing breathe, washing wash, reading read, dividing divide
including include, gluing glue, combining combine, cleaning clean, guiding guide, quoting quote
typing type, dicing dice
scrapes scrape, scraping scrape, tapes tape, taped tape, rides ride, plates plate, stares stare
"""
PAIRS = [pair.split() for line in FORMS.strip().splitlines() for pair in line.split(",")]


def test_verbs_are_led_back_to_their_base_forms():
    assert len(PAIRS) > 150
    assert [(form, lemma(form), base) for form, base in PAIRS if lemma(form) != base] == []


def test_real_verbs_survive_being_conjugated(shared_data):
    """The verbs of EPIC-KITCHENS-100, in the third person and as they are."""
    with (shared_data / "epic100" / "EPIC_100_verb_classes.csv").open(encoding="utf-8") as file:
        classes = [ast.literal_eval(row["instances"]) for row in csv.DictReader(file)]
    verbs = {name.split("-")[0] for names in classes for name in names}
    assert len(verbs) > 350
    assert {verb for verb in verbs if lemma(third_person(verb)) != verb} == set()
    assert {verb for verb in verbs if lemma(verb) != verb} == set()


def third_person(verb: str) -> str:
    """By the grammar book's rules."""
    special = {"be": "is", "have": "has"}
    if verb in special:
        return special[verb]
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return f"{verb[:-1]}ies"
    return verb + ("es" if verb.endswith(("s", "x", "z", "sh", "ch", "o")) else "s")


@pytest.mark.parametrize(
    ("narration", "action"),
    [
        ("#C C opens the drawer", "open the drawer"),
        ("  #C  C Carries\ta box ", "carry a box"),
        ("#c c stirs", "stir"),
        ("#CC wipes the table", "wipe the table"),
        ("#C cuts the Carrot with a #unsure", "cut the Carrot with a #unsure"),
        ("C picks up the C-clamp", "pick up the C-clamp"),
        ("opens the cupboard", "open the cupboard"),
    ],
)
def test_the_wearer_is_left_out_and_the_rest_kept(narration, action):
    assert plain_action(narration) == action


@pytest.mark.parametrize(
    ("narration", "reason"),
    [
        ("#O A man X walks", "another person acts"),
        (" #o picks a cup", "another person acts"),
        ("#C C", "no action"),
        ("#C C #unsure", "no action"),
        ("", "no action"),
        ("#Summary C cooked", "no action"),
    ],
)
def test_narrations_of_no_action_of_the_wearer_are_told_apart(narration, reason):
    with pytest.raises(ValueError, match=reason):
        plain_action(narration)


@pytest.mark.parametrize(
    ("action", "verb", "noun"),
    [
        ("open the drawer", "open", "drawer"),
        ("Put the red marker in the cup.", "put", "marker"),
        ("pick up the cube and place it in the box", "pick", "cube"),
        ("turn on the tap", "turn", "tap"),
        ("take off lid", "take", "lid"),
        ("pour water into cup", "pour", "water"),
        ("pick up the bottle of water", "pick", "bottle"),
        ("look at the screen", "look", "screen"),
        ("grab the black, small cube!", "grab", "cube"),
        ("close", "close", ""),
        ("walk around", "walk", ""),
        ("", "", ""),
        ("...", "", ""),
    ],
)
def test_verb_and_first_object(action, verb, noun):
    assert verb_and_noun(action) == (verb, noun)


def test_nouns_of_real_narrations(shared_data):
    """EPIC-KITCHENS-100's verbs and nouns were parsed from the same narrations, and corrected;
    the last word of an action is the noun of 73 %."""
    path = shared_data / "epic100" / "EPIC_100_validation.csv"
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = [verb_and_noun(row["narration"].replace("-", " ")) for row in rows]
    told = [(row["verb"].split("-")[0], row["noun"].replace(":", " ").split()) for row in rows]
    pairs = list(zip(found, told, strict=True))
    assert sum(verb == right for (verb, _), (right, _) in pairs) > 0.95 * len(rows)
    assert sum(noun in right for (_, noun), (_, right) in pairs) > 0.88 * len(rows)
