"""A teacher's answer: found, checked, and compared with what is known of the scene."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from egoframe.teacher.scene import Scene, clean
from egoframe.teacher.things import invented, mentions, subject, words
from egoframe.teacher.verbs import family

MIN_WORDS, MAX_WORDS = 12, 100
MAX_ANSWER = 8000  # characters that are looked through, the last ones
MAX_OBJECTS = 40
WHICH_HAND = ("left", "right", "both", "unclear")
REFUSAL = re.compile(
    r"\b(as an ai\b|i['’]?m sorry|i am sorry|sorry, |i (?:cannot|can['’]?t|won['’]t|am unable|"
    r"am not able|['’]m unable))",
    re.IGNORECASE,
)
NOT_THIRD_PERSON = re.compile(r"\b(?:I|[Mm]y|[Yy]ou|[Yy]our|[Ww]e|[Oo]ur)\b")

# Why an answer is of no use; each is also said to the teacher.
NOT_JSON = "it holds no JSON object with a description"
CUT_OFF = "it was cut off at max_tokens"
EMPTY = "it is empty"
FILTERED = "the endpoint's filter holds it back"
REFUSED = "it declines to describe the action"
WRONG_FIELDS = "objects must be a list of texts and hand one of left, right, both and unclear"
TOO_SHORT = f"its description has fewer than {MIN_WORDS} words"
TOO_LONG = f"its description has more than {MAX_WORDS} words"
FIRST_PERSON = 'its description must tell of "the person"'
OFF_NOUN = "its description does not name what the action is done to"
OFF_VERB = "its description does not tell of the action"
UNFINISHED = {"length": CUT_OFF, "content_filter": FILTERED}


@dataclass(frozen=True)
class Checked:
    """What an answer is worth: a description, or a problem that says why there is none."""

    description: str | None = None
    flags: list[str] = field(default_factory=list)  # things that it invents
    problem: str | None = None

    @property
    def good(self) -> bool:
        return self.description is not None and not self.flags

    @property
    def complaint(self) -> str:
        """What to tell the teacher."""
        if self.flags:
            names = ", ".join(self.flags)
            return f"it names what is neither annotated nor narrated ({names})"
        return self.problem or ""


def check(text: str | None, scene: Scene, finish: str = "stop") -> Checked:
    """Find the description in an answer, and check it.

    Arguments:
        finish: why the answer ends, in the words of the protocol: stop, length, content_filter.
    """
    if not text or not text.strip():
        return Checked(problem=UNFINISHED.get(finish, EMPTY))
    told = _object(text.rpartition("</think>")[2][-MAX_ANSWER:])
    if told is None:
        refused = REFUSED if REFUSAL.search(text[-MAX_ANSWER:]) else NOT_JSON
        return Checked(problem=UNFINISHED.get(finish, refused))
    description, objects = clean(told["description"], MAX_ANSWER), told.get("objects")
    problem = _problem(description, scene)
    if problem is None and not (_texts(objects) and told.get("hand") in WHICH_HAND):
        problem = WRONG_FIELDS
    if problem is not None:
        return Checked(problem=problem)
    things = [clean(thing, 60) for thing in objects[:MAX_OBJECTS]]  # type: ignore[index]
    return Checked(description, invented(scene, description, things))


def _object(text: str) -> dict[str, Any] | None:
    """The last JSON object with a description: before it may stand a draft, or the form to fill."""
    reader = json.JSONDecoder()
    found, start = None, text.find("{")
    while start >= 0:
        try:
            value, end = reader.raw_decode(text, start)
        except (ValueError, RecursionError):
            end = start + 1
        else:
            if isinstance(value, dict) and isinstance(value.get("description"), str):
                found = value
        start = text.find("{", end)
    return found


def _problem(description: str, scene: Scene) -> str | None:
    count = len(description.split())
    if count == 0:
        return EMPTY
    if REFUSAL.search(description):
        return REFUSED
    if NOT_THIRD_PERSON.search(description):
        return FIRST_PERSON
    if count < MIN_WORDS:
        return TOO_SHORT
    if count > MAX_WORDS:
        return TOO_LONG
    about = subject(scene)
    if about:
        return None if mentions(description, about) else OFF_NOUN
    return None if _tells_of(description, scene) else OFF_VERB


def _tells_of(description: str, scene: Scene) -> bool:
    """Whether a description has a verb of the action's family."""
    from egoframe.sources.narration import lemma

    wanted = family(scene.verb or scene.action)
    said = {lemma(word) for word in description.lower().split()} | set(words(description))
    return any(family(word.strip(".,;")) == wanted for word in said)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
