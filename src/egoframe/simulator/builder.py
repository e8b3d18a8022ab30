"""Puts meshes, textures and items into a MuJoCo specification."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

import mujoco
import numpy as np

from egoframe.simulator.meshes import Mesh
from egoframe.simulator.style import COLORS, Color, Style

S = TypeVar("S", bound=Style)
DECOR = 0  # geometry group of everything that the camera sees


@dataclass(frozen=True)
class Grip:
    """How a right hand holds an item; a left hand mirrors it in x.

    The frame is that of the item's body, except where `upright` says that hand and wearer decide:
    then palm and fingers are directions in the world, whichever way the item is turned.
    """

    position: tuple[float, float, float]
    palm: tuple[float, float, float]
    fingers: tuple[float, float, float]
    kind: str
    width: float
    upright: bool = True
    rim: bool = False  # of something round: from the wearer's side however it lies, or by two hands


@dataclass(frozen=True)
class Item:
    """Something that has a name and can be acted upon."""

    name: str  # unique in the kitchen: "mug_1"
    noun: str  # the word a person uses: "mug"
    color: str  # plain colour word or material: "red", "steel"
    fixed: bool
    joint: str | None  # what opens or turns, driven from 0 (closed, off) to 1 (open, on)
    effects: tuple[str, ...]
    size: tuple[float, float, float]  # of its box, metres
    centre: tuple[float, float, float]  # of its box, in its body's frame
    grip: Grip

    def told(self) -> dict[str, str]:
        """As a recording speaks of it."""
        return {"name": self.name, "noun": self.noun, "color": self.color}


@dataclass
class Spot:
    """A place where something can be put down."""

    kind: str  # "worktop", "board": a word of the family's language
    position: tuple[float, float, float]


@dataclass
class Builder(Generic[S]):
    """The specification while it is built; `items` and `spots` grow with it."""

    style: S
    rng: np.random.Generator
    spec: mujoco.MjSpec = field(default_factory=mujoco.MjSpec)
    items: dict[str, Item] = field(default_factory=dict)
    spots: list[Spot] = field(default_factory=list)
    effect_geoms: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    placed: dict[str, tuple[float, float, float]] = field(default_factory=dict)  # movable → where
    turned: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    """Movable → its rotation vector, where it is not upright."""
    carrier: dict[str, str] = field(default_factory=dict)  # part → movable that it is a part of
    hidden_geoms: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    _count: int = 0

    def material(
        self,
        texture: np.ndarray | None = None,
        color: Color = (1.0, 1.0, 1.0),
        shine: float = 0.0,
        emission: float = 0.0,
        alpha: float = 1.0,
    ) -> str:
        """Add a material, with a texture (H, W, 3) uint8 or a plain colour; its name."""
        name = self._name("material")
        material = self.spec.add_material(
            name=name,
            rgba=[*color, alpha],
            specular=0.6 * shine,
            shininess=0.5,
            reflectance=0.0,
            emission=emission,
        )
        if texture is not None:
            height, width, _ = texture.shape
            image = self.spec.add_texture(
                name=name,
                type=mujoco.mjtTexture.mjTEXTURE_2D,
                width=width,
                height=height,
                nchannel=3,
            )
            image.data = np.ascontiguousarray(texture).tobytes()
            material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
            material.texuniform = False
        return name

    def paint(self, color: str, shine: float = 0.1) -> str:
        """A plain material of a colour word."""
        return self.material(color=COLORS[color], shine=shine)

    def add(
        self,
        body: mujoco.MjsBody,
        mesh: Mesh,
        material: str,
        position: tuple[float, float, float] = (0, 0, 0),
        name: str | None = None,
    ) -> str:
        """Add a visual mesh to a body; the name of its geom."""
        mesh_name = self._name("mesh")
        self.spec.add_mesh(
            name=mesh_name,
            uservert=(mesh.vertices + np.asarray(position)).astype(np.float32).ravel(),
            userface=mesh.faces.astype(np.int32).ravel(),
            usertexcoord=mesh.uv.astype(np.float32).ravel(),
            usernormal=mesh.normals.astype(np.float32).ravel(),
            inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL,
        )
        geom_name = name or self._name("geom")
        body.add_geom(
            name=geom_name,
            type=mujoco.mjtGeom.mjGEOM_MESH,
            meshname=mesh_name,
            material=material,
            contype=0,
            conaffinity=0,
            group=DECOR,
            mass=0.01,
        )
        return geom_name

    def fixture(self, name: str, position: tuple[float, float, float]) -> mujoco.MjsBody:
        """A body that stays where it is, or turns on joints."""
        return self.spec.worldbody.add_body(name=name, pos=position)

    def movable(self, name: str) -> mujoco.MjsBody:
        """A body that is posed freely."""
        return self.spec.worldbody.add_body(name=name, mocap=True)

    def hinge(self, body: mujoco.MjsBody, axis: tuple[float, float, float], angle: float) -> str:
        """A hinge at the body's origin that turns by `angle` radians when fully open."""
        return self._joint(body, mujoco.mjtJoint.mjJNT_HINGE, axis, angle)

    def slide(self, body: mujoco.MjsBody, axis: tuple[float, float, float], length: float) -> str:
        """A slide along `axis` of `length` metres when fully open."""
        return self._joint(body, mujoco.mjtJoint.mjJNT_SLIDE, axis, length)

    def _joint(
        self, body: mujoco.MjsBody, kind: int, axis: tuple[float, float, float], reach: float
    ) -> str:
        name = f"{body.name}_joint"
        body.add_joint(name=name, type=kind, axis=axis, range=[0, reach], limited=True)
        return name

    def effect(
        self, item: str, effect: str, geoms: list[str], instead_of: list[str] | None = None
    ) -> None:
        """Say which geoms an effect shows, and in whose place."""
        self.effect_geoms[item, effect] = geoms
        self.hidden_geoms[item, effect] = instead_of or []

    def number(self, noun: str) -> str:
        """The next free name for a noun: "mug_1", "mug_2", …"""
        return f"{noun}_{1 + sum(item.noun == noun for item in self.items.values())}"

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{kind}_{self._count}"
