"""Two hands with forearms and sleeves, posed by where and how they hold.

Each bone of a hand is a body of its own, posed freely, so that the fingers close round whatever
they hold. The geometry is that of the left hand; the right one is its mirror image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import mujoco
import numpy as np

from egoframe.simulator import meshes, textures
from egoframe.simulator.hand_grips import GRIPS, solve_grip
from egoframe.simulator.hand_skeleton import BONES, DIGITS, MIRROR, hand_bones
from egoframe.simulator.style import COLORS, Color

if TYPE_CHECKING:
    from egoframe.simulator.builder import Builder
    from egoframe.simulator.world import World

__all__ = ["GRIPS", "HandPose", "add_hands", "pose_hand", "rest_pose"]

FOREARM = 0.27  # metres from wrist to elbow
UPPER_ARM = 0.42  # metres beyond the elbow; straight, for an arm that reaches far shows it so
Side = Literal["left", "right"]


@dataclass(frozen=True)
class HandPose:
    """Where a hand is and how it is closed; vectors (3,) in the world's axes."""

    position: np.ndarray  # centre of what it holds
    palm: np.ndarray  # unit, out of the palm
    fingers: np.ndarray  # unit, along the stretched fingers
    grip: str = "relaxed"
    closure: float = 0.0  # 0 open … 1 closed
    width: float = 0.06  # metres, of what it closes on


def add_hands(b: Builder) -> None:
    """Add both hands, in the style's skin and sleeve, to a specification."""
    skin = b.material(textures.plain(b.rng, b.style.skin, 32, 0.015), shine=0.15)
    nail = b.material(color=_lighter(b.style.skin), shine=0.5)
    sleeve_color = COLORS[b.style.sleeve]
    sleeve = b.material(textures.fabric(b.rng, sleeve_color, checked=b.style.seed % 4 == 0))
    cuff = b.material(color=_darker(sleeve_color))
    for side, sign in (("left", 1.0), ("right", -1.0)):
        for bone, mesh in _bone_meshes(sign).items():
            body = b.movable(f"hand_{side}_{bone}")
            b.add(body, mesh, skin)
            if bone.endswith("3"):
                digit = next(d for d in DIGITS if bone.startswith(d.name))
                b.add(body, _nail(digit.lengths[2], digit.radii[3]), nail)
        arm = b.movable(f"arm_{side}")
        path = np.linspace([0.0, 0, 0], [FOREARM, 0, 0], 5)
        radii = np.array([0.027, 0.030, 0.037, 0.043, 0.045])
        b.add(arm, meshes.tube(path, radii, 12), skin)
        start = FOREARM * (1 - b.style.sleeve_length)
        stops = np.linspace(start, FOREARM + UPPER_ARM, 6)
        loose = np.interp(stops, path[:, 0], radii) + np.linspace(0.009, 0.018, 6)
        b.add(arm, meshes.tube(np.outer(stops, [1.0, 0, 0]), loose, 12), sleeve)
        hem = np.outer(start + np.array([-0.006, 0.0, 0.022]), [1.0, 0, 0])
        b.add(arm, meshes.tube(hem, loose[0] + np.array([-0.001, 0.003, 0.004]), 12), cuff)


def pose_hand(world: World, side: Side, pose: HandPose, eye: np.ndarray) -> None:
    """Pose a hand and lay its forearm towards the wearer's elbow.

    Arguments:
        pose: where and how.
        eye: (3,) the wearer's eye; shoulder and elbow hang from it.
    """
    grip = solve_grip(pose.grip, pose.width)
    frame = _frame(pose.palm, pose.fingers)
    mirror = np.eye(3) if side == "left" else MIRROR
    frame = frame @ mirror  # a right hand is posed as a left one whose y points the other way
    wrist = pose.position - frame @ grip.centre
    origins, rotations = hand_bones(grip.angles(pose.closure))
    for bone, origin, rotation in zip(BONES, origins, rotations, strict=True):
        turned = frame @ rotation @ mirror
        _place(world, f"hand_{side}_{bone}", wrist + frame @ origin, turned)
    across = eye + np.array([-0.24 if side == "left" else 0.24, -0.05, -0.42])
    towards = across - wrist
    towards /= np.linalg.norm(towards)
    back = -(frame[:, 0])
    direction = 0.62 * towards + 0.38 * back  # wrists bend only so far
    direction /= np.linalg.norm(direction)
    up = np.cross(direction, [1.0, 0, 0])
    up /= np.linalg.norm(up)
    _place(world, f"arm_{side}", wrist, np.column_stack([direction, np.cross(up, direction), up]))


def rest_pose(side: Side, eye: np.ndarray, ahead: np.ndarray) -> HandPose:
    """A hand held ready before the body, low in the view, with some of its sleeve.

    Arguments:
        eye: (3,) the wearer's eye.
        ahead: (3,) what the wearer looks at.
    """
    sign = -1.0 if side == "left" else 1.0
    flat = np.array([ahead[0] - eye[0], ahead[1] - eye[1], 0.0])
    flat /= np.linalg.norm(flat) + 1e-9
    across = np.array([flat[1], -flat[0], 0.0])
    position = eye + 0.37 * flat + sign * 0.17 * across + np.array([0, 0, -0.42])
    fingers = flat * 0.9 - 0.35 * sign * across + np.array([0, 0, 0.1])
    palm = -sign * across * 0.75 + np.array([0, 0, -0.66])
    return HandPose(position, palm, fingers)


def _frame(palm: np.ndarray, fingers: np.ndarray) -> np.ndarray:
    """The rotation (3, 3) of a left hand; columns: along fingers, to the thumb, out of the palm."""
    z = palm / np.linalg.norm(palm)
    x = fingers - z * (fingers @ z)
    x /= np.linalg.norm(x)
    return np.column_stack([x, np.cross(z, x), z])


def _place(world: World, body: str, position: np.ndarray, rotation: np.ndarray) -> None:
    mocap = world.model.body(body).mocapid[0]
    world.data.mocap_pos[mocap] = position
    mujoco.mju_mat2Quat(world.data.mocap_quat[mocap], np.ascontiguousarray(rotation).ravel())


def _bone_meshes(sign: float) -> dict[str, meshes.Mesh]:
    """The mesh of every bone, in its bone's frame; `sign` is −1 for the right hand."""
    found = {"palm": _palm(sign)}
    for digit in DIGITS:
        for index, length in enumerate(digit.lengths):
            near, far = digit.radii[index], digit.radii[index + 1]
            stops = np.array([-0.1, 0.12, 0.5, 0.88, 1.02]) * length
            path = np.column_stack([stops, np.zeros(5), np.zeros(5)])
            radii = np.array([near * 0.75, near, (near + far) / 2, far, far * 0.72])
            found[f"{digit.name}_{index + 1}"] = meshes.tube(path, radii, 8)
    return found


def _palm(sign: float) -> meshes.Mesh:
    """The back and ball of the hand: rounded, wider at the knuckles than at the wrist."""
    rings = []
    for x, y0, y1, thick in (
        (-0.012, -0.024, 0.024, 0.021),
        (0.010, -0.032, 0.030, 0.022),
        (0.035, -0.040, 0.036, 0.018),
        (0.065, -0.043, 0.037, 0.015),
        (0.086, -0.040, 0.036, 0.012),
        (0.096, -0.028, 0.026, 0.008),
    ):
        angles = np.linspace(0, 2 * np.pi, 15)
        power = 0.75
        y = (y0 + y1) / 2 + (y1 - y0) / 2 * np.sign(np.cos(angles)) * np.abs(
            np.cos(angles)
        ) ** power
        z = thick * np.sign(np.sin(angles)) * np.abs(np.sin(angles)) ** power
        rings.append(np.column_stack([np.full(15, x), sign * y, z]))
    points = np.array(rings)
    rows, columns = points.shape[:2]
    i, j = np.mgrid[0 : rows - 1, 0 : columns - 1].reshape(2, -1)
    a = i * columns + j
    quads = (a, a + columns, a + columns + 1, a + 1)
    b0, b1, b2, b3 = quads if sign > 0 else quads[::-1]
    faces = np.concatenate([np.column_stack([b0, b1, b2]), np.column_stack([b0, b2, b3])])
    centre = points.mean(1, keepdims=True)
    normals = points - centre
    normals[..., 2] *= 2.5
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    end = (rows - 1) * columns
    fan = [[end, end + k, end + k + 1] for k in range(1, columns - 2)]
    flipped = np.array(fan) if sign > 0 else np.array(fan)[:, ::-1]
    vertices = points.reshape(-1, 3)
    corner = vertices[faces]
    facing = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    outward = normals.reshape(-1, 3)[faces].mean(1)
    inside_out = (facing * outward).sum(1) < 0
    faces[inside_out] = faces[inside_out][:, ::-1]
    uv = np.tile([[0.5, 0.5]], (len(vertices), 1))
    return meshes.Mesh(vertices, np.concatenate([faces, flipped]), uv, normals.reshape(-1, 3))


def _nail(length: float, radius: float) -> meshes.Mesh:
    nail = meshes.box((0.010, radius * 1.3, 0.003), 0.001)
    return nail.moved((length * 0.86, 0, -radius * 0.86))


def _lighter(color: Color) -> Color:
    r, g, b = (min(0.97, c * 1.08 + 0.05) for c in color)
    return r, g, b


def _darker(color: Color) -> Color:
    r, g, b = (c * 0.75 for c in color)
    return r, g, b
