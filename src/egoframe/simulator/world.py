"""`World`: one scene, compiled, and the state that actions change.

Nothing is simulated: everything is posed. Positions are metres in the world's axes (x to the
wearer's right, y away from the wearer, z up), rotations 3×3 matrices.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from egoframe.simulator.builder import DECOR, Builder, Item, Spot
from egoframe.simulator.family import Family
from egoframe.simulator.hands import add_hands
from egoframe.simulator.style import Split

STREAM = "stream"  # what is poured, between two vessels
TRAIL = "trail"  # where the worktop was wiped
UPRIGHT = (0.0, 0.0, 0.0)  # the rotation vector of what stands as it was made


@dataclass(frozen=True)
class Grasp:
    """Where and how a hand holds an item as it stands now, in the world's axes."""

    position: np.ndarray  # (3,) centre of the closed hand
    palm: np.ndarray  # (3,) unit, out of the palm
    fingers: np.ndarray  # (3,) unit, along the stretched fingers
    grip: str  # one of hands.GRIPS
    width: float  # metres between thumb and fingers


class World:
    """A scene that can be posed.

    Arguments:
        seed: of the scene and its wearer.
        split: "validation" scenes draw from other seeds and unseen combinations.
        family: which kind of scene.
    """

    def __init__(self, seed: int, split: Split = "train", *, family: Family) -> None:
        self.family = family
        self.style = family.sample_style(seed, split)
        rng = np.random.default_rng([seed, 17, split == "validation"])
        builder = Builder(self.style, rng)
        self._settings(builder)
        family.build(builder)
        add_hands(builder)
        self.model = builder.spec.compile()
        self.data = mujoco.MjData(self.model)
        self.items: dict[str, Item] = builder.items
        self.spots: list[Spot] = builder.spots
        self.placed = builder.placed
        self.turned = builder.turned
        self.carrier = builder.carrier
        self._effects, self._hidden = (
            {key: [self.model.geom(name).id for name in names] for key, names in geoms.items()}
            for geoms in (builder.effect_geoms, builder.hidden_geoms)
        )
        self._alpha = self.model.geom_rgba[:, 3].copy()
        self._geom_pos = self.model.geom_pos.copy()
        self._shown = {
            geom: float(self.model.mat_rgba[self.model.geom_matid[geom], 3])
            for geoms in (*self._effects.values(), *self._hidden.values())
            for geom in geoms
        }
        self.reset()

    def _settings(self, b: Builder) -> None:
        """Light, camera and drawing quality; shadows and reflections cost ten times the rest."""
        style, spec = self.style, b.spec
        spec.compiler.degree = False
        spec.visual.quality.shadowsize = 0
        spec.visual.quality.offsamples = 0
        spec.visual.map.znear = 0.02
        spec.visual.map.zfar = 12
        tint = np.array([1.0 + 0.04 * style.warmth, 1.0, 1.0 - 0.06 * style.warmth])
        spec.visual.headlight.ambient = 0.44 * style.light * tint
        spec.visual.headlight.diffuse = 0.22 * style.light * tint
        spec.visual.headlight.specular = [0.05, 0.05, 0.05]
        side = -1 if style.window_side == "left" else 1
        for direction, strength in (
            ((-0.55 * side, 0.25, -0.8), 0.55),
            ((0.2 * side, 0.75, -0.6), 0.34),
        ):
            spec.worldbody.add_light(
                type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
                dir=direction,
                pos=(0, 0, 3),
                castshadow=False,
                diffuse=strength * style.light * tint,
                ambient=(0, 0, 0),
                specular=(0.25, 0.25, 0.25),
            )
        spec.worldbody.add_camera(name="head", fovy=style.fovy, pos=(0, -0.3, style.eye_height))
        for name, kind, color in (
            (STREAM, mujoco.mjtGeom.mjGEOM_CYLINDER, (0.7, 0.8, 0.9, 0.0)),
            (TRAIL, mujoco.mjtGeom.mjGEOM_BOX, (0.93, 0.97, 1.0, 0.0)),
        ):
            spec.worldbody.add_body(name=name, mocap=True).add_geom(
                name=name,
                type=kind,
                size=(0.01, 0.01, 0.001),
                rgba=color,
                contype=0,
                conaffinity=0,
                group=DECOR,
            )

    def reset(self) -> None:
        """Everything closed, off, and where the scene starts with it."""
        self.data.qpos[:] = self.model.qpos0
        for item, effect in self._effects:
            self.set_effect(item, effect, 0.0)
        for name, position in self.placed.items():
            self.place(name, np.asarray(position), turned(self.turned.get(name, UPRIGHT)))
        self.hide_stream()
        self.hide_trail()

    def opening(self, name: str) -> float:
        """How far an item is open or turned on, 0 … 1."""
        joint = self._joint(name)
        return float(self.data.qpos[joint.qposadr[0]] / joint.range[1])

    def set_opening(self, name: str, fraction: float) -> None:
        """Open or turn an item to a fraction, 0 … 1."""
        joint = self._joint(name)
        self.data.qpos[joint.qposadr[0]] = fraction * joint.range[1]

    def _joint(self, name: str) -> mujoco._structs._MjModelJointViews:  # type: ignore[name-defined]
        return self.model.joint(self.items[name].joint)

    def place(self, name: str, position: np.ndarray, rotation: np.ndarray | None = None) -> None:
        """Pose a movable item: position (3,) of its base, rotation (3, 3)."""
        mocap = self.model.body(name).mocapid[0]
        self.data.mocap_pos[mocap] = position
        quaternion = np.array([1.0, 0, 0, 0])
        if rotation is not None:
            mujoco.mju_mat2Quat(quaternion, np.ascontiguousarray(rotation, float).ravel())
        self.data.mocap_quat[mocap] = quaternion

    def pose(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Position (3,) and rotation (3, 3) of an item's body, after `update`."""
        body = self.data.body(name)
        return body.xpos.copy(), body.xmat.reshape(3, 3).copy()

    def set_effect(self, name: str, effect: str, amount: float) -> None:
        """Show an effect by 0 … 1: water, flame, glow, cut, air, or how full a vessel is."""
        for geom in self._effects[name, effect]:
            shown = self._shown[geom] * min(1.0, 4 * amount)
            self.model.geom_rgba[geom] = (*self._rgb(geom), shown)
            if effect == "fill":
                self.model.geom_pos[geom] = self._geom_pos[geom] + [0, 0, 0.02 * (amount - 1)]
        for geom in self._hidden[name, effect]:
            left = self._shown[geom] * (1.0 - min(1.0, 4 * amount))
            self.model.geom_rgba[geom] = (*self._rgb(geom), left)

    def _rgb(self, geom: int) -> np.ndarray:
        return self.model.mat_rgba[self.model.geom_matid[geom], :3]

    def show_stream(self, start: np.ndarray, end: np.ndarray, color: tuple) -> None:
        """Pour from `start` (3,) to `end` (3,): a thin column of `color`."""
        axis = start - end
        length = float(np.linalg.norm(axis))
        quaternion = np.zeros(4)
        mujoco.mju_quatZ2Vec(quaternion, axis / max(length, 1e-6))
        mocap = self.model.body(STREAM).mocapid[0]
        self.data.mocap_pos[mocap] = (start + end) / 2
        self.data.mocap_quat[mocap] = quaternion
        geom = self.model.geom(STREAM)
        geom.size[:2] = (0.006, length / 2)
        geom.rgba[:] = (*color, 0.9)

    def hide_stream(self) -> None:
        """Nothing is poured."""
        self.model.geom(STREAM).rgba[3] = 0

    def show_trail(self, low: np.ndarray, high: np.ndarray) -> None:
        """The worktop is wet between two corners (3,) of where something wiped over it."""
        mocap = self.model.body(TRAIL).mocapid[0]
        self.data.mocap_pos[mocap] = (low + high) / 2
        geom = self.model.geom(TRAIL)
        geom.size[:] = (*((high - low)[:2] / 2 + [0.035, 0.05]), 0.0012)
        geom.rgba[3] = 0.5

    def hide_trail(self) -> None:
        """The worktop is dry."""
        self.model.geom(TRAIL).rgba[3] = 0

    def look(self, eye: np.ndarray, target: np.ndarray, roll: float = 0.0) -> None:
        """Put the wearer's eye at `eye` (3,), looking at `target` (3,); `roll` in radians."""
        back = (eye - target) / np.linalg.norm(eye - target)
        right = np.cross([0, 0, 1.0], back)
        right /= np.linalg.norm(right)
        up = np.cross(back, right)
        c, s = np.cos(roll), np.sin(roll)
        frame = np.column_stack([c * right + s * up, c * up - s * right, back])
        camera = self.model.camera("head")
        camera.pos[:] = eye
        quaternion = np.empty(4)
        mujoco.mju_mat2Quat(quaternion, np.ascontiguousarray(frame).ravel())
        camera.quat[:] = quaternion

    def update(self) -> None:
        """Work out where everything is, after the state was changed."""
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)

    def grasp(self, name: str, side: str = "right") -> Grasp:
        """How the hand of a side holds an item as it stands now, after `update`."""
        grip = self.items[name].grip
        position, rotation = self.pose(name)
        palm, fingers = np.asarray(grip.palm, float), np.asarray(grip.fingers, float)
        point = np.asarray(grip.position, float)
        mirror = np.array([-1.0, 1, 1])
        movable = not self.items[name].fixed
        if side == "left" and (movable or grip.upright):
            palm, fingers = palm * mirror, fingers * mirror
            point = point * mirror if movable else point
        if (movable and not grip.rim) or not grip.upright:
            palm, fingers = rotation @ palm, rotation @ fingers
        unit_palm = palm / np.linalg.norm(palm)
        straight = fingers - unit_palm * (fingers @ unit_palm)
        return Grasp(
            position + rotation @ point,
            unit_palm,
            straight / np.linalg.norm(straight),
            grip.kind,
            grip.width,
        )

    def corners(self, name: str) -> np.ndarray:
        """The corners (8, 3) of an item's box in the world."""
        item = self.items[name]
        signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T
        position, rotation = self.pose(name)
        local = np.asarray(item.centre) + signs * np.asarray(item.size) / 2
        return position + local @ rotation.T


def turned(vector: tuple[float, float, float] | np.ndarray) -> np.ndarray:
    """The rotation matrix (3, 3) of a rotation vector (3,), in radians."""
    angle = float(np.linalg.norm(vector))
    quaternion, matrix = np.array([1.0, 0, 0, 0]), np.empty(9)
    if angle > 1e-9:
        mujoco.mju_axisAngle2Quat(quaternion, np.asarray(vector) / angle, angle)
    mujoco.mju_quat2Mat(matrix, quaternion)
    return matrix.reshape(3, 3)
