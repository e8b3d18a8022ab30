"""What people do in a kitchen, in several steps."""

from __future__ import annotations

from egoframe.simulator.actions import State
from egoframe.simulator.tasks import Step, Task
from egoframe.simulator.world import World

FOOD = ("tomato", "carrot", "bread")
WIPER = ("cloth", "sponge")
STIRRER = ("spoon", "spatula")

TASKS = (
    Task("make-tea", "make a cup of tea", (
        Step("take", ("kettle",)),
        Step("pour", ("water",), item=("mug",), purpose=True),
        Step("put-down", ("kettle",)),
        Step("take", ("mug",)),
    )),
    Task("heat-oil", "heat oil in a pan", (
        Step("put-down", ("pan", "pot"), place="hob"),
        Step("take", ("bottle",)),
        Step("pour", ("oil",), item=("pan", "pot"), purpose=True),
        Step("put-down", ("bottle",)),
        Step("turn-on", ("hob",)),
        Step("take", STIRRER),
        Step("stir", ("pan", "pot")),
    )),
    Task("dress-salad", "dress a salad", (
        Step("take", ("bottle",)),
        Step("pour", ("oil",), item=("bowl",), purpose=True),
        Step("put-down", ("bottle",)),
        Step("take", STIRRER),
        Step("stir", ("bowl",)),
        Step("put-down", STIRRER),
    )),
    Task("wash-dish", "wash a dish", (
        Step("turn-on", ("tap",)),
        Step("take", ("plate", "bowl", "mug")),
        Step("wash", ("plate", "bowl", "mug")),
        Step("put-down", ("plate", "bowl", "mug")),
        Step("turn-off", ("tap",)),
    )),
    Task("slice-food", "slice some food and wipe the counter", (
        Step("take", ("knife",)),
        Step("cut", FOOD, purpose=True),
        Step("put-down", ("knife",)),
        Step("take", WIPER),
        Step("wipe", ("counter",)),
        Step("put-down", WIPER),
    )),
    Task("warm-food", "warm food in the microwave", (
        Step("open", ("microwave",)),
        Step("close", ("microwave",)),
        Step("press", ("button",)),
        Step("take", ("plate", "bowl")),
    )),
    Task("cook-soup", "stir a soup on the hob", (
        Step("turn-on", ("hob",)),
        Step("take", STIRRER),
        Step("stir", ("pot", "pan")),
        Step("put-down", STIRRER),
        Step("turn-off", ("hob",)),
    )),
)  # fmt: skip


def done(world: World, state: State, step: Step) -> bool:
    """Whether a step has its effect already; what has none is never done."""

    def named(nouns: tuple[str, ...]) -> list[str]:
        return [name for name, item in world.items.items() if item.noun in nouns]

    match step.verb:
        case "take":
            return any(name in state.in_hand() for name in named(step.nouns))
        case "put-down" if step.place is not None:
            spots = [spot for name in named(step.nouns) if (spot := state.spot[name]) is not None]
            return any(spot >= 0 and world.spots[spot].kind == step.place for spot in spots)
        case "put-down":
            return not any(name in state.in_hand() for name in named(step.nouns))
        case "turn-on":
            return any(state.open[name] for name in named(step.nouns))
        case "turn-off":
            return not any(state.open[name] for name in named(step.nouns))
        case "pour":
            return any(name in state.marks["filled"] for name in named(step.item))
        case "cut":
            return any(name in state.marks["cut"] for name in named(step.nouns))
    return False
