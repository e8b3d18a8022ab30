"""The movable part of the kitchen: which things there are, and where each starts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from egoframe.kitchen.dimensions import ZONE_WIDTH
from egoframe.kitchen.utensils import (
    board,
    bread,
    carrot,
    cloth,
    knife,
    spatula,
    sponge,
    spoon,
    tomato,
)
from egoframe.kitchen.vessels import bottle, bowl, glass, jar, kettle, mug, pan, plate, pot
from egoframe.simulator.builder import Builder, Spot

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
            Spot("worktop" if roomy else "ledge", (where[zone] + dx, y, top))
            for dx, y, roomy in spots
        ]
    edge = ZONE_WIDTH * len(b.style.zones) / 2
    for side in (-1, 1):
        b.spots += [Spot("worktop", (side * (edge + 0.13), y, top)) for y in (0.15, 0.40)]

    board_at = (where["prep"] - 0.09, 0.20, top)
    _place(b, board(b), board_at)
    surface = top + 0.02
    b.spots.append(Spot("board", (board_at[0] - 0.03, 0.21, surface)))
    _place(b, [bread, tomato, carrot][b.rng.integers(3)](b), b.spots[-1].position)
    _place(b, knife(b), (board_at[0] + 0.13, 0.20, surface))

    rings = [spot for spot in b.spots if spot.kind == "hob"]
    cookware = [pan, pot]
    b.rng.shuffle(cookware)  # type: ignore[arg-type]
    for cook, spot in zip(cookware[: b.rng.integers(1, 3)], rings, strict=False):
        _place(b, cook(b), spot.position)

    ledges = [spot for spot in b.spots if spot.kind == "ledge"]
    b.rng.shuffle(ledges)  # type: ignore[arg-type]
    _place(b, sponge(b), ledges[0].position)
    if b.rng.random() < 0.6:
        _place(b, cloth(b), ledges[1].position)

    free = [spot for spot in b.spots if spot.kind == "worktop"]
    b.rng.shuffle(free)  # type: ignore[arg-type]
    wanted: list[Callable[[Builder], str]] = [mug, plate, bowl, kettle, bottle, spoon]
    others = [glass, jar, glass, jar, spatula, tomato, bread, carrot]
    b.rng.shuffle(others)  # type: ignore[arg-type]
    for make, spot in zip([*wanted, *others[:3]], free, strict=False):
        jitter = (*b.rng.uniform(-0.015, 0.015, 2), 0.0)
        _place(b, make(b), tuple(np.add(spot.position, jitter)))


def _place(b: Builder, name: str, position: tuple[float, ...]) -> None:
    b.placed[name] = (float(position[0]), float(position[1]), float(position[2]))
