"""What people do in a bicycle workshop, in several steps."""

from __future__ import annotations

from egoframe.simulator.actions import State
from egoframe.simulator.tasks import Step, Task
from egoframe.simulator.world import World
from egoframe.workshop.actions import NUT, PORTABLE, TYRE, WHEEL, kind_of_spot, tubes_in

FIX = Task("fix-flat", "fix a flat tyre", (
    Step("deflate", ("tyre",)),
    Step("unscrew", ("nut",)),
    Step("remove", ("wheel",)),
    Step("remove", ("tyre",)),
    Step("remove", ("tube",)),
    Step("insert", ("tube",)),
    Step("attach", ("tyre",)),
    Step("attach", ("wheel",)),
    Step("screw", ("nut",)),
    Step("pump", ("tyre",), purpose=True),
    Step("put-down", PORTABLE),
))  # fmt: skip
TASKS = (
    FIX,
    Task("oil-chain", "oil the chain", (
        Step("take", ("bottle",)),
        Step("oil", ("chain",)),
        Step("put-down", ("bottle",)),
        Step("turn", ("pedal",)),
    )),
    Task("clean-bike", "clean the bicycle", (
        Step("take", ("cloth",)),
        Step("wipe", ("frame",)),
        Step("put-down", ("cloth",)),
        Step("turn", ("wheel",)),
    )),
    Task("remove-wheel", "take the front wheel out", (
        Step("unscrew", ("nut",)),
        Step("put-down", ("wrench",)),
        Step("remove", ("wheel",), purpose=True),
    )),
)  # fmt: skip


def done(world: World, state: State, step: Step) -> bool:
    """Whether a step of changing the tube is behind, or has its effect already.

    Once a sound tube is in, neither wheel nor tyre need come off.
    """
    sound = bool(set(tubes_in(world, state)) - state.marks["punctured"])
    flat_in = bool(tubes_in(world, state)) and not sound
    off = kind_of_spot(world, state, WHEEL) != "fork"
    match step.verb, step.nouns[0]:
        case "unscrew", _:
            return sound or off or state.open[NUT]
        case "remove", "wheel":
            return sound or off
        case "remove", "tyre":
            return sound or TYRE not in state.part_of
        case "remove", "tube":
            return not flat_in
        case "insert", _:
            return sound
        case "attach", "tyre":
            return TYRE in state.part_of
        case "attach", "wheel":
            return not off
        case "screw", _:
            return not state.open[NUT]
        case "pump", _:
            return sound and TYRE in state.marks["inflated"]
        case "deflate", _:
            return sound or TYRE not in state.marks["inflated"]
        case "take", _:
            return any(world.items[name].noun in step.nouns for name in state.in_hand())
        case "put-down", _:
            return not any(world.items[name].noun in step.nouns for name in state.in_hand())
    return False
