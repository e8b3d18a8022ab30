"""The kitchen as a family of scenes."""

from egoframe.kitchen.actions import (
    RIGHT_HANDED,
    SPRING_BACK,
    WEIGHTS,
    after,
    feasible,
    first_state,
    ways,
)
from egoframe.kitchen.choreography import LIQUIDS, MOUTHS, PERFORMERS, SLOW, focus, steadied
from egoframe.kitchen.furniture import build_furniture
from egoframe.kitchen.language import LANGUAGE
from egoframe.kitchen.objects import build_objects
from egoframe.kitchen.style import KitchenStyle, sample_style
from egoframe.kitchen.tasks import TASKS, done
from egoframe.kitchen.viewpoint import viewpoint
from egoframe.simulator.builder import Builder
from egoframe.simulator.family import Family


def build(b: Builder[KitchenStyle]) -> None:
    """Everything in a kitchen but the cook."""
    build_furniture(b)
    build_objects(b)


KITCHEN = Family(
    language=LANGUAGE,
    sample_style=sample_style,
    build=build,
    first_state=first_state,
    feasible=feasible,
    after=after,
    weights=WEIGHTS,
    spring_back=SPRING_BACK,
    right_handed=RIGHT_HANDED,
    ways=ways,
    focus=focus,
    viewpoint=viewpoint,
    performers=PERFORMERS,
    slow=SLOW,
    steadied=steadied,
    mouths=MOUTHS,
    liquids=LIQUIDS,
    tasks=TASKS,
    done=done,
)
