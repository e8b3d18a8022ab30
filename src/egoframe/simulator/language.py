"""The words of a family of scenes: what it is recorded in, and what its teacher says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Classes = Mapping[str, tuple[int, str]]  # word → (number, key) of its EPIC-KITCHENS-100 class


@dataclass(frozen=True)
class Language:
    """What is said in, and of, a family's recordings; see `teacher.py` and `facts.py`."""

    scene: str  # "kitchen"
    participant: str  # letter that the names of its participants begin with
    verb_classes: Classes
    noun_classes: Classes
    spots: Mapping[str, str]  # kind of spot, or "beside" → the word for what it is on
    surfaces: Mapping[str, str]  # what a surface is called in a sentence → its word in the record
    goals: Mapping[str, str]  # word of a surface → "into the sink", where not "onto the …"
    settings: Mapping[str, frozenset[str]]  # noun → surfaces that an action on it happens at
    carried: frozenset[str]  # verbs whose item is told where it is brought to
    sentences: Mapping[str, list[str]]  # of a verb, or of one action of it: several shapes
