"""The catalogue of actions: what each needs, what it changes, and how it is told.

A `State` is what a person would remember of the kitchen: what is open or on, what stands where, and
what is in which hand. An `Action` names one feasible thing to do in a state.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from typing import Literal

from egoframe.kitchen.world import World

Side = Literal["left", "right"]

OPENABLE = ("drawer", "cupboard", "microwave", "oven")
SWITCHES = ("tap", "hob")
PORTABLE = (
    "mug", "glass", "bowl", "plate", "pan", "pot", "kettle", "bottle", "jar", "knife",
    "spoon", "spatula", "bread", "tomato", "carrot", "sponge", "cloth",
)  # fmt: skip
RIGHT_HANDED = ("knife", "spoon", "spatula", "kettle", "pan", "pot")  # by their shape
FOOD = ("bread", "tomato", "carrot")
WASHABLE = ("mug", "bowl", "plate")
WIPERS = ("sponge", "cloth")
# What is poured: the vessel that holds it, and those it goes into.
POURED = {"water": ("kettle", ("mug", "glass")), "oil": ("bottle", ("pan", "pot", "bowl"))}
STIRRED = ("pan", "pot", "bowl")
SPRING_BACK = ("button",)

# How much each verb, or one action of it, is wanted, so that all come out about equally often.
WEIGHTS = {
    "take knife": 4.0, "take cloth": 2.0, "take sponge": 1.5, "stir pot": 5.0, "stir bowl": 4.0,
    "open": 0.35, "close": 1.4, "turn-on": 0.35, "turn-off": 0.6, "press": 0.3, "take": 1.0,
    "put-down": 1.0, "pour": 2.5, "cut": 30.0, "stir": 8.0, "wipe": 3.0, "wash": 14.0,
}  # fmt: skip


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
    """What is open, on, filled and cut, where things stand (spot numbers) and what is held."""

    open: dict[str, bool] = field(default_factory=dict)
    spot: dict[str, int | None] = field(default_factory=dict)
    held: dict[Side, str | None] = field(default_factory=lambda: {"left": None, "right": None})
    filled: set[str] = field(default_factory=set)
    cut: set[str] = field(default_factory=set)

    def hand_of(self, item: str) -> Side | None:
        """The hand that holds an item."""
        return next((side for side, held in self.held.items() if held == item), None)

    def told(self, world: World, item: str) -> dict[str, object]:
        """The state of one item, as a recording tells it."""
        told: dict[str, object] = {}
        if world.items[item].joint is not None:
            told["opening"] = float(self.open[item])
        if item in self.spot:
            spot = self.spot[item]
            told["place"] = "hand" if spot is None else surface_of(world, spot)
        if item in self.filled:
            told["filled"] = True
        if item in self.cut:
            told["cut"] = True
        return told


def first_state(world: World) -> State:
    """The state of a kitchen that nobody has touched."""
    state = State(open={name: False for name, item in world.items.items() if item.joint})
    for name, position in world.placed.items():
        near = [
            (sum((a - b) ** 2 for a, b in zip(spot.position[:2], position[:2], strict=True)), i)
            for i, spot in enumerate(world.spots)
        ]
        distance, index = min(near)
        taken = index in state.spot.values()
        state.spot[name] = -1 if distance > 0.03**2 or taken else index
    return state


def surface_of(world: World, spot: int) -> str:
    """The word for what a spot is on; −1 is the board, where a knife lies beside the food."""
    kind = "board" if spot < 0 else world.spots[spot].kind
    return {"ledge": "worktop"}.get(kind, kind)


def feasible(world: World, state: State) -> list[Action]:
    """Every action whose preconditions hold."""
    found: list[Action] = []
    something_open = any(state.open[n] for n in state.open if world.items[n].noun in OPENABLE)
    free = [side for side, held in state.held.items() if held is None]
    occupied = set(state.spot.values())
    by_noun: dict[str, list[str]] = {}
    for name, item in world.items.items():
        by_noun.setdefault(item.noun, []).append(name)
    held = [name for name in state.held.values() if name is not None]
    tap_runs = any(state.open[tap] for tap in by_noun["tap"])

    for name, item in world.items.items():
        noun = item.noun
        if noun in OPENABLE and free:
            if state.open[name]:
                found.append(Action("close", noun, name))
            elif not something_open:
                found.append(Action("open", noun, name))
        elif noun in SWITCHES and free:
            found.append(Action("turn-off" if state.open[name] else "turn-on", noun, name))
        elif noun in SPRING_BACK and free:
            found.append(Action("press", noun, name))
        elif noun in PORTABLE and not held:
            found.append(Action("take", noun, name))
    for name in held:
        noun = world.items[name].noun
        for index in _spots_for(world, noun):
            if index not in occupied:
                found.append(Action("put-down", noun, name, target=index))
        if noun == "knife":
            on_board = [n for n in state.spot if _on_board(world, state, n) and n not in state.cut]
            found += [
                Action("cut", world.items[n].noun, n, tool=name)
                for n in on_board
                if world.items[n].noun in FOOD
            ]
        if noun in ("spoon", "spatula"):
            vessels = [n for n in state.spot if world.items[n].noun in STIRRED]
            found += [Action("stir", world.items[n].noun, n, tool=name) for n in vessels]
        if noun in WIPERS:
            found += [
                Action("wipe", "counter", name, tool=name, target=index)
                for index, spot in enumerate(world.spots)
                if spot.kind == "worktop" and index not in occupied
            ]
        if noun in WASHABLE and tap_runs:
            found.append(Action("wash", noun, name))
        for liquid, (source, vessels_for) in POURED.items():
            if noun == source:
                found += [
                    Action("pour", liquid, n, tool=name)
                    for n in state.spot
                    if world.items[n].noun in vessels_for and n not in state.filled
                ]
    return found


def _on_board(world: World, state: State, name: str) -> bool:
    spot = state.spot[name]
    return spot is not None and spot >= 0 and world.spots[spot].kind == "board"


def _spots_for(world: World, noun: str) -> list[int]:
    """Where things of a noun are put down."""
    kinds = {"worktop"}
    if noun in FOOD:
        kinds.add("board")
    if noun in ("pan", "pot"):
        kinds.add("hob")
    if noun in WASHABLE:
        kinds.add("sink")
    if noun in WIPERS or noun in ("knife", "spoon", "spatula"):
        kinds.add("ledge")
    return [i for i, spot in enumerate(world.spots) if spot.kind in kinds]


def after(world: World, state: State, action: Action, hand: Side) -> State:
    """The state once `hand` has done `action`."""
    new = deepcopy(state)
    match action.verb:
        case "open" | "turn-on":
            new.open[action.item] = True
        case "close" | "turn-off":
            new.open[action.item] = False
        case "take":
            new.spot[action.item] = None
            new.held[hand] = action.item
        case "put-down":
            new.spot[action.item] = action.target
            new.held[hand] = None
        case "pour":
            new.filled.add(action.item)
        case "cut":
            new.cut.add(action.item)
    return new


def choose_hand(world: World, state: State, action: Action, offset: float) -> Side:
    """The hand that does it: the one that holds the tool or item, else the one on its side.

    `offset` is how far to the right of the eye the item lies, in metres.
    """
    holder = state.hand_of(action.tool or action.item)
    if holder is not None:
        return holder
    free: list[Side] = [side for side, held in state.held.items() if held is None]
    if len(free) == 1:
        return free[0]
    if world.items[action.item].noun in RIGHT_HANDED:
        return "right"
    if abs(offset) < 0.05:
        return world.style.dominant
    return "right" if offset > 0 else "left"
