"""The kitchen's catalogue of actions: what each needs, and what it changes."""

from __future__ import annotations

from copy import deepcopy

from egoframe.simulator.actions import BESIDE, Action, State, resting_state, surface_of
from egoframe.simulator.family import Place
from egoframe.simulator.style import Side
from egoframe.simulator.world import World

OPENABLE = ("drawer", "cupboard", "microwave", "oven")
SWITCHES = ("tap", "hob")
PORTABLE = (
    "mug", "glass", "bowl", "plate", "pan", "pot", "kettle", "bottle", "jar", "knife",
    "spoon", "spatula", "bread", "tomato", "carrot", "sponge", "cloth",
)  # fmt: skip
RIGHT_HANDED = frozenset({"knife", "spoon", "spatula", "kettle", "pan", "pot"})  # by their shape
FOOD = ("bread", "tomato", "carrot")
WASHABLE = ("mug", "bowl", "plate")
WIPERS = ("sponge", "cloth")
# What is poured: the vessel that holds it, and those it goes into.
POURED = {"water": ("kettle", ("mug", "glass")), "oil": ("bottle", ("pan", "pot", "bowl"))}
STIRRED = ("pan", "pot", "bowl")
SPRING_BACK = frozenset({"button"})

# How much each verb, or one action of it, is wanted, so that all come out about equally often.
WEIGHTS = {
    "take knife": 4.0, "take cloth": 2.0, "take sponge": 1.5, "stir pot": 5.0, "stir bowl": 4.0,
    "open": 0.35, "close": 1.4, "turn-on": 0.35, "turn-off": 0.6, "press": 0.3, "take": 1.0,
    "put-down": 1.0, "pour": 2.5, "cut": 30.0, "stir": 8.0, "wipe": 3.0, "wash": 14.0,
}  # fmt: skip


def first_state(world: World) -> State:
    """The state of a kitchen that nobody has touched."""
    state = resting_state(world)
    state.marks = {"filled": set(), "cut": set()}
    return state


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
            on_board = [
                n for n in state.spot if _on_board(world, state, n) and n not in state.marks["cut"]
            ]
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
                    if world.items[n].noun in vessels_for and n not in state.marks["filled"]
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
            new.marks["filled"].add(action.item)
        case "cut":
            new.marks["cut"].add(action.item)
    return new


def ways(world: World, state: State, action: Action) -> tuple[Place, Place]:
    """What an action takes something from, and where it brings it."""
    if action.verb == "take":
        spot = state.spot[action.item]
        noun = surface_of(world, BESIDE if spot is None else spot)
        return {"name": noun, "noun": noun}, None
    if action.verb == "put-down" and action.target is not None:
        noun = surface_of(world, action.target)
        return None, {"name": noun, "noun": noun}
    if action.verb == "pour" and action.tool is not None:
        return world.items[action.tool].told(), world.items[action.item].told()
    return None, None
