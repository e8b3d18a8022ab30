"""`Episode`: feasible actions on one time line; any moment of it can be posed by itself."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from egoframe.simulator.actions import Action, State, choose_hand
from egoframe.simulator.gaze import Gaze, View, seen_at, still_view
from egoframe.simulator.hands import pose_hand
from egoframe.simulator.stage import Stage, perform
from egoframe.simulator.style import Side
from egoframe.simulator.tasks import Task, feasible_tasks, resolve
from egoframe.simulator.world import World

Told = dict[str, object]
Chosen = tuple[Action, Told]  # an action, and what its record says beside its facts
Chooser = Callable[[State], Chosen]


@dataclass(frozen=True)
class PerformedAction:
    """An action with its times in seconds, and what only a simulator knows of it."""

    action: Action
    hand: Side
    times: dict[str, float]  # start ≤ pre < contact < pnr < post ≤ stop
    facts: dict[str, object]  # see docs/architecture.md, "A recording"
    where: np.ndarray  # (P, 3) points that it happens at: the focus, the item, its goal


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
        for name in stage.poses:
            world.place(name, *stage.placement(name, t))
        eye, ahead = self._gaze.at(t)
        world.look(eye, ahead, self._gaze.roll(t))
        world.update()
        stage.pour(t)
        for side, hand in stage.hands.items():
            pose_hand(world, side, hand.at(t), eye)
        world.update()

    def spread(self) -> float:
        """How far from the picture's middle the wearer looks at something, in the view at the
        beginning: beyond 1 it lies out of that view."""
        points = np.array([done.where[0] for done in self.actions])
        return float(np.abs(seen_at(self.world, self._gaze.steady(0.0), points)).max())

    def storyboard(self) -> list[float]:
        """Seconds: the untouched scene's, then every action's `pnr`."""
        return [0.0, *(done.times["pnr"] for done in self.actions)]


def plan_episode(
    world: World,
    rng: np.random.Generator,
    actions: int = 12,
    *,
    script: Sequence[Action | str] | None = None,
    tasks: bool = False,
    still: bool = False,
) -> Episode:
    """Draw a sequence of feasible actions, and how each is done.

    Arguments:
        world: the scene; it is reset.
        rng: decides on actions, times and small variations.
        actions: how many; a script has its own number.
        script: what is done instead: actions, such as `plan_task` gives, or narrations, such as
            "take mug", of which the nearest thing is meant.
        tasks: do one task after another, drawn at random, each planned for the scene as it is then.
        still: keep the head where all of what happens is seen as well as can be.

    Raises:
        UserError: an action of the script that the scene does not allow at its turn.
    """
    if script is not None:
        script = list(_scripted(world, list(script)))
        actions = len(script)

    def play(rng: np.random.Generator, view: View | None) -> Episode:
        counts: dict[str, int] = {}
        chooser: Chooser = (
            _reader(script)
            if script is not None
            else _worker(world, counts, rng)
            if tasks
            else lambda state: (_choose(world, state, counts, rng), {})
        )
        return _play(world, rng, actions, chooser, counts, view)

    if not still:
        return play(rng, None)
    rehearsed = play(copy.deepcopy(rng), None)
    points = np.concatenate([done.where for done in rehearsed.actions])
    return play(rng, still_view(world, points))


def plan_task_episode(
    world: World, rng: np.random.Generator, plan: tuple[Task, list[Action]], *, still: bool = False
) -> Episode:
    """An episode of one task, with the place of each step in it among the facts."""
    task, steps = plan
    episode = plan_episode(world, rng, script=steps, still=still)
    for index, done in enumerate(episode.actions):
        done.facts["task"] = _told_of(task, index, steps)
    return episode


def _play(
    world: World,
    rng: np.random.Generator,
    actions: int,
    choose: Chooser,
    counts: dict[str, int],
    view: View | None,
) -> Episode:
    world.reset()
    world.update()
    family = world.family
    state = family.first_state(world)
    gaze = Gaze(world, rng, view)
    stage = Stage(world, rng, gaze)
    done: list[PerformedAction] = []
    clock = rng.uniform(0.4, 0.8)
    for _ in range(actions):
        action, told = choose(state)
        counts[action.narration] = counts.get(action.narration, 0) + 1
        focus = family.focus(stage, action)
        goals = [] if action.target is None else [world.spots[action.target].position]
        where = np.array([focus, *goals, *world.corners(action.item)])
        eye, ahead = family.viewpoint(world, focus, rng)
        hand = choose_hand(world, state, action, float(focus[0] - eye[0]))
        turned = gaze.turn(clock, clock + rng.uniform(0.45, 0.7), eye, ahead)
        stage.carry(clock, turned)
        times, motion, other = perform(stage, action, hand, turned + 0.05)
        new = family.after(world, state, action, hand)
        facts = _facts(world, action, hand, state, new, motion, other)
        done.append(PerformedAction(action, hand, times, facts | told, where))
        state, clock = new, times["stop"] + rng.uniform(0.1, 0.5)
    return Episode(world, done, stage, gaze, clock + 0.5)


def _scripted(world: World, script: list[Action | str]) -> Iterator[Action]:
    world.reset()
    world.update()
    return resolve(world, world.family.first_state(world), script)


def _reader(script: Sequence[Action | str]) -> Chooser:
    lines = iter(script)
    return lambda state: (next(lines), {})  # type: ignore[return-value]  # resolved: all actions


def _worker(world: World, counts: dict[str, int], rng: np.random.Generator) -> Chooser:
    """One task after another, rather those that were not done yet; where none can be done, a random
    action."""
    todo: list[Chosen] = []
    begun: dict[str, int] = {}

    def choose(state: State) -> Chosen:
        if not todo and (options := feasible_tasks(world, state)):
            least = min(begun.get(task.name, 0) for task, _ in options)
            options = [(t, plan) for t, plan in options if begun.get(t.name, 0) == least]
            task, plan = options[rng.integers(len(options))]
            begun[task.name] = least + 1
            todo.extend((a, {"task": _told_of(task, k, plan)}) for k, a in enumerate(plan))
        return todo.pop(0) if todo else (_choose(world, state, counts, rng), {})

    return choose


def _told_of(task: Task, step: int, plan: list[Action]) -> Told:
    return {"name": task.name, "words": task.words, "step": step + 1, "steps": len(plan)}


def _choose(world: World, state: State, counts: dict[str, int], rng: np.random.Generator) -> Action:
    """Draw an action, rather one that was not seen yet; what is held wants to be used first."""
    weights_of = world.family.weights
    options = world.family.feasible(world, state)
    grouped: dict[str, list[Action]] = {}
    for option in options:
        grouped.setdefault(option.narration, []).append(option)
    names = sorted(grouped)
    wanted = [
        weights_of[name] if name in weights_of else weights_of[grouped[name][0].verb]
        for name in names
    ]
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
    other: Told,
) -> Told:
    source, goal = world.family.ways(world, before, action)
    touched = {action.item} | ({action.tool} if action.tool else set())
    spring = world.items[action.item].noun in world.family.spring_back
    return {
        "verb": action.verb,
        "noun": action.noun,
        "item": world.items[action.item].told(),
        "tool": world.items[action.tool].told() if action.tool else None,
        "from": source,
        "to": goal,
        "hands": [hand],
        "other_hand": other,
        "motion": motion,
        "state_before": {n: before.told(world, n) for n in sorted(touched)},
        "state_after": {} if spring else {n: new.told(world, n) for n in sorted(touched)},
    }
