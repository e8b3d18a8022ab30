"""Wheels and what is round them: rim and spokes, tyres, inner tubes.

Bodies have their origin in the hub and their axis along y, as a wheel stands in the bicycle.
"""

from __future__ import annotations

import mujoco
import numpy as np

from egoframe.simulator import meshes
from egoframe.simulator.builder import Builder, Grip, Item
from egoframe.simulator.meshes import Mesh
from egoframe.simulator.movable import start
from egoframe.workshop.dimensions import RIM, RING, SECTION, TOWARDS
from egoframe.workshop.style import WorkshopStyle

AT_THE_SIDE = ((-0.78, 0.30, -0.55), (0.25, 0.93, 0.15))  # palm and fingers of a right hand
DIAMETER = 2 * (RING + SECTION)
LOOP = (0.055, 0.150)  # half width and half length of a tube that lies loose


def wheel(b: Builder[WorkshopStyle]) -> str:
    """Rim, spokes and hub."""
    name, body = start(b, "wheel")
    rim_and_spokes(b, body, (0, 0, 0))
    return _round_item(b, name, "steel", (), 0.04)


def rim_and_spokes(
    b: Builder[WorkshopStyle], body: mujoco.MjsBody, at: tuple[float, float, float]
) -> None:
    """Add a wheel without its tyre to a body."""
    steel = b.paint("steel", 0.8)
    b.add(body, _torus(RIM, 0.010, 0.013), steel, at)
    hub = meshes.lathe([(0, -0.036), (0.006, -0.036), (0.006, -0.03), (0.020, -0.028),
                        (0.012, -0.015), (0.012, 0.015), (0.020, 0.028), (0.006, 0.03),
                        (0.006, 0.036), (0, 0.036)], 14)  # fmt: skip
    b.add(body, hub.turned(TOWARDS), steel, at)
    spokes = []
    for k, angle in enumerate(np.linspace(0, 2 * np.pi, 16, endpoint=False)):
        out = np.array([np.cos(angle), 0.0, np.sin(angle)])
        across = np.array([0, 0.022 * (-1) ** k, 0])
        spokes.append(meshes.tube(np.array([0.016 * out + across, RIM * out]), 0.0017, 4))
    b.add(body, meshes.join(*spokes), b.material(color=(0.80, 0.81, 0.83), shine=0.6), at)


def tyre(b: Builder[WorkshopStyle]) -> str:
    """A tyre: limp, or with air in it, round."""
    name, body = start(b, "tyre")
    limp = [b.add(body, mesh, material) for mesh, material in _limp_tyre(b)]
    firm = [b.add(body, mesh, material) for mesh, material in round_tyre(b)]
    b.effect(name, "air", firm, instead_of=limp)
    return _round_item(b, name, b.style.tyre_wall, ("air",), 0.045)


def round_tyre(b: Builder[WorkshopStyle]) -> list[tuple[Mesh, str]]:
    """The meshes of a tyre with air in it, and their materials: tread and wall."""
    tread = _torus(RING + 0.004, SECTION - 0.004, SECTION - 0.003)
    wall = _torus(RING - 0.004, SECTION - 0.005, SECTION - 0.001)
    return [(tread, b.paint("black", 0.1)), (wall, b.paint(b.style.tyre_wall, 0.1))]


def _limp_tyre(b: Builder[WorkshopStyle]) -> list[tuple[Mesh, str]]:
    """The same without air: thin, dented, and hanging off the rim below."""
    angles = np.linspace(0, 2 * np.pi, 61)
    dents = 0.004 * np.sin(7 * angles) + 0.003 * np.sin(11 * angles + 1)
    droop = 0.020 * np.clip(-np.sin(angles), 0, 1) ** 2
    aside = 0.006 * np.sin(4 * angles) + 0.003 * np.sin(9 * angles)
    found = []
    for shift, thick, color in ((0.004, 0.0125, "black"), (-0.004, 0.0130, b.style.tyre_wall)):
        radius = RING - 0.006 + shift + dents + droop
        path = np.column_stack([radius * np.cos(angles), aside, radius * np.sin(angles)])
        section = thick * (1 + 0.16 * np.sin(5 * angles))
        found.append((meshes.tube(path, section, 8), b.paint(color, 0.1)))
    return found


def tube(b: Builder[WorkshopStyle], color: str, *, mounted: bool) -> str:
    """An inner tube: a ring round the rim, or a loose loop. What it is not at first is an effect:
    "loose", or "mounted"."""
    name, body = start(b, "tube")
    rubber = b.paint(color, 0.4)
    ring = b.add(body, _torus(RIM + 0.010, 0.010, 0.011), rubber)
    angles = np.linspace(0, 2 * np.pi, 49)
    pinched = LOOP[0] * (1 + 0.25 * np.cos(2 * angles))
    lift = 0.004 * np.sin(3 * angles)
    path = np.column_stack([pinched * np.cos(angles), lift, LOOP[1] * np.sin(angles)])
    loop = b.add(body, meshes.tube(path, 0.0115, 8), rubber)
    valve = meshes.tube(np.array([[0, 0, -LOOP[1]], [0, -0.005, -LOOP[1] + 0.04]]), 0.005, 6)
    stem = b.add(body, valve, b.paint("steel", 0.6))
    effect = "loose" if mounted else "mounted"
    loose, round_ = [loop, stem], [ring]
    if mounted:
        b.effect(name, effect, loose, instead_of=round_)
    else:
        b.effect(name, effect, round_, instead_of=loose)
    grip = Grip((LOOP[0] * 1.2, 0, 0), *AT_THE_SIDE, "pinch", 0.024, rim=True)
    size = (2.5 * LOOP[0], 0.03, 2 * LOOP[1])
    b.items[name] = Item(name, "tube", color, False, None, (effect,), size, (0, 0, 0), grip)
    return name


def _round_item(
    b: Builder[WorkshopStyle], name: str, color: str, effects: tuple[str, ...], width: float
) -> str:
    grip = Grip((RING, 0, 0), *AT_THE_SIDE, "cylinder", width, rim=True)
    noun, size = name.rpartition("_")[0], (DIAMETER, 2 * SECTION, DIAMETER)
    b.items[name] = Item(name, noun, color, False, None, effects, size, (0, 0, 0), grip)
    return name


def _torus(radius: float, radial: float, axial: float) -> Mesh:
    """A ring round y whose section has these half widths."""
    angles = np.linspace(-np.pi, np.pi, 13)
    profile = [(radius + radial * np.cos(a), axial * np.sin(a)) for a in angles]
    return meshes.lathe(profile, 40).turned(TOWARDS)
