"""Tasks of several steps, planned for the scene as it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from egoframe.errors import UserError
from egoframe.simulator.actions import Action, State, choose_hand

if TYPE_CHECKING:
    from egoframe.simulator.world import World

DETOUR = 2  # actions that may be put before a step to make it possible, such as a full hand's
MOST = 60  # actions of a plan, beyond which it goes round in circles


@dataclass(frozen=True)
class Step:
    """One step of a task: an action of a verb on something."""

    verb: str
    nouns: tuple[str, ...]  # any of these
    item: tuple[str, ...] = ()  # nouns that the item may be, where the action's noun is another's
    place: str | None = None  # kind of spot that something is put down on
    purpose: bool = False  # without it the task has no sense: if it is done already, so is all

    def fits(self, world: World, action: Action) -> bool:
        """Whether an action is this step."""
        return (
            action.verb == self.verb
            and action.noun in self.nouns
            and (not self.item or world.items[action.item].noun in self.item)
            and (
                self.place is None
                or (action.target is not None and world.spots[action.target].kind == self.place)
            )
        )


@dataclass(frozen=True)
class Task:
    """Something that people do in several steps."""

    name: str  # "make-tea"
    words: str  # as one would be asked to: "make a cup of tea"
    steps: tuple[Step, ...]


def plan_task(world: World, state: State, task: Task) -> list[Action]:
    """The actions that do a task in this scene, in order; every precondition holds.

    Steps whose effect is there already are left out, what is in the way (a hand that is full) is
    put right, and of several things with which a step has its effect, the nearest to the one before
    is taken.

    Raises:
        UserError: it cannot be done here, or is done already.
    """
    family = world.family
    if any(step.purpose and family.done(world, state, step) for step in task.steps):
        raise UserError(f"{task.words}: that is done already")
    plan: list[Action] = []
    for step in task.steps:
        if family.done(world, state, step):
            continue
        way = _way(world, state, step, plan[-1] if plan else None)
        if way is None or len(plan) > MOST:
            raise UserError(f"{task.words}: cannot {step.verb} {step.nouns[0]} in this scene")
        for action in way:
            plan.append(action)
            state = _after(world, state, action)
    if not plan:
        raise UserError(f"{task.words}: that is done already")
    return plan


def feasible_tasks(world: World, state: State) -> list[tuple[Task, list[Action]]]:
    """Every task that can be done in this state, with its plan."""
    found = []
    for task in world.family.tasks:
        try:
            found.append((task, plan_task(world, state, task)))
        except UserError:
            continue
    return found


def resolve(world: World, state: State, script: list[Action | str]) -> Iterator[Action]:
    """The actions of a script, in which those in words ("take mug") are of the nearest thing.

    Raises:
        UserError: an action that this scene does not allow at its turn.
    """
    last: Action | None = None
    for line in script:
        options = [a for a in world.family.feasible(world, state) if line in (a, a.narration)]
        if not options:
            words = line if isinstance(line, str) else line.narration
            raise UserError(f"{words!r} cannot be done here; is something not as it must be?")
        last = min(options, key=lambda action: _apart(world, action, last))
        yield last
        state = _after(world, state, last)


def _way(world: World, state: State, step: Step, last: Action | None) -> list[Action] | None:
    """The fewest actions, the step's last, that make and do a step; None if there are none."""
    family = world.family
    ways: list[tuple[list[Action], State]] = [([], state)]
    for _ in range(DETOUR + 1):
        longer = []
        for way, reached in ways:
            options = family.feasible(world, reached)
            if fitting := [option for option in options if step.fits(world, option)]:
                before = way[-1] if way else last
                useful = [a for a in fitting if family.done(world, _after(world, reached, a), step)]
                best = min(useful or fitting, key=lambda action: _apart(world, action, before))
                return [*way, best]
            longer += [([*way, a], _after(world, reached, a)) for a in _distinct(options)]
        ways = longer
    return None


def _distinct(options: list[Action]) -> list[Action]:
    """One of each narration and item: spots are alike."""
    return list({(a.narration, a.item): a for a in reversed(options)}.values())


def _after(world: World, state: State, action: Action) -> State:
    return world.family.after(world, state, action, choose_hand(world, state, action, 0.0))


def _apart(world: World, action: Action, last: Action | None) -> float:
    """Metres sideways between where two actions happen, as the scene was set out."""
    if last is None:
        return abs(float(_where(world, action)[0]))
    return float(np.linalg.norm(_where(world, action) - _where(world, last)))


def _where(world: World, action: Action) -> np.ndarray:
    if action.target is not None:
        return np.asarray(world.spots[action.target].position)
    if action.item in world.placed:
        return np.asarray(world.placed[action.item])
    return world.model.body(action.item).pos.copy()
