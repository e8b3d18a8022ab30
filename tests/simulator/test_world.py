import numpy as np
import pytest

from egoframe.kitchen.family import KITCHEN
from egoframe.kitchen.style import sample_style
from egoframe.simulator.world import World


@pytest.fixture(scope="module")
def world() -> World:
    return World(3, family=KITCHEN)


def test_a_seed_gives_the_same_kitchen_again(world):
    again = World(3, family=KITCHEN)
    assert again.placed == world.placed
    assert again.style == world.style
    assert again.model.nmeshvert == world.model.nmeshvert


def test_kitchens_differ():
    styles = [sample_style(seed, "train") for seed in range(30)]
    assert len({(s.cabinet, s.worktop, s.zones) for s in styles}) > 20


def test_validation_kitchens_have_looks_that_training_never_sees():
    looks = {
        split: {(s.cabinet, s.worktop) for s in (sample_style(k, split) for k in range(400))}
        for split in ("train", "validation")
    }
    assert looks["validation"]
    assert not looks["train"] & looks["validation"]


def test_it_has_what_a_kitchen_has(world):
    nouns = {item.noun for item in world.items.values()}
    wanted = "drawer cupboard microwave oven hob tap button mug plate bowl kettle bottle knife"
    assert set(wanted.split()) <= nouns


def test_a_drawer_comes_out_towards_the_wearer_and_its_handle_with_it(world):
    world.reset()
    world.update()
    closed = world.grasp("drawer_1").position
    world.set_opening("drawer_1", 1.0)
    world.update()
    moved = world.grasp("drawer_1").position - closed
    np.testing.assert_allclose(moved, [0, -0.30, 0], atol=1e-9)
    assert world.opening("drawer_1") == 1.0


def test_doors_turn_about_their_hinges(world):
    world.reset()
    world.update()
    closed = world.grasp("microwave_1").position
    hinge = world.pose("microwave_1")[0]
    world.set_opening("microwave_1", 1.0)
    world.update()
    opened = world.grasp("microwave_1").position
    radius = [np.linalg.norm((p - hinge)[:2]) for p in (closed, opened)]
    assert radius[0] == pytest.approx(radius[1], abs=1e-9)
    assert opened[1] < closed[1] - 0.2


def test_what_is_placed_stands_there(world):
    world.reset()
    world.place("mug_1", np.array([0.1, 0.2, 1.0]))
    world.update()
    corners = world.corners("mug_1")
    assert corners[:, 2].min() == pytest.approx(1.0)
    np.testing.assert_allclose(corners[:, :2].mean(0), [0.1, 0.2], atol=1e-9)
    world.reset()
    world.update()
    np.testing.assert_allclose(world.pose("mug_1")[0], world.placed["mug_1"])


def test_left_and_right_hands_mirror_each_other_on_an_upright_thing(world):
    world.reset()
    world.update()
    right, left = world.grasp("mug_1", "right"), world.grasp("mug_1", "left")
    np.testing.assert_allclose(right.palm * [-1, 1, 1], left.palm, atol=1e-9)
    assert abs(right.palm @ right.fingers) < 1e-9


def test_things_do_not_stand_in_each_other():
    for seed in range(12):
        world = World(seed, family=KITCHEN)
        nouns = ("mug", "glass", "bowl", "plate", "kettle", "bottle", "jar", "pan", "pot")
        tall = [name for name in world.placed if world.items[name].noun in nouns]
        for i, a in enumerate(tall):
            for b in tall[:i]:
                gap = np.linalg.norm(np.subtract(world.placed[a], world.placed[b])[:2])
                assert gap > 0.10, (seed, a, b)


def test_an_effect_shows_and_goes(world):
    world.reset()
    water = world.model.geom("tap_1_water")
    assert water.rgba[3] == 0
    world.set_effect("tap_1", "water", 1.0)
    assert water.rgba[3] > 0.5
    world.reset()
    assert water.rgba[3] == 0


def test_looking_puts_the_target_in_the_middle(world):
    eye, target = np.array([0.2, -0.3, 1.5]), np.array([0.1, 0.3, 0.9])
    world.look(eye, target)
    world.update()
    camera = world.data.camera("head")
    forward = -camera.xmat.reshape(3, 3)[:, 2]
    np.testing.assert_allclose(forward, (target - eye) / np.linalg.norm(target - eye), atol=1e-9)
    assert camera.xmat.reshape(3, 3)[2, 0] == pytest.approx(0, abs=1e-9)  # no roll
