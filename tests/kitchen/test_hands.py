import numpy as np
import pytest

from egoframe.errors import UserError
from egoframe.kitchen.hand_grips import GRIPS, solve_grip
from egoframe.kitchen.hand_skeleton import FINGERS, THUMB, hand_bones, pad_point
from egoframe.kitchen.hands import HandPose, pose_hand, rest_pose
from egoframe.kitchen.world import World

EYE = np.array([0.0, -0.35, 1.55])


@pytest.fixture(scope="module")
def world() -> World:
    return World(1)


def pose(world: World, side: str, **changes) -> dict[str, np.ndarray]:
    sign = -1 if side == "left" else 1
    at = HandPose(
        np.array([0.1 * sign, 0.2, 1.0]), np.array([-0.92 * sign, 0.38, 0]),
        np.array([0.38 * sign, 0.92, 0]), "cylinder", 1.0, 0.08,
    )  # fmt: skip
    pose_hand(world, side, at, EYE)
    world.update()
    names = [world.model.body(i).name for i in range(world.model.nbody)]
    parts = [name for name in names if name.startswith((f"hand_{side}", f"arm_{side}"))]
    return {name.replace(side, ""): world.data.body(name).xpos.copy() for name in parts}


def test_the_left_hand_is_the_mirror_image_of_the_right(world):
    left, right = pose(world, "left"), pose(world, "right")
    assert left.keys() == right.keys()
    assert len(left) == 17
    for name in left:
        np.testing.assert_allclose(left[name] * [-1, 1, 1], right[name], atol=1e-9)


@pytest.mark.parametrize("width", [0.01, 0.02, 0.04])
def test_a_pinch_closes_on_the_width_of_what_it_holds(width):
    angles = solve_grip("pinch", width).angles(1.0)
    index, _ = pad_point(FINGERS[0], angles[0])
    thumb, _ = pad_point(THUMB, angles[4])
    along = np.array([0.80, 0.0, -0.60])
    assert abs((index - thumb) @ along) == pytest.approx(width, abs=0.006)


@pytest.mark.parametrize("grip", GRIPS)
def test_fingers_close_from_open(grip):
    found = solve_grip(grip, 0.05)
    np.testing.assert_array_equal(found.angles(0), found.open)
    np.testing.assert_allclose(found.angles(2), found.closed, atol=1e-12)
    origins, rotations = hand_bones(found.angles(0.5))
    assert np.isfinite(origins).all()
    product = rotations @ rotations.transpose(0, 2, 1)
    np.testing.assert_allclose(product, np.broadcast_to(np.eye(3), product.shape), atol=1e-9)


def test_the_forearm_starts_at_the_wrist(world):
    found = pose(world, "right")
    np.testing.assert_allclose(found["arm_"], found["hand__palm"], atol=1e-9)


def test_hands_at_rest_hang_on_their_own_side():
    ahead = np.array([0.0, 0.3, 0.9])
    left, right = (rest_pose(side, EYE, ahead).position for side in ("left", "right"))
    assert left[0] < EYE[0] < right[0]
    assert max(left[2], right[2]) < EYE[2] - 0.3


def test_unknown_grips_are_named():
    with pytest.raises(UserError, match="unknown grip 'claw'"):
        solve_grip("claw", 0.05)
    with pytest.raises(UserError, match="width"):
        solve_grip("pinch", -1.0)
