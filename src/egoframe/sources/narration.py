"""Ego4D's narrations in plain words: "#C C opens the drawer" → "open the drawer".

LEGO takes the verb's base form from WordNet's lemmatiser. Here English spelling does it, with the
verbs that break its rules in tables. Where spelling cannot tell two verbs apart ("scrapes",
"taped"), the longer is taken ("scrape", "tape"); WordNet's lemmatiser takes the shorter ("scrap").
"""

from __future__ import annotations

import re

ANOTHER = re.compile(r"#\s*O\b", re.IGNORECASE)
WEARER = re.compile(r"(#\s*C(?=C?\b))?\s*(C\b)?\s*", re.IGNORECASE)

# Verbs, each with those of its forms that no rule leads back to it.
IRREGULAR = """
ache aches, arise arose arisen, be am is are was were been, beat beaten, become became becoming,
begin began begun, bend bent, bias biases biased biasing, bite bit bitten, bleed bled, blow blew
blown, break broke broken, breed bred, bring brought, build built, burn burnt, buy bought, cache
caches, catch caught, choose chose chosen, come came, control controlled controlling, creep crept,
deal dealt, dial dialled dialling, die dying, dig dug, do did done, draw drew drawn, drink drank
drunk, drive drove driven, dye dyed, eat ate eaten, fall fallen, feed fed, fight fought, find found,
flee fled, fling flung, fly flew flown, focus focuses focused focusing, forget forgot forgotten,
free freed, freeze froze frozen, get gotten got, give gave given, go went gone, grind ground, grow
grew grown, hang hung, have has had, hear heard, hide hid hidden, hoe hoes hoed, hold held, julienne
julienned julienning, keep kept, kneel knelt, know knew known, lay laid, lead led, lean leant, leave
left, lend lent, lie lain lying, light lit, lose lost, make made, mean meant, meet met, mow mown,
overtake overtook overtaken, pay paid, quiz quizzes quizzed quizzing, redo redid redone, remake
remade, rewind rewound, rewrite rewrote rewritten rewriting, ride rode ridden, ring rang rung, rise
rose risen, run ran, saw sawn, say said, see seen, seek sought, sell sold, send sent, sew sewn,
shake shook shaken, shine shone, shoe shoes shod, shoot shot, show shown, shrink shrank shrunk, sing
sang sung, sink sank sunk, sit sat, sleep slept, slide slid, sling slung, sow sown, speak spoke
spoken, spend spent, spill spilt, spin spun, spring sprang sprung, stand stood, steal stole stolen,
stick stuck, sting stung, strike struck, string strung, sweep swept, swim swam swum, swing swung,
take took taken, teach taught, tear tore torn, tell told, think thought, throw threw thrown, tie
tying, tiptoe tiptoes tiptoed, understand understood, undo undid undone, untie unties untied
untying, unwind unwound, wake woke woken, wear wore worn, weave wove woven, weep wept, wind wound,
wring wrung, write wrote written
"""
BASES = {form: base for base, *forms in map(str.split, IRREGULAR.split(",")) for form in forms}

# Stems, what is left without -ing or -ed, that end in a consonant doubled before the ending.
DOUBLED = re.compile(r"([bdgmnprt])\1$|[aeiou].*ell$")
KEPT_DOUBLE = {"add", "butt", "egg", "err", "purr"}

# Stems that lost an e: by their last letters, of one syllable, of more.
SILENT_E = re.compile(
    r"[cuv]$|[^tz]z$|[^s]s$|[^n]g$|[bcdfgkpstz]l$|[iu]at$"
    r"|^(?:qu|[^aeiou])*[aeiouy][bdklmnprt]$"
    r"|(?:qu|[^aeiou])(?:[aiou]d|[aeiou]b|[aiou]k|[aiu]n|um|ap|[aiu]r|[au]t)$"
)
SILENT_E_TOO = {
    "arrange", "baste", "bathe", "breathe", "change", "clothe", "complete", "create", "debone",
    "delete", "descale", "exchange", "excite", "exhale", "explore", "guide", "ignite", "inhale",
    "invite", "lounge", "paste", "plunge", "promote", "rearrange", "restore", "scavenge",
    "sheathe", "soothe", "sponge", "taste", "unsheathe", "waste",
}  # fmt: skip
NO_E = {"mortar", "murmur", "sugar"}


def plain_action(narration: str) -> str:
    """What the wearer of the camera does, the verb in its base form.

    Raises:
        ValueError: another person acts, or no action is told; says which.
    """
    told = narration.strip()
    if ANOTHER.match(told):
        raise ValueError("another person acts")
    words = WEARER.sub("", told, count=1).split(maxsplit=1)
    if not words or not words[0][0].isalpha():
        raise ValueError("no action in the narration")
    return " ".join([lemma(words[0]), *words[1:]])


def lemma(verb: str) -> str:
    """The base form of a verb: "carry" of "carries", "carried" and "carrying"; in lower case."""
    word = verb.lower()
    if word in BASES:
        return BASES[word]
    if word.endswith(("ies", "ied")):
        return word[:-1] if len(word) == 4 else f"{word[:-3]}y"
    if word.endswith("s"):
        return _without_s(word)
    for ending in ("ing", "ed"):
        stem = word.removesuffix(ending)
        if stem != word and re.search("[aeiouy]", stem) and not word.endswith("eed"):
            return _whole(stem)
    return word


def _without_s(word: str) -> str:
    if word.endswith(("ss", "us", "is")):
        return word
    return word[:-2] if re.search(r"(o|ss|x|zz|tz|sh|ch)es$", word) else word[:-1]


def _whole(stem: str) -> str:
    if DOUBLED.search(stem):
        return stem if stem in KEPT_DOUBLE else stem[:-1]
    silent = f"{stem}e" in SILENT_E_TOO or (SILENT_E.search(stem) and stem not in NO_E)
    return f"{stem}e" if silent else stem


# Words that follow a verb without being what it acts on, and those that end the first object.
PARTICLES = {
    "a", "an", "the", "that", "this", "these", "those", "your", "my", "his", "her", "its", "up",
    "down", "on", "off", "out", "in", "over", "away", "back", "around", "at", "to", "into", "with",
    "for", "from", "of",
}  # fmt: skip
ENDS = {
    "in", "on", "into", "onto", "inside", "to", "toward", "towards", "from", "with", "without",
    "and", "then", "while", "at", "by", "of", "off", "for", "under", "over", "above", "below",
    "near", "behind", "beside", "between", "against", "around", "through", "across", "using",
    "out", "up", "down", "away", "back", "so", "before", "after", "until",
}  # fmt: skip


def verb_and_noun(action: str) -> tuple[str, str]:
    """The verb of an action in plain words, and the head of its first object: "put" and "marker"
    of "put the red marker in the cup". The noun is empty where there is none."""
    words = [word.strip(".,;:!?\"'()").lower() for word in action.split()]
    verb, *rest = [word for word in words if word] or [""]
    while rest and rest[0] in PARTICLES:
        rest = rest[1:]
    noun = ""
    for word in rest:
        if word in ENDS:
            break
        noun = word
    return verb, noun
