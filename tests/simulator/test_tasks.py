from itertools import pairwise

import numpy as np
import pytest

from egoframe.errors import UserError
from egoframe.kitchen.family import KITCHEN
from egoframe.simulator.actions import choose_hand
from egoframe.simulator.episode import plan_episode, plan_task_episode
from egoframe.simulator.family import Family
from egoframe.simulator.tasks import feasible_tasks, plan_task
from egoframe.simulator.world import World
from egoframe.workshop.family import WORKSHOP

FAMILIES = pytest.mark.parametrize("family", [KITCHEN, WORKSHOP], ids=["kitchen", "workshop"])
FIX = WORKSHOP.tasks[0]


def world_of(family: Family, seed: int = 3) -> World:
    world = World(seed, family=family)
    world.update()
    return world


@FAMILIES
def test_every_precondition_of_a_plan_holds(family):
    planned = set()
    for seed in range(6):
        world = world_of(family, seed)
        for task, plan in feasible_tasks(world, family.first_state(world)):
            planned.add(task.name)
            state = family.first_state(world)
            for action in plan:
                assert action in family.feasible(world, state), task.name
                state = family.after(world, state, action, choose_hand(world, state, action, 0))
            assert 2 < len(plan) < 20
    assert planned == {task.name for task in family.tasks}


def test_there_are_five_tasks_of_a_kitchen_and_a_flat_tyre_takes_more_than_six_steps():
    assert len(KITCHEN.tasks) >= 5
    world = world_of(WORKSHOP)
    plan = plan_task(world, WORKSHOP.first_state(world), FIX)
    assert len(plan) == 17
    assert plan[-2].narration == "pump tyre"


def test_what_is_done_already_is_left_out():
    world = world_of(WORKSHOP)
    state = WORKSHOP.first_state(world)
    plan = plan_task(world, state, FIX)
    for done, action in enumerate(plan[:-2]):
        assert plan_task(world, state, FIX) == plan[done:]
        state = WORKSHOP.after(world, state, action, choose_hand(world, state, action, 0))
    state = WORKSHOP.after(world, state, plan[-2], "right")
    with pytest.raises(UserError, match="fix a flat tyre: that is done already"):
        plan_task(world, state, FIX)


def test_full_hands_are_emptied_first():
    world = world_of(KITCHEN)
    state = KITCHEN.first_state(world)
    take = next(a for a in KITCHEN.feasible(world, state) if a.narration == "take cloth" or
                a.narration == "take sponge")  # fmt: skip
    state = KITCHEN.after(world, state, take, "right")
    tea = next(task for task in KITCHEN.tasks if task.name == "make-tea")
    plan = plan_task(world, state, tea)
    assert [a.verb for a in plan] == ["put-down", "take", "pour", "put-down", "take"]


def test_a_script_is_played_and_one_that_is_impossible_refused():
    world = world_of(KITCHEN)
    script = ["take kettle", "pour water", "put down kettle"]
    episode = plan_episode(world, np.random.default_rng(0), script=script)
    assert [done.action.narration for done in episode.actions] == script
    with pytest.raises(UserError, match="'pour water' cannot be done here"):
        plan_episode(world, np.random.default_rng(0), script=["pour water"])


@FAMILIES
def test_a_still_head_does_not_move_and_sees_what_happens(family):
    world = world_of(family)
    task = {"kitchen": "wash-dish", "workshop": "fix-flat"}[family.name]
    plans = {plan[0].name: plan for plan in feasible_tasks(world, family.first_state(world))}
    episode = plan_task_episode(world, np.random.default_rng(0), plans[task], still=True)
    cameras = []
    for t in np.linspace(0, episode.duration, 40):
        episode.apply(float(t))
        camera = world.data.camera("head")
        cameras.append([*camera.xpos, *camera.xmat])
    np.testing.assert_array_equal(cameras, [cameras[0]] * 40)
    assert episode.spread() < 1
    told = [done.facts["task"] for done in episode.actions]
    assert [t["step"] for t in told] == list(range(1, len(told) + 1))
    assert {(t["name"], t["steps"]) for t in told} == {(task, len(told))}
    board = episode.storyboard()
    assert board == sorted(board)
    assert len(board) == len(told) + 1


@FAMILIES
def test_tasks_follow_each_other_where_they_are_played(family):
    episode = plan_episode(world_of(family), np.random.default_rng(2), 30, tasks=True)
    told = [done.facts.get("task") for done in episode.actions]
    assert sum(t is not None for t in told) > 24
    for before, now in pairwise(told):
        if before and before["step"] < before["steps"]:
            assert now == {**before, "step": before["step"] + 1}
    assert len({t["name"] for t in told if t}) > 2
