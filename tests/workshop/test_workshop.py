from collections import Counter

import numpy as np
import pytest

from egoframe.simulator.actions import Action, State, choose_hand
from egoframe.simulator.episode import plan_episode
from egoframe.simulator.world import World
from egoframe.workshop.actions import NUT, TYRE, WHEEL, after, feasible, first_state, tubes_in
from egoframe.workshop.family import WORKSHOP
from egoframe.workshop.style import sample_style

FLAT = ["take wrench", "unscrew nut", "put down wrench", "remove wheel", "take lever",
        "remove tyre", "put down lever", "remove tube", "insert tube", "attach tyre",
        "attach wheel", "take wrench", "screw nut", "put down wrench", "take pump",
        "pump tyre", "put down pump"]  # fmt: skip


@pytest.fixture(scope="module")
def world() -> World:
    world = World(3, family=WORKSHOP)
    world.update()
    return world


def do(world: World, state: State, *narrations: str) -> State:
    for words in narrations:
        action = next(a for a in feasible(world, state) if a.narration == words)
        state = after(world, state, action, choose_hand(world, state, action, 0.0))
    return state


def possible(world: World, state: State) -> set[str]:
    return {action.narration for action in feasible(world, state)}


def test_the_tyre_is_flat_and_the_wheel_fast_at_first(world):
    state = first_state(world)
    assert state.told(world, TYRE) == {"place": "wheel"}
    assert state.told(world, WHEEL) == {"place": "fork"}
    assert state.told(world, NUT) == {"opening": 0.0}
    assert "remove wheel" not in possible(world, state)


def test_each_step_opens_the_way_to_the_next(world):
    state = do(world, first_state(world), *FLAT[:3])
    assert "remove wheel" in possible(world, state)
    assert "remove tube" not in possible(world, state)
    state = do(world, state, "remove wheel")
    assert {"attach wheel", "take lever"} <= possible(world, state)
    state = do(world, state, "take lever")
    assert "remove tyre" in possible(world, state)
    state = do(world, state, "remove tyre", "put down lever")
    assert {"remove tube", "attach tyre"} <= possible(world, state)
    assert "attach wheel" not in possible(world, state)
    state = do(world, state, "remove tube")
    assert {"insert tube"} <= possible(world, state) - {"attach tyre"}
    assert tubes_in(world, state) == []


def test_a_flat_tyre_is_fixed_from_end_to_end(world):
    episode = plan_episode(world, np.random.default_rng(0), script=FLAT)
    assert [done.action.narration for done in episode.actions] == FLAT
    hub, hook = (
        np.array(next(s.position for s in world.spots if s.kind == k)) for k in ("fork", "hook")
    )
    at = {done.action.narration: done.times["stop"] for done in episode.actions}

    def where(t: float, name: str) -> np.ndarray:
        episode.apply(t)
        return world.pose(name)[0]

    np.testing.assert_allclose(where(0.0, WHEEL), hub)
    assert where(at["remove wheel"], WHEEL)[2] < hub[2] - 0.2
    np.testing.assert_allclose(where(at["remove tyre"], TYRE), hook)
    old, new = sorted(n for n in world.items if n.startswith("tube"))
    assert np.linalg.norm(where(at["remove tube"], old) - world.pose(WHEEL)[0]) > 0.2
    for name in (TYRE, new):  # parts go where the wheel goes
        np.testing.assert_allclose(where(at["attach tyre"], name), world.pose(WHEEL)[0])
        np.testing.assert_allclose(where(at["attach wheel"], name), hub)
    spun = world.pose(TYRE)[1] - world.pose(WHEEL)[1]
    np.testing.assert_allclose(spun, 0, atol=1e-12)


def test_a_tyre_is_limp_or_round(world):
    def shown() -> tuple[float, float]:
        limp, firm = world._hidden[TYRE, "air"], world._effects[TYRE, "air"]
        return tuple(world.model.geom_rgba[geoms, 3].mean() for geoms in (limp, firm))

    world.reset()
    assert shown() == (1.0, 0.0)
    world.set_effect(TYRE, "air", 1.0)
    assert shown() == (0.0, 1.0)
    world.reset()


def test_the_wrench_reaches_the_nut_and_the_pump_the_tyre(world):
    episode = plan_episode(world, np.random.default_rng(1), script=FLAT)
    for done in episode.actions:
        if done.action.verb in ("unscrew", "screw", "pump"):
            for key in ("contact", "pnr", "post"):
                episode.apply(done.times[key])
                tool = done.action.tool
                assert tool is not None
                position, rotation = world.pose(tool)
                tip = position + rotation @ np.array([0, {"wrench": 0.095}.get(
                    world.items[tool].noun, 0.112), 0.0])  # fmt: skip
                goal = world.pose(NUT if done.action.noun == "nut" else WHEEL)[0]
                reach = 0.04 if done.action.noun == "nut" else 0.20
                assert np.linalg.norm(tip - goal) < reach, (done.action, key)


def test_every_action_can_be_played_and_random_episodes_reach_all_of_them():
    seen: Counter[str] = Counter()
    states = set()
    for seed in range(12):
        world = World(seed, family=WORKSHOP)
        for done in plan_episode(world, np.random.default_rng(seed), 40).actions:
            seen[done.action.narration] += 1
        state = first_state(world)
        for done in plan_episode(world, np.random.default_rng(seed), 40).actions:
            assert done.action in feasible(world, state)
            state = after(world, state, done.action, done.hand)
            states.add((state.open[NUT], TYRE in state.part_of, bool(tubes_in(world, state)),
                        TYRE in state.marks["inflated"]))  # fmt: skip
    verbs = {words.split()[0] for words in seen}
    assert len(verbs) >= 12
    assert len(seen) >= 24
    assert set(FLAT) | {"deflate tyre", "wipe frame", "oil chain", "turn wheel"} <= set(seen)
    assert len(states) >= 6


def test_validation_workshops_have_looks_that_training_never_sees():
    looks = {
        split: {(s.frame, s.tyre_wall) for s in (sample_style(k, split) for k in range(400))}
        for split in ("train", "validation")
    }
    assert looks["validation"]
    assert not looks["train"] & looks["validation"]


def test_things_on_the_bench_do_not_lie_in_each_other(world):
    for seed in range(8):
        here = World(seed, family=WORKSHOP)
        here.update()
        names = [n for n in here.placed if n not in (WHEEL, *here.carrier)]
        boxes = [(here.corners(n).min(0)[:2], here.corners(n).max(0)[:2]) for n in names]
        for i, (low, high) in enumerate(boxes):
            for other_low, other_high in boxes[:i]:
                overlap = np.minimum(high, other_high) - np.maximum(low, other_low)
                assert overlap.min() < 0.012, (seed, names[i])


def test_an_action_is_told_as_an_annotator_would():
    assert Action("put-down", "wrench", "wrench_1", target=0).narration == "put down wrench"
