"""The fixed part: room, worktop, cupboards, drawers, sink, tap, and where appliances stand.

Everything stands along the back wall in four zones of 0.6 m, in the order that the style says.
"""

from __future__ import annotations

import numpy as np

from egoframe.kitchen.appliances import hob, hood, microwave, oven
from egoframe.kitchen.dimensions import DEPTH, FRONT, THICKNESS, WALL, ZONE_WIDTH
from egoframe.simulator import meshes, textures
from egoframe.simulator.builder import Builder, Grip, Item, Spot
from egoframe.simulator.style import COLORS

WORKTOP_COLORS = {
    "oak": (0.74, 0.56, 0.36),
    "walnut": (0.42, 0.27, 0.17),
    "granite": (0.36, 0.36, 0.38),
    "marble": (0.88, 0.87, 0.85),
    "laminate": (0.70, 0.68, 0.64),
}


def build_furniture(b: Builder) -> None:
    """Add the room and, zone by zone, everything fixed."""
    _room(b)
    worktop = _worktop_material(b)
    centres = (np.arange(len(b.style.zones)) - (len(b.style.zones) - 1) / 2) * ZONE_WIDTH
    for zone, x in zip(b.style.zones, centres, strict=True):
        x = float(x)
        if zone == "sink":
            _sink(b, x, worktop)
            height = b.style.worktop_height - THICKNESS - 0.11
            for side in (-1, 1):
                place = x + side * ZONE_WIDTH / 4
                _cupboard(b, place, 0.10, ZONE_WIDTH / 2, height, left_hinged=side < 0)
            _window(b, x)
        else:
            _slab(b, worktop, x - ZONE_WIDTH / 2, x + ZONE_WIDTH / 2, 0.0, DEPTH)
            if zone == "hob":
                hob(b, x)
                oven(b, x)
                hood(b, x)
            else:
                {"prep": _drawers, "corner": _drawer_and_cupboard}[zone](b, x)
                _wall_cupboards(b, x)
            if zone == "corner":
                microwave(b, x)
    edge = float(centres[-1]) + ZONE_WIDTH / 2
    for side in (-1, 1):
        ends = sorted((side * edge, side * (edge + 0.6)))
        _slab(b, worktop, ends[0], ends[1], 0.0, DEPTH)
        _plain_front(b, side * (edge + 0.3), 0.6)


def _room(b: Builder) -> None:
    style, world = b.style, b.spec.worldbody
    top = style.worktop_height
    tiles = textures.tiles(b.rng, style.tile_color, style.tiles)
    splash = meshes.box((4.4, 0.02, 0.55), 0, tile=0.44)
    b.add(world, splash, b.material(tiles, shine=0.3), (0, WALL + 0.012, top + 0.27))
    wall = b.material(textures.plain(b.rng, style.wall_color, 64, 0.01))
    b.add(world, meshes.box((6, 0.02, 2.6), 0), wall, (0, WALL + 0.03, 1.3))
    for side in (-1, 1):
        b.add(world, meshes.box((0.02, 4, 2.6), 0), wall, (side * 2.2, -1.0, 1.3))
    floor = textures.wood(b.rng, style.floor_color, 128, 4)
    b.add(world, meshes.box((6, 4, 0.02), 0, tile=0.8), b.material(floor), (0, -1.2, -0.01))
    plinth = b.material(color=(0.14, 0.13, 0.13))
    b.add(world, meshes.box((4.4, 0.5, 0.1), 0), plinth, (0, 0.34, 0.05))
    inside = b.material(textures.plain(b.rng, (0.33, 0.30, 0.27), 32))
    b.add(world, meshes.box((4.4, 0.02, 0.9), 0), inside, (0, 0.55, 0.45))


def _worktop_material(b: Builder) -> str:
    kind = b.style.worktop
    color = WORKTOP_COLORS[kind]
    if kind in ("oak", "walnut"):
        texture = textures.wood(b.rng, color, 256, 4)
    elif kind == "laminate":
        texture = textures.plain(b.rng, color, 64, 0.03)
    else:
        texture = textures.stone(b.rng, color, 256, veins=kind == "marble")
    return b.material(texture, shine=0.25)


def _slab(b: Builder, material: str, x0: float, x1: float, y0: float, y1: float) -> None:
    """A piece of worktop; its texture runs on from piece to piece."""
    z = b.style.worktop_height - THICKNESS / 2
    mesh = meshes.box((x1 - x0, y1 - y0, THICKNESS), 0.003, tile=0.62)
    b.add(b.spec.worldbody, mesh, material, ((x0 + x1) / 2, (y0 + y1) / 2, z))


def _front_material(b: Builder, color: str) -> str:
    grained = color in ("wooden", "brown")
    texture = textures.front(b.rng, COLORS[color], grained, shaker=b.style.seed % 3 != 0)
    return b.material(texture, shine=0.1)


def _handle(b: Builder, body, x: float, y: float, z: float, vertical: bool) -> float:  # type: ignore[no-untyped-def]
    """Add a handle whose bar is at (x, y − 0.035, z); returns the width that a hand closes on."""
    material = b.paint(b.style.handle_color, shine=0.7)
    length = 0.05 if b.style.handle == "knob" else 0.13
    if b.style.handle == "knob":
        knob = meshes.lathe(
            [(0, 0.036), (0.017, 0.034), (0.019, 0.024), (0.008, 0.014), (0.008, 0)]
        )
        towards = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])
        b.add(body, knob.turned(towards), material, (x, y, z))
        return 0.03
    along = np.array([0, 0, 1]) if vertical else np.array([1, 0, 0])
    ends = np.array([-0.5, 0.5])[:, None] * along * length
    out = np.array([0, -0.035, 0])
    path = np.array([ends[0], ends[0] + out * 0.85, ends[0] * 0.9 + out, ends[1] * 0.9 + out])
    path = np.vstack([path, ends[1] + out * 0.85, ends[1]])
    radius = 0.0065 if b.style.handle == "bar" else 0.011
    b.add(body, meshes.tube(path, radius, 6), material, (x, y, z))
    return 2 * radius


def _drawer(b: Builder, x: float, z: float, width: float, height: float) -> None:
    """A drawer whose front is centred on (x, FRONT, z)."""
    name = b.number("drawer")
    body = b.fixture(name, (x, FRONT, z))
    color = b.style.drawer
    b.add(
        body,
        meshes.box((width - 0.008, 0.018, height - 0.008)),
        _front_material(b, color),
        (0, 0.009, 0),
    )
    wood = b.material(textures.wood(b.rng, (0.80, 0.66, 0.46), 64, 1))
    depth, side = 0.44, min(0.09, height - 0.04)
    low = -height / 2 + 0.02
    b.add(body, meshes.box((width - 0.03, depth, 0.01), 0), wood, (0, 0.018 + depth / 2, low))
    for sign in (-1, 1):
        wall = meshes.box((0.012, depth, side), 0)
        b.add(body, wall, wood, (sign * (width / 2 - 0.02), 0.018 + depth / 2, low + side / 2))
    b.add(
        body, meshes.box((width - 0.03, 0.012, side), 0), wood, (0, 0.018 + depth, low + side / 2)
    )
    for _ in range(4):  # what lies in it
        offset = (b.rng.uniform(-0.3, 0.3) * width, b.rng.uniform(0.10, 0.30), low + 0.015)
        thing = meshes.box((0.022, b.rng.uniform(0.10, 0.16), 0.012), 0.003)
        b.add(
            body,
            thing,
            b.paint(str(b.rng.choice(["steel", "steel", "wooden", "red"])), 0.5),
            offset,
        )
    width_held = _handle(b, body, 0, 0, 0.01, vertical=False)
    joint = b.slide(body, (0, -1, 0), 0.30)
    grip = Grip((0, -0.035, 0.01), (0, 0.35, -0.94), (0, 0.94, 0.35), "hook", width_held)
    box = (width, 0.05, height)
    b.items[name] = Item(name, "drawer", color, True, joint, (), box, (0, 0, 0), grip)


def _drawers(b: Builder, x: float) -> None:
    top = b.style.worktop_height - THICKNESS - 0.01
    heights = (0.17, 0.25, 0.33)
    for height in heights:
        _drawer(b, x, top - height / 2, ZONE_WIDTH, height)
        top -= height


def _drawer_and_cupboard(b: Builder, x: float) -> None:
    top = b.style.worktop_height - THICKNESS - 0.01
    _drawer(b, x, top - 0.09, ZONE_WIDTH, 0.18)
    bottom = 0.10
    _cupboard(b, x, bottom, ZONE_WIDTH, top - 0.18 - bottom, left_hinged=bool(b.rng.random() < 0.5))


def _cupboard(
    b: Builder,
    x: float,
    z: float,
    width: float,
    height: float,
    *,
    left_hinged: bool,
    y: float = FRONT,
) -> None:
    """A door over an opening that starts at height z, with a shelf and jars behind it."""
    name = b.number("cupboard")
    side = -1 if left_hinged else 1
    body = b.fixture(name, (x + side * (width / 2 - 0.003), y, z + height / 2))
    color = b.style.cabinet
    low = y == FRONT
    panel = meshes.box((width - 0.008, 0.018, height - 0.008))
    b.add(body, panel, _front_material(b, color), (-side * (width / 2 - 0.003), 0.009, 0))
    handle_z = (height / 2 - 0.12) * (1 if low else -1)
    handle = (-side * (width - 0.05), 0.0, handle_z)
    width_held = _handle(b, body, *handle, vertical=True)
    joint = b.hinge(body, (0, 0, float(side)), 1.75)
    wood = b.material(textures.wood(b.rng, (0.78, 0.66, 0.50), 64, 1))
    shelf = meshes.box((width - 0.02, 0.28, 0.014), 0)
    b.add(b.spec.worldbody, shelf, wood, (x, y + 0.17, z + height * 0.45))
    for _ in range(3):
        radius, tall = b.rng.uniform(0.03, 0.05), b.rng.uniform(0.08, 0.15)
        jar = meshes.lathe([(0, tall), (radius, tall), (radius, tall), (radius, 0)], 10)
        colour = str(b.rng.choice(["white", "red", "green", "yellow", "orange"]))
        place = (x + b.rng.uniform(-0.3, 0.3) * width, y + 0.14, z + height * 0.45 + 0.007)
        b.add(b.spec.worldbody, jar, b.paint(colour), place)
    grip = Grip(
        (handle[0], -0.035, handle_z),
        (-float(side) * 0.6, 0.8, 0),
        (float(side) * 0.75, 0.6, 0.25),
        "hook",
        width_held,
        upright=False,
    )
    box = (width, 0.05, height)
    centre = (-side * width / 2, 0, 0)
    b.items[name] = Item(name, "cupboard", color, True, joint, (), box, centre, grip)


def _wall_cupboards(b: Builder, x: float) -> None:
    z, height, y = b.style.worktop_height + 0.52, 0.62, WALL - 0.34
    carcass = b.material(textures.plain(b.rng, COLORS[b.style.cabinet], 32))
    for side in (-1, 0, 1):
        b.add(
            b.spec.worldbody,
            meshes.box((0.018, 0.32, height), 0),
            carcass,
            (x + side * ZONE_WIDTH / 2, y + 0.18, z + height / 2),
        )
    for level in (0, 1):
        b.add(
            b.spec.worldbody,
            meshes.box((ZONE_WIDTH, 0.32, 0.018), 0),
            carcass,
            (x, y + 0.18, z + level * height),
        )
    back = b.material(color=(0.30, 0.27, 0.24))
    b.add(
        b.spec.worldbody,
        meshes.box((ZONE_WIDTH, 0.01, height), 0),
        back,
        (x, WALL - 0.01, z + height / 2),
    )
    half = ZONE_WIDTH / 2
    _cupboard(b, x - half / 2, z, half, height, left_hinged=True, y=y)
    _cupboard(b, x + half / 2, z, half, height, left_hinged=False, y=y)


def _plain_front(b: Builder, x: float, width: float) -> None:
    top = b.style.worktop_height - THICKNESS - 0.01
    height = top - 0.10
    panel = meshes.box((width - 0.008, 0.018, height))
    b.add(
        b.spec.worldbody,
        panel,
        _front_material(b, b.style.cabinet),
        (x, FRONT + 0.009, 0.10 + height / 2),
    )


def _window(b: Builder, x: float) -> None:
    z, width, height = b.style.worktop_height + 0.60, 0.62, 0.62
    view = b.material(textures.window_view(b.rng), emission=0.75)
    b.add(
        b.spec.worldbody,
        meshes.box((width, 0.01, height), 0),
        view,
        (x, WALL, z + height / 2 - 0.2),
    )
    frame = b.paint("white")
    for dx in (-width / 2, 0.0, width / 2):
        b.add(
            b.spec.worldbody,
            meshes.box((0.035, 0.05, height)),
            frame,
            (x + dx, WALL - 0.01, z + height / 2 - 0.2),
        )
    for dz in (-0.2, height - 0.2):
        b.add(b.spec.worldbody, meshes.box((width, 0.06, 0.035)), frame, (x, WALL - 0.015, z + dz))


def _sink(b: Builder, x: float, worktop: str) -> None:
    """A steel basin let into the worktop, with a tap behind it."""
    top, world = b.style.worktop_height, b.spec.worldbody
    left, right, near, far, deep = x - 0.20, x + 0.20, 0.09, 0.47, 0.17
    half = ZONE_WIDTH / 2
    _slab(b, worktop, x - half, left, 0, DEPTH)
    _slab(b, worktop, right, x + half, 0, DEPTH)
    _slab(b, worktop, left, right, 0, near)
    _slab(b, worktop, left, right, far, DEPTH)
    steel = b.material(textures.brushed(b.rng, (0.66, 0.67, 0.69)), shine=0.5)
    floor = b.material(textures.brushed(b.rng, (0.55, 0.56, 0.58)), shine=0.5)
    b.add(world, meshes.box((0.42, 0.40, 0.01), 0), floor, (x, (near + far) / 2, top - deep))
    for side in (-1, 1):
        b.add(
            world,
            meshes.box((0.01, far - near, deep), 0),
            steel,
            (x + side * 0.205, (near + far) / 2, top - deep / 2),
        )
        rim = (far if side > 0 else near) + side * 0.005
        b.add(world, meshes.box((0.42, 0.01, deep), 0), steel, (x, rim, top - deep / 2))
    edge = meshes.join(
        meshes.box((0.44, 0.018, 0.006), 0.002).moved((0, near - 0.004, 0)),
        meshes.box((0.44, 0.018, 0.006), 0.002).moved((0, far + 0.004, 0)),
        meshes.box((0.018, 0.40, 0.006), 0.002).moved((-0.208, 0.28, 0)),
        meshes.box((0.018, 0.40, 0.006), 0.002).moved((0.208, 0.28, 0)),
    )
    b.add(world, edge, steel, (x, 0, top + 0.001))
    drain = meshes.lathe([(0.028, 0.0), (0.0, 0.001)], 12)
    b.add(world, drain, b.material(color=(0.12, 0.12, 0.13)), (x, 0.30, top - deep + 0.006))
    b.spots.append(Spot("sink", (x, 0.26, top - deep + 0.006)))
    _tap(b, x, top, deep)


def _tap(b: Builder, x: float, top: float, deep: float) -> None:
    chrome = b.material(color=(0.80, 0.81, 0.83), shine=1.0)
    neck = meshes.arc(0.085, 170, 0, 9)[:, [1, 0, 2]] * np.array([1, 1, 1])
    stem = np.array([[0, -0.085, -0.16], [0, -0.085, -0.05]])
    path = np.vstack([stem, neck * np.array([1, 1, 1]), [[0, 0.085, -0.03]]])
    path[:, 1] *= -1  # the stem stands behind, the spout hangs in front
    b.add(b.spec.worldbody, meshes.tube(path, 0.013, 8), chrome, (x, 0.455, top + 0.16))
    base = meshes.lathe([(0, 0.06), (0.024, 0.06), (0.024, 0.06), (0.026, 0.0)], 12)
    b.add(b.spec.worldbody, base, chrome, (x, 0.54, top))
    name = b.number("tap")
    body = b.fixture(name, (x + 0.03, 0.54, top + 0.05))
    lever = np.array([[0, 0, 0], [0.03, 0, 0.012], [0.09, 0, 0.03]])
    b.add(body, meshes.tube(lever, np.array([0.012, 0.010, 0.008]), 8), chrome)
    joint = b.hinge(body, (0, 0, -1), 1.1)
    water = b.material(color=(0.75, 0.88, 0.97), emission=0.35, alpha=0.75, shine=0.6)
    stream = meshes.lathe(
        [(0.0, 0.0), (0.010, 0.0), (0.012, -0.12 - deep), (0.04, -0.128 - deep)], 10
    )
    glow = b.add(b.spec.worldbody, stream, water, (x, 0.37, top + 0.13), f"{name}_water")
    b.effect(name, "water", [glow])
    grip = Grip((0.075, 0, 0.028), (-0.2, 0.5, -0.84), (-0.25, 0.83, 0.5), "pinch", 0.018)
    centre = (-0.03, -0.08, 0.10)
    b.items[name] = Item(
        name, "tap", "steel", True, joint, ("water",), (0.10, 0.22, 0.26), centre, grip
    )
