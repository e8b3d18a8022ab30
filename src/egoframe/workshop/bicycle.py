"""The bicycle without its front wheel: frame, fork, drive train, and the stand that holds it."""

from __future__ import annotations

import numpy as np

from egoframe.simulator import meshes
from egoframe.simulator.builder import Builder, Grip, Item
from egoframe.workshop.dimensions import (
    CRANK_X,
    FORK,
    HUB_X,
    LOWER,
    PLANE,
    RAISED,
    REAR_X,
    TOWARDS,
)
from egoframe.workshop.style import WorkshopStyle
from egoframe.workshop.wheel import rim_and_spokes, round_tyre

CRANK = 0.095  # metres from the bottom bracket to a pedal
NEAR = PLANE - 0.045  # y of the chain
ON_A_BAR = ((0.0, 0.9, -0.4), (0.0, 0.4, 0.9))  # palm and fingers of a hand on something in front


def build_bicycle(b: Builder[WorkshopStyle]) -> None:
    """Add the bicycle in its stand."""
    hub = b.style.worktop_height + RAISED
    _stand(b, hub)
    _frame(b, hub)
    _fork(b, hub)
    _handlebar(b, hub)
    _drive(b, hub)
    _pedals(b, hub)
    _nut(b, hub)
    world = b.spec.worldbody
    rim_and_spokes(b, world, (REAR_X, PLANE, hub))
    for mesh, material in round_tyre(b):
        b.add(world, mesh, material, (REAR_X, PLANE, hub))


def _stand(b: Builder[WorkshopStyle], hub: float) -> None:
    world, dark = b.spec.worldbody, b.paint("black", 0.3)
    x, y = -0.455, PLANE + 0.2
    b.add(world, meshes.tube(np.array([[x, y, 0.0], [x, y, hub + 0.30]]), 0.02, 10), dark)
    arm = np.array([[x, y, hub + 0.29], [x, PLANE + 0.02, hub + 0.29]])
    b.add(world, meshes.tube(arm, 0.015, 8), dark)
    clamp = meshes.box((0.055, 0.06, 0.075), 0.006)
    b.add(world, clamp, b.paint("red", 0.3), (x, PLANE, hub + 0.29))
    for dx, dy in ((-0.35, -0.1), (0.35, -0.1), (0.0, 0.3)):
        foot = np.array([[x, y, 0.12], [x + dx, y + dy, 0.02]])
        b.add(world, meshes.tube(foot, 0.014, 6), dark)


def _frame(b: Builder[WorkshopStyle], hub: float) -> None:
    """One item, so that it can be wiped."""
    name = b.number("frame")
    body = b.fixture(name, (CRANK_X, PLANE, hub - LOWER))
    paint = b.paint(b.style.frame, 0.7)
    seat, head_top, head_low = (-0.075, 0.31), (0.275, 0.36), (0.298, 0.27)
    rear = (REAR_X - CRANK_X, LOWER)

    def bar(a: tuple[float, float], c: tuple[float, float], radius: float, y: float = 0.0) -> None:
        path = np.array([[a[0], y, a[1]], [c[0], y, c[1]]])
        b.add(body, meshes.tube(path, radius, 10), paint)

    bar((0.0, 0.0), seat, 0.016)
    bar((seat[0] * 0.9, seat[1] * 0.9), head_top, 0.016)
    bar((0.0, 0.0), head_low, 0.020)
    bar(head_low, (head_top[0] - 0.004, head_top[1] + 0.02), 0.021)
    for y in (-0.035, 0.035):
        bar((0.0, 0.0), rear, 0.010, y)
        bar((seat[0] * 0.85, seat[1] * 0.85), rear, 0.008, y)
    shell = np.array([[0, -0.04, 0], [0, 0.04, 0]])
    b.add(body, meshes.tube(shell, 0.024, 12), paint)
    post = np.array([[seat[0], 0, seat[1]], [seat[0] - 0.02, 0, seat[1] + 0.10]])
    b.add(body, meshes.tube(post, 0.012, 8), b.paint("steel", 0.6))
    saddle = np.array([[-0.19, 0, 0.43], [-0.13, 0, 0.435], [-0.03, 0, 0.43], [0.05, 0, 0.425]])
    radii = np.array([0.045, 0.05, 0.025, 0.014])
    b.add(body, meshes.tube(saddle, radii, 10), b.paint("black", 0.3))
    grip = Grip((0.15, -0.02, 0.14), *ON_A_BAR, "flat", 0.02)
    b.items[name] = Item(
        name, "frame", b.style.frame, True, None, (), (0.36, 0.05, 0.36), (0.10, 0, 0.17), grip
    )


def _fork(b: Builder[WorkshopStyle], hub: float) -> None:
    paint, world = b.paint(b.style.frame, 0.7), b.spec.worldbody
    crown = (HUB_X - 0.068, hub + 0.222)
    for side in (-1, 1):
        y = PLANE + side * FORK
        path = np.array([[crown[0], y, crown[1]], [HUB_X - 0.02, y, hub + 0.08], [HUB_X, y, hub]])
        b.add(world, meshes.tube(path, np.array([0.013, 0.012, 0.009]), 8), paint)
        tip = meshes.box((0.026, 0.008, 0.034), 0.003)
        b.add(world, tip, b.paint("steel", 0.5), (HUB_X, y, hub - 0.006))
    across = np.array([[crown[0], PLANE - FORK, crown[1]], [crown[0], PLANE + FORK, crown[1]]])
    b.add(world, meshes.tube(across, 0.016, 8), paint)


def _handlebar(b: Builder[WorkshopStyle], hub: float) -> None:
    world, steel = b.spec.worldbody, b.paint("steel", 0.7)
    x, z = CRANK_X + 0.262, hub - LOWER + 0.41
    stem = np.array(
        [[x + 0.008, PLANE, z - 0.06], [x - 0.004, PLANE, z], [x + 0.03, PLANE, z + 0.03]]
    )
    b.add(world, meshes.tube(stem, 0.013, 8), steel)
    ends = [(-0.04, 0.22), (0.0, 0.12), (0.03, 0.03), (0.03, -0.03), (0.0, -0.12), (-0.04, -0.22)]
    bar = np.array([[x + dx, PLANE + dy, z + 0.04] for dx, dy in ends])
    b.add(world, meshes.tube(bar, 0.010, 8), steel)
    if b.style.tape is not None:
        wrap = b.paint(b.style.tape, 0.1)
        for end in (bar[:2], bar[-2:]):
            b.add(world, meshes.tube(end, 0.015, 8), wrap)


def _drive(b: Builder[WorkshopStyle], hub: float) -> None:
    """Chainring, cog, and the chain round both: one item."""
    name = b.number("chain")
    body = b.fixture(name, (CRANK_X, NEAR, hub - LOWER))
    ring = meshes.lathe([(0.030, 0.004), (0.055, 0.004), (0.055, 0.0), (0.030, 0.0)][::-1], 24)
    b.add(body, ring.turned(TOWARDS), b.paint("steel", 0.6))
    dx, dz = REAR_X - CRANK_X, LOWER
    turn = np.linspace(-np.pi / 2, np.pi / 2, 9)
    front = [(0.058 * np.cos(a), 0.058 * np.sin(a)) for a in turn]
    back = [(dx - 0.030 * np.cos(a), dz - 0.030 * np.sin(a)) for a in turn]
    loop = np.array([[u, 0.0, v] for u, v in [*front, *back, front[0]]])
    color = "black" if b.rng.random() < 0.5 else "steel"
    b.add(body, meshes.tube(loop, 0.006, 6), b.paint(color, 0.5))
    grip = Grip((-0.14, -0.02, 0.06), *ON_A_BAR, "pinch", 0.015)
    centre = (dx / 2, 0, dz / 2)
    b.items[name] = Item(name, "chain", color, True, None, (), (0.42, 0.02, 0.13), centre, grip)


def _pedals(b: Builder[WorkshopStyle], hub: float) -> None:
    """Both cranks turn together; the item is the near pedal, which starts at the lower left."""
    name = b.number("pedal")
    body = b.fixture(name, (CRANK_X, NEAR - 0.025, hub - LOWER))
    steel = b.paint("steel", 0.6)
    arm = CRANK * np.array([np.cos(-2.2), 0.0, np.sin(-2.2)])
    near = np.array([[0, 0, 0], arm])
    b.add(body, meshes.tube(near, np.array([0.014, 0.010]), 8), steel)
    far = np.array([[0, 0.13, 0], [-arm[0], 0.13, -arm[2]]])
    b.add(body, meshes.tube(far, np.array([0.014, 0.010]), 8), steel)
    color = str(b.rng.choice(["black", "red", "yellow", "white"]))
    block = meshes.box((0.065, 0.06, 0.024), 0.004)
    centre = (float(arm[0]), -0.045, float(arm[2]))
    b.add(body, block, b.paint(color, 0.2), centre)
    b.add(body, block, b.paint(color, 0.2), (-centre[0], 0.175, -centre[2]))
    joint = b.hinge(body, (0, 1, 0), 2 * np.pi)
    grip = Grip((centre[0], -0.055, centre[2]), (0.0, 0.35, -0.94), (0.0, 0.94, 0.35), "hook", 0.03)
    b.items[name] = Item(name, "pedal", color, True, joint, (), (0.07, 0.06, 0.03), centre, grip)


def _nut(b: Builder[WorkshopStyle], hub: float) -> None:
    """The nut of the front axle, on a bolt that comes out as it is loosened."""
    name = b.number("nut")
    body = b.fixture(name, (HUB_X, PLANE - FORK - 0.006, hub))
    color = str(b.rng.choice(["steel", "orange", "red", "blue", "yellow"]))
    hexagon = meshes.lathe([(0, 0.020), (0.015, 0.020), (0.015, 0.020), (0.017, 0.0)][::-1], 6)
    b.add(body, hexagon.turned(TOWARDS), b.paint(color, 0.7))
    washer = meshes.lathe([(0, 0.004), (0.021, 0.004), (0.021, 0.0)][::-1], 16)
    b.add(body, washer.turned(TOWARDS), b.paint("steel", 0.7))
    bolt = np.array([[0, 0, 0], [0, 0.04, 0]])
    b.add(body, meshes.tube(bolt, 0.005, 6), b.paint("steel", 0.7))
    joint = b.slide(body, (0, -1, 0), 0.030)
    grip = Grip((0, -0.02, 0), *ON_A_BAR, "pinch", 0.03)
    b.items[name] = Item(
        name, "nut", color, True, joint, (), (0.04, 0.04, 0.04), (0, -0.01, 0), grip
    )
