"""Dishes, pots, kettle, bottle and jar, and what fills them."""

from __future__ import annotations

import mujoco
import numpy as np

from egoframe.simulator import meshes
from egoframe.simulator.builder import Builder
from egoframe.simulator.movable import (
    AT_THE_RIM,
    FROM_ABOVE,
    FROM_THE_SIDE,
    OVER_A_HANDLE,
    finish,
    hold,
    start,
)

DISH_COLORS = ("white", "red", "blue", "green", "yellow", "orange", "black", "pink", "grey")


def _dish_color(b: Builder) -> str:
    return str(b.rng.choice(DISH_COLORS))


def _liquid(
    b: Builder, body: mujoco.MjsBody, name: str, radius: float, z: float, color: tuple
) -> None:
    """A disc of liquid or food at height z that the effect `fill` shows and raises."""
    surface = meshes.lathe([(radius, 0.0), (radius * 0.6, 0.001), (0.0, 0.001)], 16)
    geom = b.add(body, surface, b.material(color=color, shine=0.6), (0, 0, z), f"{name}_fill")
    b.effect(name, "fill", [geom])


def mug(b: Builder) -> str:
    name, body = start(b, "mug")
    color, r, h = _dish_color(b), 0.041, b.rng.uniform(0.088, 0.10)
    glaze = b.paint(color, 0.5)
    outside = [(0, 0.0), (r * 0.9, 0.0), (r, 0.008), (r, h), (r, h)]
    inside = [(r - 0.004, h), (r - 0.004, h), (r - 0.005, 0.008), (0, 0.008)]
    b.add(body, meshes.lathe([*outside, *inside], 18), glaze)
    handle = meshes.arc(0.027, 90, -90, 6) * np.array([1.0, 1, 1.1]) + np.array([r, 0, h / 2])
    b.add(body, meshes.tube(handle, 0.006, 6), glaze)
    _liquid(b, body, name, r - 0.005, 0.03, (0.30, 0.17, 0.08))
    grip = hold((0, 0, h * 0.55), FROM_THE_SIDE, "cylinder", 2 * r)
    return finish(b, name, color, (0.10, 2 * r, h), grip, ("fill",))


def glass(b: Builder) -> str:
    name, body = start(b, "glass")
    r, h = 0.034, 0.12
    clear = b.material(color=(0.80, 0.90, 0.92), alpha=0.45, shine=1.0)
    rim = b.material(color=(0.92, 0.97, 0.98), alpha=0.9, shine=1.0)
    b.add(
        body,
        meshes.lathe(
            [(0, 0.0), (r * 0.85, 0.0), (r, h), (r - 0.003, h), (r * 0.8, 0.01), (0, 0.01)], 16
        ),
        clear,
    )
    b.add(
        body,
        meshes.lathe([(r + 0.001, h - 0.004), (r + 0.001, h + 0.001), (r - 0.004, h + 0.001)], 16),
        rim,
    )
    b.add(body, meshes.lathe([(r * 0.86, 0.0), (r * 0.87, 0.008)], 16), rim)
    _liquid(b, body, name, r - 0.006, 0.05, (0.55, 0.75, 0.90))
    grip = hold((0, 0, h * 0.5), FROM_THE_SIDE, "cylinder", 2 * r)
    return finish(b, name, "clear", (2 * r, 2 * r, h), grip, ("fill",))


def bowl(b: Builder) -> str:
    name, body = start(b, "bowl")
    color, r, h = _dish_color(b), 0.078, 0.065
    profile = [
        (0, 0.0),
        (0.035, 0.0),
        (0.06, 0.02),
        (r, h),
        (r, h),
        (r - 0.005, h),
        (r - 0.005, h),
        (0.056, 0.026),
        (0.03, 0.008),
        (0, 0.008),
    ]
    b.add(body, meshes.lathe(profile, 20), b.paint(color, 0.5))
    _liquid(b, body, name, 0.060, 0.030, (0.85, 0.55, 0.20))
    grip = hold((r - 0.004, -0.01, h - 0.005), AT_THE_RIM, "pinch", 0.012)
    return finish(b, name, color, (2 * r, 2 * r, h), grip, ("fill",))


def plate(b: Builder) -> str:
    name, body = start(b, "plate")
    color, r = _dish_color(b), 0.112
    profile = [
        (0, 0.0),
        (0.06, 0.0),
        (r, 0.018),
        (r, 0.018),
        (r - 0.004, 0.022),
        (0.070, 0.008),
        (0, 0.007),
    ]
    b.add(body, meshes.lathe(profile, 22), b.paint(color, 0.5))
    band = meshes.lathe([(r - 0.010, 0.0215), (r - 0.018, 0.0195)], 22)
    b.add(body, band, b.paint("blue" if color != "blue" else "white", 0.3))
    grip = hold((r - 0.012, -0.02, 0.02), AT_THE_RIM, "pinch", 0.014)
    return finish(b, name, color, (2 * r, 2 * r, 0.022), grip)


def _vessel_handle(b: Builder, body: mujoco.MjsBody, r: float, z: float) -> None:
    path = np.array(
        [[0.02, -r + 0.005, z], [0.05, -r - 0.06, z + 0.015], [0.075, -r - 0.14, z + 0.02]]
    )
    b.add(body, meshes.tube(path, np.array([0.008, 0.011, 0.012]), 7), b.paint("black", 0.3))


def pan(b: Builder) -> str:
    name, body = start(b, "pan")
    color, r, h = str(b.rng.choice(["black", "grey", "red"])), 0.112, 0.045
    profile = [
        (0, 0.0),
        (0.09, 0.0),
        (r, h),
        (r, h),
        (r - 0.004, h),
        (r - 0.004, h),
        (0.087, 0.006),
        (0, 0.006),
    ]
    b.add(body, meshes.lathe(profile, 22), b.paint(color, 0.4))
    _vessel_handle(b, body, r, 0.04)
    _liquid(b, body, name, 0.094, 0.014, (0.93, 0.78, 0.30))
    grip = hold((0.062, -r - 0.10, 0.058), OVER_A_HANDLE, "power", 0.024)
    return finish(b, name, color, (2 * r, 2 * r + 0.15, 0.06), grip, ("fill",), (0, -0.07, 0.03))


def pot(b: Builder) -> str:
    name, body = start(b, "pot")
    color, r, h = str(b.rng.choice(["steel", "red", "blue", "green", "white"])), 0.098, 0.105
    profile = [
        (0, 0.0),
        (r, 0.0),
        (r, 0.0),
        (r, h),
        (r, h),
        (r - 0.004, h),
        (r - 0.004, h),
        (r - 0.004, 0.006),
        (0, 0.006),
    ]
    b.add(body, meshes.lathe(profile, 20), b.paint(color, 0.6))
    _vessel_handle(b, body, r, 0.085)
    _liquid(b, body, name, r - 0.006, 0.055, (0.80, 0.30, 0.12))
    grip = hold((0.062, -r - 0.10, 0.103), OVER_A_HANDLE, "power", 0.024)
    return finish(b, name, color, (2 * r, 2 * r + 0.15, h), grip, ("fill",), (0, -0.07, h / 2))


def kettle(b: Builder) -> str:
    name, body = start(b, "kettle")
    color = str(b.rng.choice(["steel", "red", "white", "black", "blue"]))
    paint = b.paint(color, 0.7)
    profile = [
        (0, 0.0),
        (0.075, 0.0),
        (0.082, 0.02),
        (0.072, 0.09),
        (0.045, 0.13),
        (0.02, 0.138),
        (0, 0.14),
    ]
    b.add(body, meshes.lathe(profile, 20), paint)
    spout = np.array([[-0.06, 0, 0.06], [-0.095, 0, 0.095], [-0.115, 0, 0.13]])
    b.add(body, meshes.tube(spout, np.array([0.018, 0.013, 0.010]), 8), paint)
    arch = np.vstack(
        [
            [[0.062, 0, 0.10]],
            meshes.arc(0.058, 0, 180, 7) * [1, 1, 0.8] + [0, 0, 0.145],
            [[-0.062, 0, 0.10]],
        ]
    )
    b.add(body, meshes.tube(arch, 0.009, 7), b.paint("black", 0.3))
    grip = hold((0, 0, 0.192), FROM_ABOVE, "power", 0.018)
    return finish(b, name, color, (0.19, 0.165, 0.20), grip)


def bottle(b: Builder) -> str:
    name, body = start(b, "bottle")
    color, r = str(b.rng.choice(["green", "yellow", "red", "white", "brown"])), 0.034
    profile = [
        (0, 0.0),
        (r, 0.0),
        (r, 0.0),
        (r, 0.14),
        (0.013, 0.185),
        (0.013, 0.215),
        (0.013, 0.215),
        (0, 0.215),
    ]
    b.add(body, meshes.lathe(profile, 14), b.paint(color, 0.7))
    cap = meshes.lathe([(0.015, 0.205), (0.015, 0.228), (0.015, 0.228), (0, 0.228)], 10)
    b.add(body, cap, b.paint("black" if color != "black" else "red"))
    label = meshes.lathe([(r + 0.001, 0.04), (r + 0.001, 0.11)], 14)
    b.add(body, label, b.paint("white" if color != "white" else "blue"))
    grip = hold((0, 0, 0.10), FROM_THE_SIDE, "cylinder", 2 * r)
    return finish(b, name, color, (2 * r, 2 * r, 0.228), grip)


def jar(b: Builder) -> str:
    name, body = start(b, "jar")
    color = str(b.rng.choice(["red", "orange", "brown", "yellow"]))
    body_mesh = meshes.lathe(
        [(0, 0.0), (0.038, 0.0), (0.040, 0.006), (0.040, 0.085), (0.032, 0.095), (0.032, 0.098)], 16
    )
    b.add(body, body_mesh, b.paint(color, 0.6))
    lid = meshes.lathe([(0.036, 0.092), (0.036, 0.113), (0.036, 0.113), (0, 0.114)], 16)
    b.add(body, lid, b.paint("steel", 0.6))
    grip = hold((0, 0, 0.06), FROM_THE_SIDE, "cylinder", 0.08)
    return finish(b, name, color, (0.08, 0.08, 0.114), grip)
