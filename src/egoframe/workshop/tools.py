"""What is used on the bicycle: wrench, tyre lever, pump, bottle of oil, cloth.

Origins lie in the middle of the base; long tools lie along y, their working end away.
"""

from __future__ import annotations

import numpy as np

from egoframe.simulator import meshes, textures
from egoframe.simulator.builder import Builder
from egoframe.simulator.movable import (
    FROM_ABOVE,
    FROM_THE_SIDE,
    OVER_A_HANDLE,
    finish,
    hold,
    start,
)
from egoframe.simulator.style import COLORS
from egoframe.workshop.style import WorkshopStyle

WRENCH = 0.095  # from the middle of the wrench to the middle of its jaw
LEVER = 0.080  # from the middle of the lever to its tip
PUMP = 0.112  # from the middle of the pump to its nozzle
SPOUT = (0.0, 0.0, 0.175)  # of the bottle


def wrench(b: Builder[WorkshopStyle]) -> str:
    """A spanner with an open jaw at one end and a ring at the other."""
    name, body = start(b, "wrench")
    color = str(b.rng.choice(["red", "blue", "black", "orange"]))
    paint = b.paint(color, 0.8)
    shaft = meshes.box((0.022, 0.150, 0.010), 0.003)
    b.add(body, shaft, paint, (0, -0.005, 0.006))
    for side in (-1, 1):
        turn = side * 0.35
        c, s = np.cos(turn), np.sin(turn)
        leaned = meshes.box((0.012, 0.046, 0.010), 0.003).turned(
            np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
        )
        b.add(body, leaned, paint, (side * 0.019, WRENCH - 0.002, 0.006))
    b.add(body, meshes.box((0.042, 0.020, 0.010), 0.003), paint, (0, WRENCH - 0.024, 0.006))
    ring = meshes.lathe([(0.011, 0.0), (0.021, 0.0), (0.021, 0.010), (0.011, 0.010)], 14)
    b.add(body, ring, paint, (0, -0.092, 0.001))
    grip = hold((0, -0.050, 0.010), OVER_A_HANDLE, "power", 0.018)
    return finish(b, name, color, (0.05, 0.23, 0.012), grip, (), (0, 0.0, 0.006))


def lever(b: Builder[WorkshopStyle]) -> str:
    """A tyre lever of plastic, bent up at its tip."""
    name, body = start(b, "lever")
    color = str(b.rng.choice(["yellow", "blue", "red", "green", "black"]))
    path = np.array([[0, -0.080, 0.007], [0, 0.03, 0.007], [0, 0.062, 0.009], [0, LEVER, 0.019]])
    flat = meshes.tube(path, np.array([0.010, 0.011, 0.010, 0.007]), 8)
    b.add(body, flat, b.paint(color, 0.4))
    grip = hold((0, -0.035, 0.010), OVER_A_HANDLE, "power", 0.018)
    return finish(b, name, color, (0.022, 0.165, 0.02), grip, (), (0, 0, 0.010))


def pump(b: Builder[WorkshopStyle]) -> str:
    """A hand pump: barrel, rod with a handle, nozzle."""
    name, body = start(b, "pump")
    color = str(b.rng.choice(["black", "blue", "red", "steel", "white"]))
    barrel = np.array([[0, -0.05, 0.019], [0, 0.085, 0.019]])
    b.add(body, meshes.tube(barrel, 0.018, 12), b.paint(color, 0.5))
    rod = np.array([[0, -0.095, 0.019], [0, -0.04, 0.019]])
    b.add(body, meshes.tube(rod, 0.006, 8), b.paint("steel", 0.8))
    handle = np.array([[-0.030, -0.095, 0.019], [0.030, -0.095, 0.019]])
    accent = "black" if color != "black" else "yellow"
    b.add(body, meshes.tube(handle, 0.011, 8), b.paint(accent, 0.2))
    nozzle = np.array([[0, 0.08, 0.019], [0, PUMP, 0.019]])
    b.add(body, meshes.tube(nozzle, np.array([0.011, 0.007]), 8), b.paint(accent, 0.2))
    grip = hold((0, -0.005, 0.026), OVER_A_HANDLE, "power", 0.036)
    return finish(b, name, color, (0.06, 0.22, 0.04), grip, (), (0, 0.008, 0.019))


def bottle(b: Builder[WorkshopStyle]) -> str:
    """A small bottle of chain oil with a long spout."""
    name, body = start(b, "bottle")
    color = str(b.rng.choice(["green", "yellow", "red", "white", "blue"]))
    profile = [(0, 0.0), (0.027, 0.0), (0.027, 0.0), (0.027, 0.10), (0.012, 0.118),
               (0.010, 0.125), (0, 0.125)]  # fmt: skip
    b.add(body, meshes.lathe(profile, 14), b.paint(color, 0.6))
    spout = meshes.lathe([(0.010, 0.125), (0.003, SPOUT[2]), (0, SPOUT[2])], 8)
    b.add(body, spout, b.paint("black" if color != "black" else "red"))
    label = meshes.lathe([(0.0275, 0.03), (0.0275, 0.08)], 14)
    b.add(body, label, b.paint("white" if color != "white" else "blue"))
    grip = hold((0, 0, 0.065), FROM_THE_SIDE, "cylinder", 0.054)
    return finish(b, name, color, (0.054, 0.054, SPOUT[2]), grip)


def cloth(b: Builder[WorkshopStyle]) -> str:
    """A folded rag."""
    name, body = start(b, "cloth")
    color = str(b.rng.choice(["red", "blue", "white", "grey", "orange"]))
    weave = b.material(textures.fabric(b.rng, COLORS[color], checked=b.rng.random() < 0.5))
    b.add(body, meshes.box((0.085, 0.13, 0.012), 0.005), weave, (0, 0, 0.006))
    b.add(body, meshes.box((0.080, 0.07, 0.012), 0.005), weave, (0.003, -0.02, 0.017))
    grip = hold((0, 0, 0.018), FROM_ABOVE, "flat", 0.012)
    return finish(b, name, color, (0.085, 0.13, 0.024), grip)
