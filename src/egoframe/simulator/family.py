"""`Family`: what one kind of scene, such as a kitchen, adds to the shared simulator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from egoframe.simulator.actions import Action, State
from egoframe.simulator.builder import Builder
from egoframe.simulator.language import Language
from egoframe.simulator.style import Side, Split, Style
from egoframe.simulator.tasks import Step, Task

if TYPE_CHECKING:
    from egoframe.simulator.stage import Stage, Times
    from egoframe.simulator.world import World

Place = dict[str, str] | None
Performer = Callable[["Stage", Action, Side, "Times"], str]  # adds to the stage; the motion


@dataclass(frozen=True)
class Family:
    """How scenes of a kind look, what can be done in them, and how that is done and told."""

    language: Language
    sample_style: Callable[[int, Split], Style]
    build: Callable[[Builder[Any]], None]  # everything but the hands

    # What can be done.
    first_state: Callable[[World], State]
    feasible: Callable[[World, State], list[Action]]
    after: Callable[[World, State, Action, Side], State]
    weights: Mapping[str, float]  # how much a verb, or one action of it, is wanted
    spring_back: frozenset[str]  # nouns whose state is again as before when an action ends
    right_handed: frozenset[str]  # nouns that the right hand takes, by their shape
    ways: Callable[[World, State, Action], tuple[Place, Place]]  # from where, to where

    # How it is done.
    focus: Callable[[Stage, Action], np.ndarray]  # the point (3,) that the wearer looks at
    viewpoint: Callable[
        [World, np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]
    ]  # eye (3,) and point looked at (3,) to act on a focus (3,)
    performers: Mapping[str, Performer]  # by verb
    slow: frozenset[str]  # verbs that take longer
    steadied: Callable[[Action], bool]  # whether a free other hand holds the item still
    mouths: Mapping[str, tuple[float, float, float]]  # noun → where it pours, in its frame
    liquids: Mapping[str, tuple[float, float, float]]  # noun → colour

    # What it is done for.
    tasks: tuple[Task, ...]
    done: Callable[[World, State, Step], bool]  # whether a step has its effect already

    @property
    def name(self) -> str:
        """The word for a scene of this kind."""
        return self.language.scene
