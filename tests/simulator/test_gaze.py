import numpy as np
import pytest

from egoframe.kitchen.family import KITCHEN
from egoframe.simulator.gaze import MARGIN, Gaze, seen_at, still_view
from egoframe.simulator.world import World


@pytest.fixture(scope="module")
def world() -> World:
    return World(3, family=KITCHEN)


def test_where_points_are_seen_is_where_the_camera_has_them(world):
    eye, ahead = np.array([0.1, -0.4, 1.5]), np.array([0.2, 0.3, 0.95])
    points = np.array([[0.0, 0.3, 1.0], [0.4, 0.5, 1.2], [-0.2, 0.1, 0.9]])
    world.look(eye, ahead)
    world.update()
    camera = world.data.camera("head")
    local = (points - camera.xpos) @ camera.xmat.reshape(3, 3)
    expected = local[:, :2] / -local[:, 2:] / np.tan(np.radians(world.style.fovy) / 2)
    np.testing.assert_allclose(seen_at(world, (eye, ahead), points), expected, atol=1e-9)
    np.testing.assert_allclose(seen_at(world, (eye, ahead), ahead[None]), 0, atol=1e-12)


def test_a_still_view_has_all_of_what_lies_together(world):
    top = world.style.worktop_height
    near = np.array([[-0.1, 0.1, top], [0.2, 0.4, top + 0.2], [0.3, 0.2, top]])
    assert np.abs(seen_at(world, still_view(world, near), near)).max() < MARGIN


def test_a_still_head_neither_turns_nor_sways(world):
    view = np.array([0.0, -0.5, 1.5]), np.array([0.0, 0.2, 0.9])
    gaze = Gaze(world, np.random.default_rng(0), view)
    assert gaze.turn(1.0, 2.0, view[0] + 1, view[1] + 1) == 2.0
    for t in (0.0, 1.5, 9.0):
        np.testing.assert_array_equal(gaze.at(t), view)
        assert gaze.roll(t) == 0.0
    moving = Gaze(world, np.random.default_rng(0))
    assert np.abs(np.subtract(moving.at(1.0), moving.at(2.0))).max() > 0
