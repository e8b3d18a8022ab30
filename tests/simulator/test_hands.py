"""The hands: mirrored, closed on what they hold, and joined to their arms."""

from dataclasses import replace

import mujoco
import numpy as np
import pytest

from egoframe.errors import UserError
from egoframe.kitchen.family import KITCHEN
from egoframe.simulator.hand_grips import GRIPS, solve_grip
from egoframe.simulator.hand_skeleton import BONES, DIGITS, pad_point
from egoframe.simulator.hands import HandPose, Side, pose_hand, rest_pose
from egoframe.simulator.world import World

EYE = np.array([0.0, -0.3, 1.6])
POSE = HandPose(
    position=np.array([0.12, 0.15, 1.0]),
    palm=np.array([-0.8, 0.36, -0.48]),
    fingers=np.array([0.6, 0.48, -0.64]),
    grip="cylinder",
    closure=1.0,
    width=0.07,
)
SIDES: tuple[Side, Side] = ("left", "right")


@pytest.fixture(scope="module")
def world() -> World:
    return World(3, family=KITCHEN)


def bones(world: World, side: Side, pose: HandPose, eye: np.ndarray = EYE) -> np.ndarray:
    """(16, 3, 4) rotation and origin of every bone of a posed hand."""
    pose_hand(world, side, pose, eye)
    world.update()
    bodies = [world.data.body(f"hand_{side}_{bone}") for bone in BONES]
    return np.array([np.column_stack([b.xmat.reshape(3, 3), b.xpos]) for b in bodies])


def skin(world: World, body: str) -> np.ndarray:
    """(V, 3) the vertices of a body's first geom, its skin, in the world."""
    model, data = world.model, world.data
    geom = model.body(body).geomadr[0]
    mesh = model.geom_dataid[geom]
    start, length = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
    turned = model.mesh_vert[start : start + length] @ data.geom_xmat[geom].reshape(3, 3).T
    return turned + data.geom_xpos[geom]


def gap(a: np.ndarray, b: np.ndarray) -> float:
    """The shortest distance between two clouds of points (V, 3)."""
    return float(np.linalg.norm(a[:, None] - b[None], axis=-1).min())


@pytest.mark.parametrize("grip", GRIPS)
def test_left_hand_is_the_mirror_image_of_the_right(world: World, grip: str) -> None:
    mirror = np.array([-1.0, 1.0, 1.0])
    pose = replace(POSE, grip=grip)
    reflected = replace(
        pose,
        position=pose.position * mirror,
        palm=pose.palm * mirror,
        fingers=pose.fingers * mirror,
    )
    right = bones(world, "right", pose)
    left = bones(world, "left", reflected, EYE * mirror)
    np.testing.assert_allclose(left[..., 3], right[..., 3] * mirror, atol=1e-9)
    for body in ("hand_{}_palm", "hand_{}_thumb_3", "arm_{}"):
        ours, theirs = skin(world, body.format("left")), skin(world, body.format("right")) * mirror
        far = np.linalg.norm(ours[:, None] - theirs[None], axis=-1).min(0).max()
        # A round bone may start its rings at another angle; the palm is mirrored point by point.
        assert far < (1e-6 if "palm" in body else 0.02)


def test_thumbs_point_towards_each_other_with_the_palms_down(world: World) -> None:
    down = replace(POSE, grip="flat", palm=np.array([0.0, 0, -1]), fingers=np.array([0.0, 1, 0]))
    for side, inwards in zip(SIDES, (1, -1), strict=True):
        placed = dict(zip(BONES, bones(world, side, down)[..., 3], strict=True))
        across = placed["thumb_3"] - placed["little_3"]
        assert across[0] * inwards > 0.05


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    ("grip", "width"),
    [("power", 0.016), ("power", 0.024), ("cylinder", 0.068), ("cylinder", 0.082)],
)
def test_fingers_close_on_a_bar(world: World, side: Side, grip: str, width: float) -> None:
    """Every finger touches a bar that lies across the palm at the hand's position; none enters."""
    pose = replace(POSE, grip=grip, width=width)
    bones(world, side, pose)
    axis = np.cross(pose.palm, pose.fingers)
    for digit in DIGITS[:4]:
        cloud = np.concatenate([skin(world, f"hand_{side}_{digit.name}_{i}") for i in (1, 2, 3)])
        from_axis = np.linalg.norm(np.cross(cloud - pose.position, axis), axis=1)
        assert from_axis.min() == pytest.approx(width / 2, abs=0.004), digit.name


@pytest.mark.parametrize("width", [0.04, 0.065, 0.082])
def test_the_pad_of_the_thumb_touches_what_the_fingers_hold(width: float) -> None:
    solved = solve_grip("cylinder", width)
    pad, _ = pad_point(DIGITS[4], solved.closed[4])
    from_axis = np.linalg.norm((pad - solved.centre)[[0, 2]])
    assert from_axis == pytest.approx(width / 2, abs=0.003)


@pytest.mark.parametrize("width", [0.012, 0.018, 0.042])
def test_a_pinch_leaves_the_width_between_the_pads(width: float) -> None:
    solved = solve_grip("pinch", width)
    index, thumb = (pad_point(DIGITS[i], solved.closed[i])[0] for i in (0, 4))
    # The index lies beside the middle of the pinch, the middle finger on its other side.
    beside = np.array([0.0, 0.009, 0.0])
    assert np.linalg.norm(index - beside - thumb) == pytest.approx(width, abs=0.001)


@pytest.mark.parametrize("side", SIDES)
def test_a_pointing_finger_touches_the_position(world: World, side: Side) -> None:
    bones(world, side, replace(POSE, grip="point", width=0.0))
    assert gap(skin(world, f"hand_{side}_index_3"), POSE.position[None]) < 0.006


@pytest.mark.parametrize("grip", ["power", "cylinder", "hook", "pinch"])
def test_closing_brings_thumb_and_fingers_together(world: World, grip: str) -> None:
    def opening(closure: float) -> float:
        placed = bones(world, "right", replace(POSE, grip=grip, width=0.03, closure=closure))
        tips = dict(zip(BONES, placed[..., 3], strict=True))
        return float(np.linalg.norm(tips["thumb_3"] - tips["middle_3"]))

    distances = [opening(closure) for closure in (0.0, 0.5, 1.0)]
    assert distances == sorted(distances, reverse=True)
    assert distances[0] > distances[-1] + 0.005


@pytest.mark.parametrize("grip", GRIPS)
@pytest.mark.parametrize("side", SIDES)
def test_hand_is_joined_to_its_forearm_and_the_forearm_leads_to_the_wearer(
    world: World, side: Side, grip: str
) -> None:
    for closure in (0.0, 1.0):
        bones(world, side, replace(POSE, grip=grip, closure=closure))
        assert gap(skin(world, f"hand_{side}_palm"), skin(world, f"arm_{side}")) < 0.012
        wrist, arm = world.data.body(f"hand_{side}_palm"), world.data.body(f"arm_{side}")
        elbow = arm.xpos + 0.27 * arm.xmat.reshape(3, 3)[:, 0]
        np.testing.assert_allclose(wrist.xpos, arm.xpos, atol=1e-9)
        assert np.linalg.norm(elbow - EYE) < np.linalg.norm(wrist.xpos - EYE)


def test_bones_turn_and_move_with_the_pose(world: World) -> None:
    quaternion, matrix = np.array([0.8, 0.36, -0.48, 0.0]), np.empty(9)
    mujoco.mju_quat2Mat(matrix, quaternion)
    turn, shift = matrix.reshape(3, 3), np.array([0.3, -0.1, 0.2])
    before = bones(world, "left", POSE)
    moved = replace(
        POSE,
        position=turn @ POSE.position + shift,
        palm=turn @ POSE.palm,
        fingers=turn @ POSE.fingers,
    )
    after = bones(world, "left", moved)
    np.testing.assert_allclose(after[..., 3], before[..., 3] @ turn.T + shift, atol=1e-9)
    np.testing.assert_allclose(after[..., :3], turn @ before[..., :3], atol=1e-9)


def test_a_pose_does_not_depend_on_the_one_before(world: World) -> None:
    first = bones(world, "right", POSE)
    bones(world, "right", rest_pose("right", EYE, np.array([0.2, 0.3, 0.9])))
    np.testing.assert_array_equal(bones(world, "right", POSE), first)


@pytest.mark.parametrize("side", SIDES)
def test_resting_hands_are_held_before_the_body_on_their_own_side(world: World, side: Side) -> None:
    ahead = np.array([0.0, 0.3, 0.9])
    placed = bones(world, side, rest_pose(side, EYE, ahead))[..., 3]
    assert np.all(placed[:, 0] * (1 if side == "right" else -1) > 0)
    assert np.all((placed[:, 1] > EYE[1]) & (placed[:, 1] < EYE[1] + 0.55))  # elbows stay bent
    assert np.all(placed[:, 2] < EYE[2] - 0.35)


@pytest.mark.parametrize("grip", GRIPS)
def test_every_width_gives_finite_angles_within_the_joints_limits(grip: str) -> None:
    for width in np.linspace(0.0, 0.2, 21):
        solved = solve_grip(grip, float(width))
        for digit, angles in zip(DIGITS, solved.closed, strict=True):
            low, high = np.transpose(digit.limits)
            # Ring and little finger of a pinch follow the middle finger a little further.
            assert np.all((angles >= low - 1e-9) & (angles <= high + 0.25)), (width, digit.name)


@pytest.mark.parametrize(("grip", "width"), [("grab", 0.05), ("power", -0.01), ("power", np.nan)])
def test_impossible_grips_are_refused(grip: str, width: float) -> None:
    with pytest.raises(UserError, match="grip"):
        solve_grip(grip, width)
