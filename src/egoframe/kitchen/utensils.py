"""Cutlery, board, cloths, and the food that is cut."""

from __future__ import annotations

import mujoco
import numpy as np

from egoframe.simulator import meshes, textures
from egoframe.simulator.builder import Builder
from egoframe.simulator.movable import AT_THE_RIM, FROM_ABOVE, OVER_A_HANDLE, finish, hold, start
from egoframe.simulator.style import COLORS


def knife(b: Builder) -> str:
    name, body = start(b, "knife")
    color = str(b.rng.choice(["black", "red", "wooden"]))
    blade = meshes.box((0.003, 0.17, 0.030), 0).moved((0, 0.075, 0.018))
    flat = np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]])  # it lies on its side
    b.add(
        body, blade.turned(flat), b.material(color=(0.82, 0.84, 0.86), shine=1.0), (0.02, 0, 0.004)
    )
    handle = np.array([[0, -0.015, 0.010], [0, -0.06, 0.011], [0, -0.115, 0.010]])
    b.add(body, meshes.tube(handle, np.array([0.010, 0.012, 0.011]), 7), b.paint(color, 0.3))
    grip = hold((0, -0.065, 0.012), OVER_A_HANDLE, "power", 0.022)
    return finish(b, name, color, (0.05, 0.29, 0.024), grip, (), (0, 0.02, 0.01))


def spoon(b: Builder) -> str:
    name, body = start(b, "spoon")
    color = str(b.rng.choice(["wooden", "steel", "red"]))
    paint = b.paint(color, 0.4)
    handle = np.array([[0, -0.12, 0.008], [0, 0.0, 0.008], [0, 0.09, 0.006]])
    b.add(body, meshes.tube(handle, np.array([0.008, 0.007, 0.006]), 6), paint)
    bowl = meshes.lathe([(0, 0.0), (0.022, 0.004), (0.027, 0.012), (0.020, 0.009), (0, 0.006)], 12)
    b.add(body, bowl, paint, (0, 0.112, 0))
    grip = hold((0, -0.06, 0.012), OVER_A_HANDLE, "power", 0.016)
    return finish(b, name, color, (0.055, 0.26, 0.016), grip, (), (0, 0, 0.008))


def spatula(b: Builder) -> str:
    name, body = start(b, "spatula")
    color = str(b.rng.choice(["black", "red", "green", "wooden"]))
    paint = b.paint(color, 0.3)
    handle = np.array([[0, -0.13, 0.008], [0, 0.0, 0.008], [0, 0.06, 0.005]])
    b.add(body, meshes.tube(handle, np.array([0.009, 0.008, 0.006]), 6), paint)
    b.add(body, meshes.box((0.065, 0.09, 0.006), 0.002), paint, (0, 0.10, 0.004))
    grip = hold((0, -0.07, 0.012), OVER_A_HANDLE, "power", 0.017)
    return finish(b, name, color, (0.065, 0.275, 0.016), grip, (), (0, 0, 0.008))


def board(b: Builder) -> str:
    name, body = start(b, "board")
    color = str(b.rng.choice(["wooden", "white", "green", "brown"]))
    if color in ("wooden", "brown"):
        texture = textures.wood(b.rng, COLORS[color], 128, 3)
    else:
        texture = textures.plain(b.rng, COLORS[color], 64, 0.02)
    b.add(
        body, meshes.box((0.34, 0.24, 0.018), 0.004), b.material(texture, shine=0.1), (0, 0, 0.010)
    )
    grip = hold((0.165, -0.03, 0.012), AT_THE_RIM, "pinch", 0.018)
    return finish(b, name, color, (0.34, 0.24, 0.02), grip)


def _slices(
    b: Builder, body: mujoco.MjsBody, name: str, shape: meshes.Mesh, material: str, step: float
) -> None:
    """Two slices that fall to the right of what is cut."""
    geoms = [
        b.add(body, shape, material, (step + k * 0.024, 0.004 * k, 0), f"{name}_slice_{k}")
        for k in range(2)
    ]
    b.effect(name, "cut", geoms)


def bread(b: Builder) -> str:
    name, body = start(b, "bread")
    crust = b.material(textures.crust(b.rng))
    b.add(body, meshes.box((0.15, 0.095, 0.075), 0.022), crust, (-0.02, 0, 0.038))
    crumb = b.material(textures.crumb(b.rng))
    b.add(body, meshes.box((0.004, 0.075, 0.055), 0), crumb, (0.055, 0, 0.038))
    lean = np.array([[np.cos(1.1), 0, np.sin(1.1)], [0, 1, 0], [-np.sin(1.1), 0, np.cos(1.1)]])
    slice_mesh = meshes.box((0.012, 0.085, 0.068), 0.003).turned(lean).moved((0, 0, 0.018))
    _slices(b, body, name, slice_mesh, crumb, 0.085)
    grip = hold((-0.03, 0, 0.060), FROM_ABOVE, "cylinder", 0.085)
    return finish(b, name, "brown", (0.15, 0.095, 0.075), grip, ("cut",))


def tomato(b: Builder) -> str:
    name, body = start(b, "tomato")
    angles = np.linspace(-np.pi / 2, np.pi / 2, 8)
    ball = [(0.036 * np.cos(a), 0.032 + 0.032 * np.sin(a)) for a in angles]
    b.add(body, meshes.lathe(ball, 14), b.material(color=(0.82, 0.14, 0.09), shine=0.7))
    star = meshes.lathe([(0.014, 0.0), (0.0, 0.003)], 5)
    b.add(body, star, b.paint("green"), (0, 0, 0.0635))
    disc = meshes.lathe([(0, 0.0), (0.031, 0.0), (0.031, 0.007), (0.031, 0.007), (0, 0.007)], 12)
    _slices(b, body, name, disc, b.material(color=(0.93, 0.35, 0.25), shine=0.5), 0.062)
    grip = hold((0, 0, 0.050), FROM_ABOVE, "cylinder", 0.065)
    return finish(b, name, "red", (0.072, 0.072, 0.066), grip, ("cut",))


def carrot(b: Builder) -> str:
    name, body = start(b, "carrot")
    path = np.array([[-0.10, 0, 0.016], [-0.03, 0, 0.018], [0.05, 0, 0.020]])
    orange = b.material(color=(0.93, 0.45, 0.10), shine=0.2)
    b.add(body, meshes.tube(path, np.array([0.006, 0.016, 0.020]), 10), orange)
    leaves = np.array([[-0.10, 0, 0.016], [-0.125, 0.008, 0.02], [-0.145, 0.02, 0.02]])
    b.add(body, meshes.tube(leaves, np.array([0.004, 0.008, 0.004]), 5), b.paint("green"))
    disc = meshes.lathe([(0, 0.0), (0.019, 0.0), (0.019, 0.007), (0.019, 0.007), (0, 0.007)], 10)
    _slices(b, body, name, disc, b.material(color=(0.97, 0.62, 0.25)), 0.088)
    grip = hold((-0.01, 0, 0.034), FROM_ABOVE, "cylinder", 0.04)
    return finish(b, name, "orange", (0.17, 0.04, 0.04), grip, ("cut",), (-0.02, 0, 0.02))


def sponge(b: Builder) -> str:
    name, body = start(b, "sponge")
    color = str(b.rng.choice(["yellow", "pink", "blue", "orange"]))
    b.add(body, meshes.box((0.07, 0.10, 0.022), 0.005), b.paint(color), (0, 0, 0.011))
    b.add(body, meshes.box((0.068, 0.098, 0.009), 0.003), b.paint("green"), (0, 0, 0.026))
    grip = hold((0, 0, 0.026), FROM_ABOVE, "flat", 0.02)
    return finish(b, name, color, (0.07, 0.10, 0.03), grip)


def cloth(b: Builder) -> str:
    name, body = start(b, "cloth")
    color = str(b.rng.choice(["red", "blue", "green", "grey"]))
    weave = b.material(textures.fabric(b.rng, COLORS[color], checked=True))
    b.add(body, meshes.box((0.095, 0.16, 0.012), 0.005), weave, (0, 0, 0.006))
    b.add(body, meshes.box((0.09, 0.08, 0.012), 0.005), weave, (0.002, -0.03, 0.017))
    grip = hold((0, 0, 0.018), FROM_ABOVE, "flat", 0.012)
    return finish(b, name, color, (0.095, 0.16, 0.024), grip)
