from collections import Counter

import numpy as np
import pytest

from egoframe.kitchen.actions import after, feasible, first_state
from egoframe.kitchen.family import KITCHEN
from egoframe.simulator.actions import choose_hand
from egoframe.simulator.episode import Episode, plan_episode
from egoframe.simulator.world import World


@pytest.fixture(scope="module")
def episode() -> Episode:
    return plan_episode(World(5, family=KITCHEN), np.random.default_rng(5), 30)


def snapshot(episode: Episode, t: float) -> np.ndarray:
    episode.apply(t)
    world = episode.world
    camera = world.model.camera("head")
    return np.concatenate([
        world.data.qpos, world.data.mocap_pos.ravel(), world.data.mocap_quat.ravel(),
        world.model.geom_rgba.ravel(), world.model.geom_pos.ravel(), camera.pos, camera.quat,
    ])  # fmt: skip


def test_any_moment_can_be_posed_by_itself(episode):
    times = [3.0, 17.2, 40.0, 1.1]
    forwards = [snapshot(episode, t) for t in times]
    backwards = [snapshot(episode, t) for t in reversed(times)][::-1]
    for a, b in zip(forwards, backwards, strict=True):
        np.testing.assert_array_equal(a, b)


def test_times_are_in_order(episode):
    stop = 0.0
    for done in episode.actions:
        t = done.times
        assert stop <= t["start"] <= t["pre"] < t["contact"] < t["pnr"] < t["post"] <= t["stop"]
        stop = t["stop"]
    assert stop <= episode.duration


def test_every_action_was_possible_and_states_follow_each_other(episode):
    world = World(5, family=KITCHEN)
    state = first_state(world)
    for done in episode.actions:
        assert done.action in feasible(world, state)
        new = after(world, state, done.action, done.hand)
        for name, told in done.facts["state_before"].items():
            assert told == state.told(world, name)
        state = new


def test_the_hand_is_on_what_it_acts_upon_from_contact_to_post(episode):
    for done in episode.actions:
        if done.action.verb not in ("open", "close", "turn-on", "turn-off", "take", "press"):
            continue
        item = done.action.item
        for key in ("contact", "pnr", "post"):
            episode.apply(done.times[key])
            wanted = episode.world.grasp(item, done.hand)
            hand = episode._stage.hands[done.hand].at(done.times[key])
            assert np.linalg.norm(hand.position - wanted.position) < 0.02, (done.action, key)


def test_the_head_hardly_moves_while_the_hand_works(episode):
    for done in episode.actions:
        forward = []
        for key in ("pre", "pnr"):
            episode.apply(done.times[key])
            forward.append(-episode.world.data.camera("head").xmat.reshape(3, 3)[:, 2])
        assert np.degrees(np.arccos(np.clip(forward[0] @ forward[1], -1, 1))) < 1.5


def test_what_opens_is_half_open_in_the_middle(episode):
    for done in episode.actions:
        if done.action.verb in ("open", "close"):
            episode.apply(done.times["pnr"])
            assert episode.world.opening(done.action.item) == pytest.approx(0.5, abs=1e-6)


def test_a_free_hand_on_the_items_side_is_chosen():
    world = World(5, family=KITCHEN)
    state = first_state(world)
    mug = next(a for a in feasible(world, state) if a.narration == "take mug")
    assert choose_hand(world, state, mug, 0.2) == "right"
    assert choose_hand(world, state, mug, -0.2) == "left"
    held = after(world, state, mug, "right")
    drawer = next(a for a in feasible(world, held) if a.narration == "open drawer")
    assert choose_hand(world, held, drawer, 0.2) == "left"


def test_there_are_at_least_ten_verbs_sixteen_nouns_and_thirty_actions():
    seen: Counter[str] = Counter()
    verbs, nouns = set(), set()
    for seed in range(16):
        for done in plan_episode(
            World(seed, family=KITCHEN), np.random.default_rng(seed), 40
        ).actions:
            seen[done.action.narration] += 1
            verbs.add(done.action.verb)
            nouns.add(done.action.noun)
    assert len(verbs) >= 10
    assert len(nouns) >= 16
    assert len(seen) >= 30
