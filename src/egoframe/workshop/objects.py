"""The movable part of the workshop: which things there are, and where each starts."""

from __future__ import annotations

from egoframe.simulator.builder import Builder, Spot
from egoframe.workshop.dimensions import LYING
from egoframe.workshop.style import WorkshopStyle
from egoframe.workshop.tools import bottle, cloth, lever, pump, wrench
from egoframe.workshop.wheel import tube, tyre, wheel


def build_objects(b: Builder[WorkshopStyle]) -> None:
    """Add the front wheel with a flat tyre, a new tube, and the tools on the bench."""
    spots: dict[str, list[Spot]] = {}
    for spot in b.spots:
        spots.setdefault(spot.kind, []).append(spot)
    at = spots["fork"][0].position
    whole = wheel(b)
    for name in (whole, tyre(b), tube(b, b.style.old_tube, mounted=True)):
        b.placed[name] = at
        if name != whole:
            b.carrier[name] = whole
    spare = tube(b, b.style.new_tube, mounted=False)
    b.placed[spare] = spots["tray"][b.rng.integers(len(spots["tray"]))].position
    b.turned[spare] = LYING
    free = spots["bench"]
    b.rng.shuffle(free)  # type: ignore[arg-type]
    for make, spot in zip((wrench, lever, pump, bottle, cloth), free, strict=False):
        b.placed[make(b)] = spot.position
