"""The workshop's catalogue of actions: what each needs, and what it changes.

The front wheel is in the fork or on the mat; the tyre round it or on the hook; a tube in it, the
others on the bench. Tyre and tube are off and on while the wheel lies on the mat.
"""

from __future__ import annotations

from copy import deepcopy

from egoframe.simulator.actions import BESIDE, Action, State, resting_state, surface_of
from egoframe.simulator.family import Place
from egoframe.simulator.style import Side
from egoframe.simulator.world import World

PORTABLE = ("wrench", "lever", "pump", "bottle", "cloth")
SPRING_BACK = frozenset({"pedal"})
RIGHT_HANDED = frozenset({"wrench", "lever", "pump"})  # by what is done with them

# How much each verb, or one action of it, is wanted, so that all come out about equally often.
WEIGHTS = {
    "take": 0.6, "take lever": 3.0, "take wrench": 1.5, "put-down": 1.0,
    "unscrew": 6.0, "screw": 0.5, "remove wheel": 8.0, "remove tyre": 40.0, "remove tube": 12.0,
    "insert": 12.0, "attach tyre": 4.0, "attach wheel": 1.5, "pump": 20.0, "deflate": 4.0,
    "turn": 0.5, "squeeze": 0.8, "wipe": 3.0, "oil": 3.0,
}  # fmt: skip

WHEEL, TYRE, NUT = "wheel_1", "tyre_1", "nut_1"


def first_state(world: World) -> State:
    """The state of a workshop that nobody has touched: the front tyre is flat."""
    state = resting_state(world)
    state.part_of = dict(world.carrier)
    for part in state.part_of:
        state.spot[part] = None
    state.marks = {"inflated": set(), "punctured": set(tubes_in(world, state))}
    return state


def tubes(world: World) -> list[str]:
    """All inner tubes."""
    return [name for name, item in world.items.items() if item.noun == "tube"]


def tubes_in(world: World, state: State) -> list[str]:
    """The tube in the wheel, if there is one."""
    return [name for name in tubes(world) if name in state.part_of]


def kind_of_spot(world: World, state: State, name: str) -> str | None:
    """What kind of spot something is on; None where it is held or part of another thing."""
    spot = state.spot[name]
    return None if spot is None else "beside" if spot == BESIDE else world.spots[spot].kind


def feasible(world: World, state: State) -> list[Action]:
    """Every action whose preconditions hold."""
    held = state.in_hand()
    if not held:
        take = [Action("take", i.noun, n) for n, i in world.items.items() if i.noun in PORTABLE]
        return take + _by_hand(world, state)
    found = []
    for name in held:
        found += [
            Action("put-down", world.items[name].noun, name, target=index)
            for index in _free(world, state, "bench")
        ]
        found += _with_tool(world, state, name)
    return found


def _by_hand(world: World, state: State) -> list[Action]:
    """What empty hands can do."""
    found = [Action("turn", "pedal", "pedal_1")]
    mounted, inside = TYRE in state.part_of, tubes_in(world, state)
    if kind_of_spot(world, state, WHEEL) == "fork":
        found.append(Action("turn", "wheel", WHEEL))
        found.append(Action("squeeze", "tyre", TYRE))
        if TYRE in state.marks["inflated"]:
            found.append(Action("deflate", "tyre", TYRE))
        if state.open[NUT]:
            target = _free(world, state, "mat")[0]
            found.append(Action("remove", "wheel", WHEEL, target=target))
    elif mounted and inside:
        target = _free(world, state, "fork")[0]
        found.append(Action("attach", "wheel", WHEEL, target=target))
    elif inside:
        found.append(Action("attach", "tyre", TYRE))
        trays = _free(world, state, "tray")
        found += [Action("remove", "tube", name, target=tray) for name in inside for tray in trays]
    elif not mounted:
        found += [Action("insert", "tube", name) for name in tubes(world)]
    return found


def _with_tool(world: World, state: State, tool: str) -> list[Action]:
    """What can be done with what is held."""
    in_fork = kind_of_spot(world, state, WHEEL) == "fork"
    match world.items[tool].noun:
        case "wrench" if in_fork:
            verb = "screw" if state.open[NUT] else "unscrew"
            return [Action(verb, "nut", NUT, tool=tool)]
        case "lever" if not in_fork and TYRE in state.part_of:
            if TYRE in state.marks["inflated"]:
                return []
            target = _free(world, state, "hook")[0]
            return [Action("remove", "tyre", TYRE, tool=tool, target=target)]
        case "pump" if in_fork and TYRE not in state.marks["inflated"]:
            return [Action("pump", "tyre", TYRE, tool=tool)]
        case "bottle":
            return [Action("oil", "chain", "chain_1", tool=tool)]
        case "cloth":
            return [Action("wipe", "frame", "frame_1", tool=tool)]
    return []


def _free(world: World, state: State, kind: str) -> list[int]:
    occupied = set(state.spot.values())
    return [i for i, spot in enumerate(world.spots) if spot.kind == kind and i not in occupied]


def after(world: World, state: State, action: Action, hand: Side) -> State:
    """The state once `hand` has done `action`."""
    new = deepcopy(state)
    match action.verb:
        case "take":
            new.spot[action.item] = None
            new.held[hand] = action.item
        case "put-down":
            new.spot[action.item] = action.target
            new.held[hand] = None
        case "unscrew" | "screw":
            new.open[NUT] = action.verb == "unscrew"
        case "remove":
            new.spot[action.item] = action.target
            new.part_of.pop(action.item, None)
        case "insert" | "attach" if action.item != WHEEL:
            new.spot[action.item] = None
            new.part_of[action.item] = WHEEL
        case "attach":
            new.spot[WHEEL] = action.target
        case "pump":
            new.marks["inflated"].add(TYRE)
        case "deflate":
            new.marks["inflated"].discard(TYRE)
    return new


def ways(world: World, state: State, action: Action) -> tuple[Place, Place]:
    """What an action takes something from, and where it brings it."""

    def place(spot: int | None) -> Place:
        if spot is None:
            return world.items[WHEEL].told()
        noun = surface_of(world, spot)
        return {"name": noun, "noun": noun}

    match action.verb:
        case "take":
            return place(state.spot[action.item]), None
        case "put-down":
            return None, place(action.target)
        case "remove":
            return place(state.spot[action.item]), place(action.target)
        case "insert" | "attach":
            return place(state.spot[action.item]), place(action.target)
    return None, None
