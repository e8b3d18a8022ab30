"""What a person would remember of a scene, and the actions that change it.

A `State` is what is open or on, what stands where, and what is in which hand. An `Action` names one
feasible thing to do in a state; which there are is for each family of scenes to say.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from egoframe.simulator.style import Side

if TYPE_CHECKING:
    from egoframe.simulator.world import World

BESIDE = -1  # in place of a spot's number: beside the spots, where the scene was set out so


@dataclass(frozen=True)
class Action:
    """One thing to do."""

    verb: str  # as EPIC-KITCHENS writes it: "put-down"
    noun: str
    item: str  # what is acted upon
    tool: str | None = None  # what is held and used
    target: int | None = None  # the spot where something is put down

    @property
    def narration(self) -> str:
        """As an annotator would write it: "put down mug"."""
        return f"{self.verb.replace('-', ' ')} {self.noun}"


@dataclass
class State:
    """What is open or on, where things stand (spot numbers) and what is held; and what is part of
    what, and marked in which way, as far as the family has such things."""

    open: dict[str, bool] = field(default_factory=dict)
    spot: dict[str, int | None] = field(default_factory=dict)  # None: held, or part of another
    held: dict[Side, str | None] = field(default_factory=lambda: {"left": None, "right": None})
    part_of: dict[str, str] = field(default_factory=dict)  # a mounted tyre → its wheel
    marks: dict[str, set[str]] = field(default_factory=dict)  # "filled" → those that are

    def hand_of(self, item: str) -> Side | None:
        """The hand that holds an item."""
        return next((side for side, held in self.held.items() if held == item), None)

    def free_hands(self) -> list[Side]:
        """Those that hold nothing."""
        return [side for side, held in self.held.items() if held is None]

    def in_hand(self) -> list[str]:
        """What is held."""
        return [name for name in self.held.values() if name is not None]

    def told(self, world: World, item: str) -> dict[str, object]:
        """The state of one item, as a recording tells it."""
        told: dict[str, object] = {}
        if world.items[item].joint is not None:
            told["opening"] = float(self.open[item])
        if item in self.part_of:
            told["place"] = world.items[self.part_of[item]].noun
        elif item in self.spot:
            spot = self.spot[item]
            told["place"] = "hand" if spot is None else surface_of(world, spot)
        told.update({mark: True for mark, names in self.marks.items() if item in names})
        return told


def resting_state(world: World) -> State:
    """The state of a scene that nobody has touched: all closed, everything at its spot."""
    state = State(open={name: False for name, item in world.items.items() if item.joint})
    for name, position in world.placed.items():
        near = [
            (sum((a - b) ** 2 for a, b in zip(spot.position[:2], position[:2], strict=True)), i)
            for i, spot in enumerate(world.spots)
        ]
        distance, index = min(near)
        taken = index in state.spot.values()
        state.spot[name] = BESIDE if distance > 0.03**2 or taken else index
    return state


def surface_of(world: World, spot: int) -> str:
    """The word for what a spot is on."""
    words = world.family.language.spots
    return words["beside"] if spot == BESIDE else words[world.spots[spot].kind]


def choose_hand(world: World, state: State, action: Action, offset: float) -> Side:
    """The hand that does it: the one that holds the tool or item, else the one on its side.

    `offset` is how far to the right of the eye the item lies, in metres.
    """
    holder = state.hand_of(action.tool or action.item)
    if holder is not None:
        return holder
    free = state.free_hands()
    if len(free) == 1:
        return free[0]
    if world.items[action.item].noun in world.family.right_handed:
        return "right"
    if abs(offset) < 0.05:
        return world.style.dominant
    return "right" if offset > 0 else "left"
