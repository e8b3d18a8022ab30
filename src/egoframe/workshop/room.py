"""The fixed part: room, bench with its mat and hook, what is on the wall."""

from __future__ import annotations

import numpy as np

from egoframe.simulator import meshes, textures
from egoframe.simulator.builder import Builder, Spot
from egoframe.simulator.style import COLORS
from egoframe.workshop.dimensions import DEPTH, HOOK, HUB_X, HUNG, MAT, PLANE, RAISED, RING
from egoframe.workshop.style import WorkshopStyle

WALL = 1.15  # y of the wall
TOOL_SPOTS = [(x, y) for x in (0.21, 0.30, 0.39) for y in (0.095, 0.33)]
TUBE_SPOTS = [(-0.29, 0.19), (-0.42, 0.19)]


def build_room(b: Builder[WorkshopStyle]) -> None:
    """Add everything that is neither bicycle nor tool, and the spots for things."""
    style, world = b.style, b.spec.worldbody
    wall = b.material(textures.plain(b.rng, style.wall_color, 64, 0.012))
    b.add(world, meshes.box((6, 0.02, 2.8), 0), wall, (0, WALL + 0.01, 1.4))
    for side in (-1, 1):
        b.add(world, meshes.box((0.02, 4, 2.8), 0), wall, (side * 2.4, -0.8, 1.4))
    floor = textures.stone(b.rng, style.floor_color, 128)
    b.add(world, meshes.box((6, 5, 0.02), 0, tile=1.0), b.material(floor), (0, -1.0, -0.01))
    {"pegboard": _pegboard, "shelf": _shelf, "window": _window}[style.panel](b)
    _bench(b)
    _hook(b)
    top = style.worktop_height
    b.spots += [Spot("bench", (x, y, top)) for x, y in TOOL_SPOTS]
    b.spots += [Spot("tray", (x, y, top + 0.012)) for x, y in TUBE_SPOTS]
    b.spots.append(Spot("mat", (*MAT, top + 0.036)))
    b.spots.append(Spot("hook", (*HOOK, top + HUNG)))
    b.spots.append(Spot("fork", (HUB_X, PLANE, top + RAISED)))


def _bench(b: Builder[WorkshopStyle]) -> None:
    top, world, color = b.style.worktop_height, b.spec.worldbody, COLORS[b.style.bench]
    grained = b.style.bench in ("wooden", "brown")
    texture = textures.wood(b.rng, color, 256, 5) if grained else textures.brushed(b.rng, color)
    board = meshes.box((2.0, DEPTH, 0.05), 0.005, tile=0.62)
    material = b.material(texture, shine=0.15)
    b.add(world, board, material, (0, DEPTH / 2, top - 0.025))
    for x in (-0.9, 0.9):
        for y in (0.05, DEPTH - 0.05):
            b.add(world, meshes.box((0.07, 0.07, top - 0.05), 0), material, (x, y, top / 2 - 0.025))
    rubber = b.material(textures.fabric(b.rng, COLORS[b.style.mat], checked=False))
    b.add(world, meshes.box((0.37, 0.385, 0.006), 0.002), rubber, (*MAT, top + 0.003))


def _hook(b: Builder[WorkshopStyle]) -> None:
    """A post behind the bench, bent towards the wearer, to hang a tyre on."""
    top, (x, y) = b.style.worktop_height, HOOK
    bend = top + HUNG + RING - 0.034  # the inside of a hanging tyre rests on it
    path = np.array(
        [[x, y + 0.075, top - 0.04], [x, y + 0.075, bend - 0.03], [x, y + 0.05, bend],
         [x, y - 0.03, bend], [x, y - 0.035, bend + 0.025]]
    )  # fmt: skip
    b.add(b.spec.worldbody, meshes.tube(path, 0.009, 8), b.paint("steel", 0.6))


def _pegboard(b: Builder[WorkshopStyle]) -> None:
    world, z = b.spec.worldbody, b.style.worktop_height + 0.55
    back = b.material(textures.wood(b.rng, (0.72, 0.60, 0.44), 128, 2))
    b.add(world, meshes.box((1.7, 0.02, 0.8), 0), back, (0, WALL - 0.01, z))
    for x in np.arange(-0.72, 0.73, 0.16):
        grip = b.paint(str(b.rng.choice(["red", "yellow", "blue", "black", "orange"])), 0.3)
        long, drop = b.rng.uniform(0.10, 0.16), b.rng.uniform(-0.1, 0.2)
        at = (float(x), WALL - 0.035, z + drop)
        b.add(world, meshes.box((0.014, 0.012, long), 0.002), b.paint("steel", 0.6), at)
        handle = meshes.box((0.034, 0.024, 0.09), 0.006)
        b.add(world, handle, grip, (at[0], at[1], at[2] - long / 2 - 0.04))


def _shelf(b: Builder[WorkshopStyle]) -> None:
    world, base = b.spec.worldbody, b.style.worktop_height + 0.28
    board = b.material(textures.wood(b.rng, (0.60, 0.46, 0.32), 128, 2))
    for level in (0.0, 0.38):
        b.add(world, meshes.box((1.8, 0.26, 0.025), 0.003), board, (0, WALL - 0.13, base + level))
        for x in np.arange(-0.75, 0.8, 0.25):
            tall, wide = b.rng.uniform(0.12, 0.24), b.rng.uniform(0.12, 0.20)
            bin_color = str(b.rng.choice(["blue", "grey", "red", "yellow", "brown", "green"]))
            z = base + level + 0.0125 + tall / 2
            crate = meshes.box((wide, 0.18, tall), 0.006)
            b.add(world, crate, b.paint(bin_color), (float(x), WALL - 0.12, z))


def _window(b: Builder[WorkshopStyle]) -> None:
    world, z = b.spec.worldbody, b.style.worktop_height + 0.62
    x = -0.45 if b.style.window_side == "left" else 0.45
    view = b.material(textures.window_view(b.rng), emission=0.7)
    b.add(world, meshes.box((0.9, 0.01, 0.7), 0), view, (x, WALL - 0.005, z))
    frame = b.paint("white")
    for dx in (-0.45, 0.0, 0.45):
        b.add(world, meshes.box((0.04, 0.05, 0.74)), frame, (x + dx, WALL - 0.02, z))
    for dz in (-0.35, 0.35):
        b.add(world, meshes.box((0.94, 0.05, 0.04)), frame, (x, WALL - 0.02, z + dz))
