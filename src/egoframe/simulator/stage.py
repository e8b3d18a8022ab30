"""`Stage`: everything that moves in an episode; actions are added to it one after another."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from egoframe.simulator.actions import Action
from egoframe.simulator.gaze import Gaze
from egoframe.simulator.hands import HandPose, rest_pose
from egoframe.simulator.style import Side
from egoframe.simulator.tracks import HandTrack, Track
from egoframe.simulator.world import UPRIGHT, World, turned

SET_OUT = 0.35  # of the time of a reach: a quarter of its way, which shows whose hand it will be

Times = dict[str, float]
Performance = tuple[Times, str, dict[str, object]]  # times, motion, what the other hand does


class Stage:
    """Every track of an episode; actions are added one after another."""

    def __init__(self, world: World, rng: np.random.Generator, gaze: Gaze) -> None:
        self.world = world
        self.rng = rng
        self.gaze = gaze
        self.openings = {name: Track(np.zeros(())) for name, i in world.items.items() if i.joint}
        self.effects = {
            (name, effect): Track(np.zeros(()))
            for name, item in world.items.items()
            for effect in item.effects
        }
        self.poses = {
            name: Track(np.array([*position, *world.turned.get(name, UPRIGHT)], float))
            for name, position in world.placed.items()
        }
        self.hands: dict[Side, HandTrack] = {
            side: HandTrack(partial(self._rest, side)) for side in ("left", "right")
        }
        self.held: dict[str, Side] = {}
        self._carriers = {part: [(0.0, whole)] for part, whole in world.carrier.items()}
        self._streams: list[tuple[float, float, str, str, str]] = []
        self._trails: list[tuple[float, float, str]] = []

    def placement(self, name: str, t: float) -> tuple[np.ndarray, np.ndarray]:
        """Position (3,) and rotation (3, 3) of a movable item at a time."""
        value = self._pose(name, t)
        return value[:3], turned(value[3:])

    def _pose(self, name: str, t: float) -> np.ndarray:
        carrier = next((c for since, c in reversed(self._carriers.get(name, [])) if since <= t), "")
        return self._pose(carrier, t) if carrier else self.poses[name].at(t)

    def part(self, name: str, t: float) -> None:
        """From a time on, an item that was part of another is moved by itself."""
        here = self._pose(name, t)
        self._carriers[name].append((t, ""))
        self.poses[name].move(t, t, here)

    def join(self, name: str, carrier: str, t: float) -> None:
        """From a time on, an item is part of another, and is posed as that is."""
        self._carriers.setdefault(name, []).append((t, carrier))

    def last(self, name: str) -> np.ndarray:
        """The pose (6,) in which a movable item ends."""
        carriers = self._carriers.get(name)
        carrier = carriers[-1][1] if carriers else ""
        return self.last(carrier) if carrier else self.poses[name].last()

    def pour(self, t: float) -> None:
        """Show what is poured, and where it was wiped, at a time; the items are posed already."""
        family = self.world.family
        self.world.hide_stream()
        for start, stop, liquid, source, vessel in self._streams:
            if start <= t < stop:
                position, rotation = self.world.pose(source)
                mouth = position + rotation @ np.array(family.mouths[self.world.items[source].noun])
                bottom = self.world.pose(vessel)[0] + [0, 0, 0.025]
                self.world.show_stream(
                    mouth, np.array([mouth[0], mouth[1], bottom[2]]), family.liquids[liquid]
                )
        self.world.hide_trail()
        for start, stop, item in self._trails:
            if start <= t < stop:
                line = [self.poses[item].at(u)[:3] for u in np.linspace(start, t, 12)]
                self.world.show_trail(np.min(line, axis=0), np.max(line, axis=0))

    def carry(self, start: float, stop: float) -> None:
        """Take along what is held while the wearer turns."""
        for name, side in self.held.items():
            self.poses[name].move(start, stop, self.carried(side, stop))

    def aim(self, item: str, side: Side) -> Callable[[float], HandPose]:
        """The hand on an item, wherever that is at the time."""

        def at(t: float) -> HandPose:
            grasp = self.world.grasp(item, side)
            return HandPose(grasp.position, grasp.palm, grasp.fingers, grasp.grip, 1.0, grasp.width)

        return at

    def steady(self, item: str, side: Side) -> Callable[[float], HandPose]:
        """The other hand on an item that is worked upon, clear of where it is worked."""
        shift = np.array([-0.055 if side == "left" else 0.055, 0.0, 0.0])

        def at(t: float) -> HandPose:
            grasp = self.world.grasp(item, side)
            if self.world.items[item].grip.rim:
                return HandPose(
                    grasp.position, grasp.palm, grasp.fingers, grasp.grip, 1.0, grasp.width
                )
            position = np.array([self.world.pose(item)[0][0], *grasp.position[1:]]) + shift
            return HandPose(position, grasp.palm, grasp.fingers, grasp.grip, 1.0, grasp.width)

        return at

    def rest(self, side: Side) -> Callable[[float], HandPose]:
        """The hand at rest before the body."""
        return partial(self._rest, side)

    def stream(self, start: float, stop: float, liquid: str, source: str, vessel: str) -> None:
        """Something is poured from start to stop."""
        self._streams.append((start, stop, liquid, source, vessel))

    def trail(self, start: float, stop: float, item: str) -> None:
        """An item leaves a wet trail from start to stop."""
        self._trails.append((start, stop, item))

    def carried(self, side: Side, t: float) -> np.ndarray:
        """The pose (6,) of what a hand holds while nothing is done with it."""
        eye, ahead = self.gaze.steady(t)
        flat = np.array([ahead[0] - eye[0], ahead[1] - eye[1], 0.0])
        flat /= np.linalg.norm(flat)
        across = np.array([flat[1], -flat[0], 0.0])
        sign = -1 if side == "left" else 1
        return np.array([*(eye + 0.29 * flat + sign * 0.15 * across + [0, 0, -0.39]), 0, 0, 0])

    def _rest(self, side: Side, t: float) -> HandPose:
        return rest_pose(side, *self.gaze.steady(t))

    def hold(self, item: str, side: Side) -> None:
        """From now on `side` carries `item`."""
        self.held[item] = side

    def release(self, item: str) -> None:
        """Nobody holds `item` any more."""
        del self.held[item]

    def settle(self) -> None:
        """Pose the world as the last action leaves it."""
        for name, track in self.openings.items():
            self.world.set_opening(name, float(track.last()))
        for name in self.poses:
            value = self.last(name)
            self.world.place(name, value[:3], turned(value[3:]))
        self.world.update()


def perform(stage: Stage, action: Action, side: Side, start: float) -> Performance:
    """Add an action to the stage; at `start`, in seconds, the gaze rests on its target."""
    rng, family = stage.rng, stage.world.family
    contact = start + rng.uniform(0.53, 0.78)
    span = rng.uniform(0.7, 1.1) * (1.4 if action.verb in family.slow else 1.0)
    post = contact + span
    times = {
        "start": start, "pre": start + SET_OUT * (contact - start), "contact": contact,
        "pnr": contact + span / 2, "post": post, "stop": post + rng.uniform(0.45, 0.6),
    }  # fmt: skip
    other: Side = "left" if side == "right" else "right"
    holds = next((name for name, hand in stage.held.items() if hand == other), None)
    doing: dict[str, object] = {"side": other, "doing": "rest"}
    if holds is not None:
        doing = {"side": other, "doing": "hold", "item": stage.world.items[holds].told()}
    motion = family.performers[action.verb](stage, action, side, times)
    if holds is None and family.steadied(action):
        hand = stage.hands[other]
        hand.move(start, contact, stage.steady(action.item, other), 0.05)
        hand.move(post, times["stop"], stage.rest(other), 0.03)
        doing = {"side": other, "doing": "steady", "item": stage.world.items[action.item].told()}
    return times, motion, doing
