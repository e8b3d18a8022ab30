"""Hob, hood, oven and microwave, and their working parts."""

from __future__ import annotations

import numpy as np

from egoframe.kitchen.dimensions import FRONT, THICKNESS, WALL, ZONE_WIDTH
from egoframe.simulator import meshes, textures
from egoframe.simulator.builder import Builder, Grip, Item, Spot
from egoframe.simulator.style import COLORS


def hood(b: Builder, x: float) -> None:
    steel = b.material(textures.brushed(b.rng, COLORS["steel"]), shine=0.5)
    z = b.style.worktop_height + 0.66
    b.add(b.spec.worldbody, meshes.box((0.56, 0.40, 0.08), 0.01), steel, (x, WALL - 0.22, z))
    b.add(b.spec.worldbody, meshes.box((0.26, 0.24, 0.6), 0.01), steel, (x, WALL - 0.13, z + 0.34))


def hob(b: Builder, x: float) -> None:
    """A glass hob with four rings; the two in front have knobs below the worktop's edge."""
    top = b.style.worktop_height
    glass = b.material(color=(0.07, 0.07, 0.08), shine=0.8)
    b.add(b.spec.worldbody, meshes.box((0.56, 0.48, 0.012), 0.004), glass, (x, 0.31, top + 0.004))
    mark = b.material(color=(0.35, 0.35, 0.37))
    hot = b.material(color=(0.95, 0.22, 0.02), emission=0.55)
    ring_z = top + 0.0115
    for dy in (0.20, 0.43):
        for dx in (-0.14, 0.14):
            ring = meshes.lathe([(0.098, 0.0), (0.088, 0.0)], 24)
            b.add(b.spec.worldbody, ring, mark, (x + dx, dy, ring_z))
            if dy > 0.3:
                b.spots.append(Spot("hob", (x + dx, dy, top + 0.012)))
    panel = b.material(textures.brushed(b.rng, COLORS["steel"]), shine=0.5)
    z = top - THICKNESS - 0.045
    b.add(
        b.spec.worldbody, meshes.box((ZONE_WIDTH - 0.01, 0.02, 0.085)), panel, (x, FRONT + 0.008, z)
    )
    knob_material = b.paint("black", 0.4)
    pointer = b.paint("white")
    for dx in (-0.14, 0.14):
        name = b.number("hob")
        body = b.fixture(name, (x + dx, FRONT - 0.002, z))
        knob = meshes.lathe([(0, 0.034), (0.020, 0.033), (0.024, 0.004), (0.030, 0.0)], 14)
        towards = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])
        b.add(body, knob.turned(towards), knob_material)
        b.add(body, meshes.box((0.007, 0.006, 0.024), 0), pointer, (0, -0.034, 0.012))
        joint = b.hinge(body, (0, 1, 0), 1.9)
        disc = meshes.lathe([(0.100, 0.0), (0.0, 0.001)], 24)
        glow = b.add(b.spec.worldbody, disc, hot, (x + dx, 0.20, ring_z + 0.001), f"{name}_glow")
        b.effect(name, "flame", [glow])
        grip = Grip((0, -0.022, 0), (0, 0.95, -0.3), (0, 0.75, 0.66), "pinch", 0.042)
        box = (0.2, 0.2, 0.02)
        centre = (0, 0.20 - FRONT, top - z + 0.01)
        b.items[name] = Item(name, "hob", "black", True, joint, ("flame",), box, centre, grip)


def oven(b: Builder, x: float) -> None:
    """An oven below the hob; its door swings down."""
    top = b.style.worktop_height - THICKNESS - 0.095
    height, bottom, width = top - 0.20, 0.20, ZONE_WIDTH - 0.02
    inside = b.material(color=(0.10, 0.09, 0.09))
    lamp = b.material(color=(0.95, 0.70, 0.35), emission=0.6)
    b.add(
        b.spec.worldbody,
        meshes.box((width - 0.06, 0.02, height - 0.04), 0),
        inside,
        (x, 0.42, bottom + height / 2),
    )
    b.add(b.spec.worldbody, meshes.box((0.08, 0.01, 0.05), 0), lamp, (x, 0.405, top - 0.09))
    rack = b.paint("steel", 0.5)
    for dy in np.linspace(0.08, 0.38, 6):
        b.add(
            b.spec.worldbody,
            meshes.box((width - 0.08, 0.006, 0.006), 0),
            rack,
            (x, float(dy), bottom + 0.55 * height),
        )
    name = b.number("oven")
    body = b.fixture(name, (x, FRONT, bottom))
    steel = b.material(textures.brushed(b.rng, COLORS["steel"]), shine=0.5)
    b.add(body, meshes.box((width, 0.03, height)), steel, (0, 0.015, height / 2))
    glass = b.material(color=(0.06, 0.06, 0.07), shine=0.9)
    b.add(
        body,
        meshes.box((width - 0.12, 0.008, height - 0.20), 0.002),
        glass,
        (0, -0.002, height / 2 - 0.02),
    )
    bar = np.array(
        [
            [-0.22, 0, 0],
            [-0.22, -0.04, 0],
            [-0.2, -0.045, 0],
            [0.2, -0.045, 0],
            [0.22, -0.04, 0],
            [0.22, 0, 0],
        ]
    )
    b.add(body, meshes.tube(bar, 0.009, 6), rack, (0, 0, height - 0.05))
    joint = b.hinge(body, (1, 0, 0), 1.45)
    grip = Grip((0, -0.045, height - 0.05), (0, 0.35, -0.94), (0, 0.94, 0.35), "hook", 0.018)
    centre = (0, 0, height / 2)
    b.items[name] = Item(
        name, "oven", "steel", True, joint, (), (width, 0.06, height), centre, grip
    )


def microwave(b: Builder, x: float) -> None:
    """A microwave at the back of the worktop: a door hinged on the left, a button on the right."""
    top = b.style.worktop_height
    width, depth, height = 0.46, 0.30, 0.26
    y = WALL - depth - 0.01
    colour = str(b.rng.choice(["white", "black", "steel", "red"]))
    shell = b.paint(colour, 0.4)
    world = b.spec.worldbody
    for z in (0.012, height - 0.008):
        b.add(world, meshes.box((width, depth, 0.016), 0.004), shell, (x, y + depth / 2, top + z))
    for dx, wide in ((-width / 2 + 0.008, 0.016), (width / 2 - 0.055, 0.11)):
        b.add(
            world,
            meshes.box((wide, depth, height), 0.004),
            shell,
            (x + dx, y + depth / 2, top + height / 2),
        )
    lit = b.material(color=(0.96, 0.90, 0.72), emission=0.55)
    b.add(
        world,
        meshes.box((width - 0.12, 0.01, height), 0),
        lit,
        (x - 0.05, y + depth - 0.01, top + height / 2),
    )
    tray = meshes.lathe([(0.13, 0.0), (0.0, 0.001)], 18)
    b.add(
        world,
        tray,
        b.material(color=(0.75, 0.80, 0.80), shine=0.5),
        (x - 0.05, y + 0.15, top + 0.024),
    )
    name = b.number("microwave")
    door_width = width - 0.11
    body = b.fixture(name, (x - width / 2, y, top))
    panel = b.material(textures.front(b.rng, COLORS[colour], False, shaker=True), shine=0.4)
    b.add(
        body,
        meshes.box((door_width, 0.022, height - 0.01)),
        panel,
        (door_width / 2, -0.011, height / 2),
    )
    pane = b.material(color=(0.08, 0.08, 0.09), shine=0.9)
    b.add(
        body,
        meshes.box((door_width - 0.08, 0.004, height - 0.09), 0),
        pane,
        (door_width / 2 - 0.01, -0.024, height / 2),
    )
    steel = b.paint("steel", 0.7)
    bar = np.array(
        [[0, 0, -0.08], [0, -0.035, -0.075], [0, -0.038, 0], [0, -0.035, 0.075], [0, 0, 0.08]]
    )
    b.add(body, meshes.tube(bar, 0.008, 6), steel, (door_width - 0.025, -0.022, height / 2))
    joint = b.hinge(body, (0, 0, -1), 1.75)
    grip = Grip(
        (door_width - 0.025, -0.06, height / 2),
        (-0.6, 0.8, 0),
        (0.75, 0.6, 0.25),
        "hook",
        0.016,
        upright=False,
    )
    centre = (door_width / 2, 0, height / 2)
    b.items[name] = Item(
        name, "microwave", colour, True, joint, (), (width, 0.06, height), centre, grip
    )

    button = b.number("button")
    at = b.fixture(button, (x + width / 2 - 0.055, y - 0.002, top + 0.075))
    cap = meshes.lathe([(0, 0.014), (0.020, 0.013), (0.022, 0.0)], 14)
    towards = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])
    accent = "red" if colour != "red" else "white"
    b.add(at, cap.turned(towards), b.paint(accent, 0.3))
    dark = b.material(color=(0.05, 0.07, 0.06), shine=0.5)
    screen = (0.0, -0.003, 0.11)
    b.add(at, meshes.box((0.08, 0.006, 0.045), 0.001), dark, screen)
    bright = b.material(color=(0.35, 1.0, 0.55), emission=1.0)
    digits = meshes.join(
        *(
            meshes.box((0.011, 0.003, 0.026), 0).moved((dx, 0, 0))
            for dx in (-0.024, -0.007, 0.010, 0.026)
        )
    )
    glow = b.add(at, digits, bright, (0.0, -0.007, 0.11), f"{button}_glow")
    b.effect(button, "glow", [glow])
    press = b.slide(at, (0, 1, 0), 0.008)
    touch = Grip((0, -0.014, 0), (0, 0.35, -0.94), (0, 0.94, 0.35), "point", 0.0)
    b.items[button] = Item(
        button, "button", accent, True, press, ("glow",), (0.05, 0.03, 0.05), (0, 0, 0), touch
    )
