"""`Episode`: feasible actions on one time line; any moment of it can be posed by itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from egoframe.kitchen.actions import (
    SPRING_BACK,
    WEIGHTS,
    Action,
    Side,
    State,
    after,
    choose_hand,
    feasible,
    first_state,
    surface_of,
)
from egoframe.kitchen.choreography import Stage, perform
from egoframe.kitchen.gaze import Gaze, viewpoint
from egoframe.kitchen.hands import pose_hand
from egoframe.kitchen.world import World


@dataclass(frozen=True)
class PerformedAction:
    """An action with its times in seconds, and what only a simulator knows of it."""

    action: Action
    hand: Side
    times: dict[str, float]  # start ≤ pre < contact < pnr < post ≤ stop
    facts: dict[str, object]  # see docs/architecture.md, "A recording"


class Episode:
    """A recording that can be drawn at any time; see `plan_episode`."""

    def __init__(
        self,
        world: World,
        actions: list[PerformedAction],
        stage: Stage,
        gaze: Gaze,
        duration: float,
    ) -> None:
        self.world = world
        self.actions = actions
        self.duration = duration
        self._stage = stage
        self._gaze = gaze

    def apply(self, t: float) -> None:
        """Pose the world, the hands and the head for a time in seconds."""
        world, stage = self.world, self._stage
        world.data.time = t
        for name, track in stage.openings.items():
            world.set_opening(name, float(track.at(t)))
        for (name, effect), track in stage.effects.items():
            world.set_effect(name, effect, float(track.at(t)))
        for name, track in stage.poses.items():
            world.place(name, *stage.placement(track.at(t)))
        eye, ahead = self._gaze.at(t)
        world.look(eye, ahead, self._gaze.roll(t))
        world.update()
        stage.pour(t)
        for side, hand in stage.hands.items():
            pose_hand(world, side, hand.at(t), eye)
        world.update()


def plan_episode(world: World, rng: np.random.Generator, actions: int = 12) -> Episode:
    """Draw a sequence of feasible actions, and how each is done.

    Arguments:
        world: the kitchen; it is reset.
        rng: decides on actions, times and small variations.
        actions: how many.
    """
    world.reset()
    world.update()
    state = first_state(world)
    gaze = Gaze(world, rng)
    stage = Stage(world, rng, gaze)
    done: list[PerformedAction] = []
    counts: dict[str, int] = {}
    clock = rng.uniform(0.4, 0.8)
    for _ in range(actions):
        action = _choose(world, state, counts, rng)
        counts[action.narration] = counts.get(action.narration, 0) + 1
        focus = stage.focus(action)
        eye, ahead = viewpoint(world, focus, rng)
        hand = choose_hand(world, state, action, float(focus[0] - eye[0]))
        turned = gaze.turn(clock, clock + rng.uniform(0.45, 0.7), eye, ahead)
        stage.carry(clock, turned)
        times, motion, other = perform(stage, action, hand, turned + 0.05)
        new = after(world, state, action, hand)
        facts = _facts(world, action, hand, state, new, motion, other)
        done.append(PerformedAction(action, hand, times, facts))
        state, clock = new, times["stop"] + rng.uniform(0.1, 0.5)
    return Episode(world, done, stage, gaze, clock + 0.5)


def _choose(world: World, state: State, counts: dict[str, int], rng: np.random.Generator) -> Action:
    """Draw an action, rather one that was not seen yet; what is held wants to be used first."""
    options = feasible(world, state)
    grouped: dict[str, list[Action]] = {}
    for option in options:
        grouped.setdefault(option.narration, []).append(option)
    names = sorted(grouped)
    wanted = [WEIGHTS.get(name, WEIGHTS[grouped[name][0].verb]) for name in names]
    weights = np.array(wanted) / (1 + 2 * np.array([counts.get(name, 0) for name in names])) ** 1.5
    name = names[rng.choice(len(names), p=weights / weights.sum())]
    return grouped[name][rng.integers(len(grouped[name]))]


def _facts(
    world: World,
    action: Action,
    hand: Side,
    before: State,
    new: State,
    motion: str,
    other: dict[str, object],
) -> dict[str, object]:
    def told(name: str | None) -> dict[str, str] | None:
        if name is None:
            return None
        item = world.items[name]
        return {"name": name, "noun": item.noun, "color": item.color}

    source: dict[str, str] | None = None
    goal: dict[str, str] | None = None
    if action.verb == "take":
        spot = before.spot[action.item]
        noun = surface_of(world, -1 if spot is None else spot)
        source = {"name": noun, "noun": noun}
    elif action.verb == "put-down" and action.target is not None:
        noun = surface_of(world, action.target)
        goal = {"name": noun, "noun": noun}
    elif action.verb == "pour":
        source, goal = told(action.tool), told(action.item)
    touched = {action.item} | ({action.tool} if action.tool else set())
    spring = world.items[action.item].noun in SPRING_BACK
    return {
        "verb": action.verb,
        "noun": action.noun,
        "item": told(action.item),
        "tool": told(action.tool),
        "from": source,
        "to": goal,
        "hands": [hand],
        "other_hand": other,
        "motion": motion,
        "state_before": {n: before.told(world, n) for n in sorted(touched)},
        "state_after": {} if spring else {n: new.told(world, n) for n in sorted(touched)},
    }
