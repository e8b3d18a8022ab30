"""The movable part of the kitchen: dishes, pots, cutlery, food, and where each starts.

The origin of an object's body lies in the middle of its base, z up. Palm and fingers of every grip
are those of a right hand that comes from the wearer's side.
"""

from __future__ import annotations

from collections.abc import Callable

import mujoco
import numpy as np

from egoframe.kitchen import meshes, textures
from egoframe.kitchen.builder import Builder, Grip, Item, Spot
from egoframe.kitchen.furniture import ZONE_WIDTH
from egoframe.kitchen.style import COLORS

DISH_COLORS = ("white", "red", "blue", "green", "yellow", "orange", "black", "pink", "grey")

# Common ways to hold, as (palm, fingers) of a right hand.
FROM_THE_SIDE = ((-0.92, 0.38, 0.0), (0.38, 0.92, 0.0))
FROM_ABOVE = ((0.0, 0.25, -0.97), (0.0, 0.97, 0.25))
OVER_A_HANDLE = ((-0.45, 0.10, -0.89), (-0.60, 0.70, 0.38))
AT_THE_RIM = ((-0.35, 0.25, -0.90), (-0.72, 0.55, 0.43))

# Where things may stand in each zone: (x from its middle, y, roomy).
ZONE_SPOTS: dict[str, list[tuple[float, float, bool]]] = {
    "prep": [(0.22, 0.15, True), (0.22, 0.40, True), (-0.20, 0.47, True), (0.02, 0.47, True)],
    "corner": [(-0.21, 0.15, True), (0.0, 0.15, True), (0.21, 0.15, True)],
    "sink": [(-0.258, 0.14, False), (0.258, 0.14, False), (-0.258, 0.42, False)],
    "hob": [],
}


def build_objects(b: Builder) -> None:
    """Add the movable items, and set them out where a cook would."""
    centres = (np.arange(len(b.style.zones)) - (len(b.style.zones) - 1) / 2) * ZONE_WIDTH
    where = dict(zip(b.style.zones, centres.tolist(), strict=True))
    top = b.style.worktop_height
    for zone, spots in ZONE_SPOTS.items():
        b.spots += [
            Spot("worktop" if roomy else "ledge", (where[zone] + dx, y, top), zone)
            for dx, y, roomy in spots
        ]
    edge = ZONE_WIDTH * len(b.style.zones) / 2
    for side in (-1, 1):
        zone = b.style.zones[0 if side < 0 else -1]
        b.spots += [Spot("worktop", (side * (edge + 0.13), y, top), zone) for y in (0.15, 0.40)]

    board_at = (where["prep"] - 0.09, 0.20, top)
    _place(b, _board(b), board_at)
    surface = top + 0.02
    b.spots.append(Spot("board", (board_at[0] - 0.03, 0.21, surface), "prep"))
    _place(b, [_bread, _tomato, _carrot][b.rng.integers(3)](b), b.spots[-1].position)
    _place(b, _knife(b), (board_at[0] + 0.13, 0.20, surface))

    rings = [spot for spot in b.spots if spot.kind == "hob"]
    cookware = [_pan, _pot]
    b.rng.shuffle(cookware)  # type: ignore[arg-type]
    for cook, spot in zip(cookware[: b.rng.integers(1, 3)], rings, strict=False):
        _place(b, cook(b), spot.position)

    ledges = [spot for spot in b.spots if spot.kind == "ledge"]
    b.rng.shuffle(ledges)  # type: ignore[arg-type]
    _place(b, _sponge(b), ledges[0].position)
    if b.rng.random() < 0.6:
        _place(b, _cloth(b), ledges[1].position)

    free = [spot for spot in b.spots if spot.kind == "worktop"]
    b.rng.shuffle(free)  # type: ignore[arg-type]
    wanted: list[Callable[[Builder], str]] = [_mug, _plate, _bowl, _kettle, _bottle, _spoon]
    others = [_glass, _jar, _glass, _jar, _spatula, _tomato, _bread, _carrot]
    b.rng.shuffle(others)  # type: ignore[arg-type]
    for make, spot in zip([*wanted, *others[:3]], free, strict=False):
        jitter = (*b.rng.uniform(-0.015, 0.015, 2), 0.0)
        _place(b, make(b), tuple(np.add(spot.position, jitter)))


def _place(b: Builder, name: str, position: tuple[float, ...]) -> None:
    b.placed[name] = (float(position[0]), float(position[1]), float(position[2]))


def _start(b: Builder, noun: str) -> tuple[str, mujoco.MjsBody]:
    name = b.number(noun)
    return name, b.movable(name)


def _finish(
    b: Builder,
    name: str,
    color: str,
    size: tuple[float, float, float],
    grip: Grip,
    effects: tuple[str, ...] = (),
    centre: tuple[float, float, float] | None = None,
) -> str:
    noun = name.rpartition("_")[0]
    middle = centre or (0, 0, size[2] / 2)
    b.items[name] = Item(name, noun, color, False, None, effects, size, middle, grip)
    return name


def _dish_color(b: Builder) -> str:
    return str(b.rng.choice(DISH_COLORS))


def _hold(position: tuple[float, float, float], way: tuple, kind: str, width: float) -> Grip:
    return Grip(position, way[0], way[1], kind, width)


def _liquid(
    b: Builder, body: mujoco.MjsBody, name: str, radius: float, z: float, color: tuple
) -> None:
    """A disc of liquid or food at height z that the effect `fill` shows and raises."""
    surface = meshes.lathe([(radius, 0.0), (radius * 0.6, 0.001), (0.0, 0.001)], 16)
    geom = b.add(body, surface, b.material(color=color, shine=0.6), (0, 0, z), f"{name}_fill")
    b.effect(name, "fill", [geom])


def _mug(b: Builder) -> str:
    name, body = _start(b, "mug")
    color, r, h = _dish_color(b), 0.041, b.rng.uniform(0.088, 0.10)
    glaze = b.paint(color, 0.5)
    outside = [(0, 0.0), (r * 0.9, 0.0), (r, 0.008), (r, h), (r, h)]
    inside = [(r - 0.004, h), (r - 0.004, h), (r - 0.005, 0.008), (0, 0.008)]
    b.add(body, meshes.lathe([*outside, *inside], 18), glaze)
    handle = meshes.arc(0.027, 90, -90, 6) * np.array([1.0, 1, 1.1]) + np.array([r, 0, h / 2])
    b.add(body, meshes.tube(handle, 0.006, 6), glaze)
    _liquid(b, body, name, r - 0.005, 0.03, (0.30, 0.17, 0.08))
    grip = _hold((0, 0, h * 0.55), FROM_THE_SIDE, "cylinder", 2 * r)
    return _finish(b, name, color, (0.10, 2 * r, h), grip, ("fill",))


def _glass(b: Builder) -> str:
    name, body = _start(b, "glass")
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
    grip = _hold((0, 0, h * 0.5), FROM_THE_SIDE, "cylinder", 2 * r)
    return _finish(b, name, "clear", (2 * r, 2 * r, h), grip, ("fill",))


def _bowl(b: Builder) -> str:
    name, body = _start(b, "bowl")
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
    grip = _hold((r - 0.004, -0.01, h - 0.005), AT_THE_RIM, "pinch", 0.012)
    return _finish(b, name, color, (2 * r, 2 * r, h), grip, ("fill",))


def _plate(b: Builder) -> str:
    name, body = _start(b, "plate")
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
    grip = _hold((r - 0.012, -0.02, 0.02), AT_THE_RIM, "pinch", 0.014)
    return _finish(b, name, color, (2 * r, 2 * r, 0.022), grip)


def _vessel_handle(b: Builder, body: mujoco.MjsBody, r: float, z: float) -> None:
    path = np.array(
        [[0.02, -r + 0.005, z], [0.05, -r - 0.06, z + 0.015], [0.075, -r - 0.14, z + 0.02]]
    )
    b.add(body, meshes.tube(path, np.array([0.008, 0.011, 0.012]), 7), b.paint("black", 0.3))


def _pan(b: Builder) -> str:
    name, body = _start(b, "pan")
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
    grip = _hold((0.062, -r - 0.10, 0.058), OVER_A_HANDLE, "power", 0.024)
    return _finish(b, name, color, (2 * r, 2 * r + 0.15, 0.06), grip, ("fill",), (0, -0.07, 0.03))


def _pot(b: Builder) -> str:
    name, body = _start(b, "pot")
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
    grip = _hold((0.062, -r - 0.10, 0.103), OVER_A_HANDLE, "power", 0.024)
    return _finish(b, name, color, (2 * r, 2 * r + 0.15, h), grip, ("fill",), (0, -0.07, h / 2))


def _kettle(b: Builder) -> str:
    name, body = _start(b, "kettle")
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
    grip = _hold((0, 0, 0.192), FROM_ABOVE, "power", 0.018)
    return _finish(b, name, color, (0.19, 0.165, 0.20), grip)


def _bottle(b: Builder) -> str:
    name, body = _start(b, "bottle")
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
    grip = _hold((0, 0, 0.10), FROM_THE_SIDE, "cylinder", 2 * r)
    return _finish(b, name, color, (2 * r, 2 * r, 0.228), grip)


def _jar(b: Builder) -> str:
    name, body = _start(b, "jar")
    color = str(b.rng.choice(["red", "orange", "brown", "yellow"]))
    body_mesh = meshes.lathe(
        [(0, 0.0), (0.038, 0.0), (0.040, 0.006), (0.040, 0.085), (0.032, 0.095), (0.032, 0.098)], 16
    )
    b.add(body, body_mesh, b.paint(color, 0.6))
    lid = meshes.lathe([(0.036, 0.092), (0.036, 0.113), (0.036, 0.113), (0, 0.114)], 16)
    b.add(body, lid, b.paint("steel", 0.6))
    grip = _hold((0, 0, 0.06), FROM_THE_SIDE, "cylinder", 0.08)
    return _finish(b, name, color, (0.08, 0.08, 0.114), grip)


def _knife(b: Builder) -> str:
    name, body = _start(b, "knife")
    color = str(b.rng.choice(["black", "red", "wooden"]))
    blade = meshes.box((0.003, 0.17, 0.030), 0).moved((0, 0.075, 0.018))
    flat = np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]])  # it lies on its side
    b.add(
        body, blade.turned(flat), b.material(color=(0.82, 0.84, 0.86), shine=1.0), (0.02, 0, 0.004)
    )
    handle = np.array([[0, -0.015, 0.010], [0, -0.06, 0.011], [0, -0.115, 0.010]])
    b.add(body, meshes.tube(handle, np.array([0.010, 0.012, 0.011]), 7), b.paint(color, 0.3))
    grip = _hold((0, -0.065, 0.012), OVER_A_HANDLE, "power", 0.022)
    return _finish(b, name, color, (0.05, 0.29, 0.024), grip, (), (0, 0.02, 0.01))


def _spoon(b: Builder) -> str:
    name, body = _start(b, "spoon")
    color = str(b.rng.choice(["wooden", "steel", "red"]))
    paint = b.paint(color, 0.4)
    handle = np.array([[0, -0.12, 0.008], [0, 0.0, 0.008], [0, 0.09, 0.006]])
    b.add(body, meshes.tube(handle, np.array([0.008, 0.007, 0.006]), 6), paint)
    bowl = meshes.lathe([(0, 0.0), (0.022, 0.004), (0.027, 0.012), (0.020, 0.009), (0, 0.006)], 12)
    b.add(body, bowl, paint, (0, 0.112, 0))
    grip = _hold((0, -0.06, 0.012), OVER_A_HANDLE, "power", 0.016)
    return _finish(b, name, color, (0.055, 0.26, 0.016), grip, (), (0, 0, 0.008))


def _spatula(b: Builder) -> str:
    name, body = _start(b, "spatula")
    color = str(b.rng.choice(["black", "red", "green", "wooden"]))
    paint = b.paint(color, 0.3)
    handle = np.array([[0, -0.13, 0.008], [0, 0.0, 0.008], [0, 0.06, 0.005]])
    b.add(body, meshes.tube(handle, np.array([0.009, 0.008, 0.006]), 6), paint)
    b.add(body, meshes.box((0.065, 0.09, 0.006), 0.002), paint, (0, 0.10, 0.004))
    grip = _hold((0, -0.07, 0.012), OVER_A_HANDLE, "power", 0.017)
    return _finish(b, name, color, (0.065, 0.275, 0.016), grip, (), (0, 0, 0.008))


def _board(b: Builder) -> str:
    name, body = _start(b, "board")
    color = str(b.rng.choice(["wooden", "white", "green", "brown"]))
    if color in ("wooden", "brown"):
        texture = textures.wood(b.rng, COLORS[color], 128, 3)
    else:
        texture = textures.plain(b.rng, COLORS[color], 64, 0.02)
    b.add(
        body, meshes.box((0.34, 0.24, 0.018), 0.004), b.material(texture, shine=0.1), (0, 0, 0.010)
    )
    grip = _hold((0.165, -0.03, 0.012), AT_THE_RIM, "pinch", 0.018)
    return _finish(b, name, color, (0.34, 0.24, 0.02), grip)


def _slices(
    b: Builder, body: mujoco.MjsBody, name: str, shape: meshes.Mesh, material: str, step: float
) -> None:
    """Two slices that fall to the right of what is cut."""
    geoms = [
        b.add(body, shape, material, (step + k * 0.024, 0.004 * k, 0), f"{name}_slice_{k}")
        for k in range(2)
    ]
    b.effect(name, "cut", geoms)


def _bread(b: Builder) -> str:
    name, body = _start(b, "bread")
    crust = b.material(textures.crust(b.rng))
    b.add(body, meshes.box((0.15, 0.095, 0.075), 0.022), crust, (-0.02, 0, 0.038))
    crumb = b.material(textures.crumb(b.rng))
    b.add(body, meshes.box((0.004, 0.075, 0.055), 0), crumb, (0.055, 0, 0.038))
    lean = np.array([[np.cos(1.1), 0, np.sin(1.1)], [0, 1, 0], [-np.sin(1.1), 0, np.cos(1.1)]])
    slice_mesh = meshes.box((0.012, 0.085, 0.068), 0.003).turned(lean).moved((0, 0, 0.018))
    _slices(b, body, name, slice_mesh, crumb, 0.085)
    grip = _hold((-0.03, 0, 0.060), FROM_ABOVE, "cylinder", 0.085)
    return _finish(b, name, "brown", (0.15, 0.095, 0.075), grip, ("cut",))


def _tomato(b: Builder) -> str:
    name, body = _start(b, "tomato")
    angles = np.linspace(-np.pi / 2, np.pi / 2, 8)
    ball = [(0.036 * np.cos(a), 0.032 + 0.032 * np.sin(a)) for a in angles]
    b.add(body, meshes.lathe(ball, 14), b.material(color=(0.82, 0.14, 0.09), shine=0.7))
    star = meshes.lathe([(0.014, 0.0), (0.0, 0.003)], 5)
    b.add(body, star, b.paint("green"), (0, 0, 0.0635))
    disc = meshes.lathe([(0, 0.0), (0.031, 0.0), (0.031, 0.007), (0.031, 0.007), (0, 0.007)], 12)
    _slices(b, body, name, disc, b.material(color=(0.93, 0.35, 0.25), shine=0.5), 0.062)
    grip = _hold((0, 0, 0.050), FROM_ABOVE, "cylinder", 0.065)
    return _finish(b, name, "red", (0.072, 0.072, 0.066), grip, ("cut",))


def _carrot(b: Builder) -> str:
    name, body = _start(b, "carrot")
    path = np.array([[-0.10, 0, 0.016], [-0.03, 0, 0.018], [0.05, 0, 0.020]])
    orange = b.material(color=(0.93, 0.45, 0.10), shine=0.2)
    b.add(body, meshes.tube(path, np.array([0.006, 0.016, 0.020]), 10), orange)
    leaves = np.array([[-0.10, 0, 0.016], [-0.125, 0.008, 0.02], [-0.145, 0.02, 0.02]])
    b.add(body, meshes.tube(leaves, np.array([0.004, 0.008, 0.004]), 5), b.paint("green"))
    disc = meshes.lathe([(0, 0.0), (0.019, 0.0), (0.019, 0.007), (0.019, 0.007), (0, 0.007)], 10)
    _slices(b, body, name, disc, b.material(color=(0.97, 0.62, 0.25)), 0.088)
    grip = _hold((-0.01, 0, 0.034), FROM_ABOVE, "cylinder", 0.04)
    return _finish(b, name, "orange", (0.17, 0.04, 0.04), grip, ("cut",), (-0.02, 0, 0.02))


def _sponge(b: Builder) -> str:
    name, body = _start(b, "sponge")
    color = str(b.rng.choice(["yellow", "pink", "blue", "orange"]))
    b.add(body, meshes.box((0.07, 0.10, 0.022), 0.005), b.paint(color), (0, 0, 0.011))
    b.add(body, meshes.box((0.068, 0.098, 0.009), 0.003), b.paint("green"), (0, 0, 0.026))
    grip = _hold((0, 0, 0.026), FROM_ABOVE, "flat", 0.02)
    return _finish(b, name, color, (0.07, 0.10, 0.03), grip)


def _cloth(b: Builder) -> str:
    name, body = _start(b, "cloth")
    color = str(b.rng.choice(["red", "blue", "green", "grey"]))
    weave = b.material(textures.fabric(b.rng, COLORS[color], checked=True))
    b.add(body, meshes.box((0.095, 0.16, 0.012), 0.005), weave, (0, 0, 0.006))
    b.add(body, meshes.box((0.09, 0.08, 0.012), 0.005), weave, (0.002, -0.03, 0.017))
    grip = _hold((0, 0, 0.018), FROM_ABOVE, "flat", 0.012)
    return _finish(b, name, color, (0.095, 0.16, 0.024), grip)
