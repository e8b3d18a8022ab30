"""The bicycle workshop as a family of scenes."""

from egoframe.simulator.builder import Builder
from egoframe.simulator.family import Family
from egoframe.workshop.actions import (
    RIGHT_HANDED,
    SPRING_BACK,
    WEIGHTS,
    after,
    feasible,
    first_state,
    ways,
)
from egoframe.workshop.bicycle import build_bicycle
from egoframe.workshop.choreography import LIQUIDS, MOUTHS, PERFORMERS, SLOW, focus, steadied
from egoframe.workshop.language import LANGUAGE
from egoframe.workshop.objects import build_objects
from egoframe.workshop.room import build_room
from egoframe.workshop.style import WorkshopStyle, sample_style
from egoframe.workshop.tasks import TASKS, done
from egoframe.workshop.viewpoint import viewpoint


def build(b: Builder[WorkshopStyle]) -> None:
    """Everything in a workshop but the mechanic."""
    build_room(b)
    build_bicycle(b)
    build_objects(b)


WORKSHOP = Family(
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
