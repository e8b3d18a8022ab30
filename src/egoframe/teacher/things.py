"""Which things a description invents: those that neither boxes nor narration know of.

Words are compared in the singular, and things by their head noun: "the red mugs" are known where
there is a mug, "the drawer's handle" is part of what there is, and a faucet is a tap.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from egoframe.teacher.scene import HANDS, Scene

SAME = """
tap faucet, fridge refrigerator, hob stove cooker burner cooktop, mug cup, bin trash garbage can
dustbin rubbish, cloth rag towel dishcloth napkin, pan skillet saucepan pot, phone smartphone
cellphone, aubergine eggplant, courgette zucchini, sofa couch, screwdriver
driver, cupboard cabinet, tin can, tub container tupperware box, packet package pack bag, spatula
turner, biscuit cookie, jug pitcher, coriander cilantro, hosepipe hose, plank board, counter worktop
countertop worksurface, bottle flask
"""
KIN: dict[str, set[str]] = {}
for _group in SAME.split(","):
    for _word in _group.split():
        KIN.setdefault(_word, set()).update(_group.split())

# Never invented: what every scene has, what a thing consists of, and how it is spoken of.
SCENERY_WORDS = """
counter countertop worktop worksurface tabletop table surface workbench kitchen room floor
ground wall ceiling air view scene frame camera light
person wearer body chest torso lap leg foot hand finger fingertip thumb index palm fist wrist
forearm arm elbow grip grasp hold
handle knob lever button switch lid cap edge rim side top bottom base end tip corner middle
centre center front back neck mouth opening blade bristle spout nozzle hinge door shelf slot
part piece slice half inside outside content stack pile row space place spot position
"""
SCENERY = set(SCENERY_WORDS.split())
# Things whose names are no verbs: wherever a description has such a word, it names the thing.
NAMEABLE_WORDS = """
mug cup glass plate saucer bowl jug kettle teapot bottle flask jar tin carton packet pan
saucepan skillet pot wok colander sieve tray knife fork spoon teaspoon tablespoon spatula tongs
peeler grater scissors corkscrew drawer cupboard cabinet fridge refrigerator freezer oven
microwave toaster dishwasher hob stove faucet bin sponge towel dishcloth napkin
apron bread butter cheese egg milk onion garlic tomato potato carrot cucumber apple banana lemon
chicken turkey soup pasta dough flour whisk ladle phone laptop book pen pencil screwdriver pliers
wrench ruler dispenser paintbrush bucket broom hose spade shovel rope needle bag basket box chair
cat dog
"""
NAMEABLE = set(NAMEABLE_WORDS.split())
STOP = {"the", "a", "an", "of", "in", "on", "with", "from", "to", "into", "onto", "and", "for",
        "at", "by", "off", "out", "up", "down", "over", "under", "other", "it", "is",
        "person", "some"}  # fmt: skip
BREAKS = re.compile(r"\b(?:of|with|from|in|on|for|at|inside|under|near)\b")
VERB = re.compile(r"\bcups (?=(?:the|an?|its?|his|her|their)\b)", re.IGNORECASE)
MATERIAL = re.compile(r"\bglass (?=lid|door|jar|bowl|bottle|dish|pane|cover)", re.IGNORECASE)
BELONGS = {"tap": "sink basin water", "sink": "tap basin water", "hob": "ring flame heat",
           "kettle": "water steam", "pot": "water steam"}  # fmt: skip
COMPARISON = re.compile(r"\blike (?:a|an|the) \w+", re.IGNORECASE)  # "like a pencil" is none
UNCHANGED = ("ss", "us", "is", "ous")  # singulars that end in s
ODD = {"knives": "knife", "leaves": "leaf", "loaves": "loaf", "halves": "half", "shelves": "shelf",
       "feet": "foot", "mice": "mouse", "tongs": "tongs", "scissors": "scissors",
       "pliers": "pliers", "potatoes": "potato", "tomatoes": "tomato", "gas": "gas",
       "cookies": "cookie", "brownies": "brownie", "axes": "axe"}  # fmt: skip


def singular(word: str) -> str:
    """ "mug" of "mugs", "berry" of "berries", "box" of "boxes"; spelling alone tells."""
    if word in ODD:
        return ODD[word]
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    if re.search(r"(?:ch|sh|ss|x|zz)es$", word):
        return word[:-2]
    if word.endswith("s") and not word.endswith(UNCHANGED) and len(word) > 3:
        return word[:-1]
    return word


def words(text: str) -> list[str]:
    """The words of a text in lower case and in the singular, without "'s"."""
    plain = re.sub(r"['’]s\b", "", text.lower())
    return [singular(word) for word in re.findall(r"[^\W\d_]+", plain)]


def mentions(text: str, names: Iterable[str]) -> bool:
    """Whether a text has one of these words, or another word for the same thing."""
    said = set(words(text))
    return any(said & (KIN.get(name, set()) | {name}) for name in names)


def subject(scene: Scene) -> list[str]:
    """Words of which a description must have one: those for what the action is done to."""
    verb = set(words(scene.verb))
    told = [*words(scene.noun), *words(scene.action)[1:]]
    return [word for word in told if word not in STOP | verb]


def checkable(scene: Scene) -> bool:
    """Whether boxes tell which things there are."""
    return bool(scene.objects)


def invented(scene: Scene, description: str, objects: Iterable[str]) -> list[str]:
    """Things that a description names, or says that it names, without their being there.

    Things are looked for where a box is one of a thing, and hands where a box is one of a hand: a
    hand that neither frame shows is invented.
    """
    found: dict[str, None] = {}
    if checkable(scene):
        told = " ".join((*scene.objects, scene.narration, scene.action, scene.noun))
        known = {kin for word in words(told) for kin in KIN.get(word, {word})}
        known |= SCENERY
        for thing, parts in BELONGS.items():
            if thing in known:
                known |= {kin for part in parts.split() for kin in KIN.get(part, {part})}
        found |= dict.fromkeys(thing for thing in objects if _unknown(thing, known))
        found |= dict.fromkeys(_named(description, known, set(found)))
    if scene.hands:
        said = description.lower()
        named = (hand for hand in HANDS if re.search(rf"\b{hand}s?\b(?!-| side)", said))
        found |= dict.fromkeys(hand for hand in named if hand not in scene.hands)
    return list(found)


def _unknown(thing: str, known: set[str]) -> bool:
    """Whether a thing's head noun is none of the known words: "mug" of "red mug of tea"."""
    parts = words(BREAKS.split(thing.lower())[0]) or words(thing)
    return bool(parts) and parts[-1] not in known


def _named(description: str, known: set[str], listed: set[str]) -> Iterator[str]:
    """Things of `NAMEABLE` in a description that are not known, nor in what was listed."""
    already = {word for thing in listed for word in words(thing)}
    for pattern in (COMPARISON, VERB, MATERIAL):
        description = pattern.sub("", description)
    for word in words(description):
        if word in NAMEABLE and word not in known | already:
            yield word
