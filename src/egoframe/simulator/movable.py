"""What every movable object is made with: its body, its entry among the items, ways to hold it.

The origin of an object's body lies in the middle of its base, z up. Palm and fingers of every grip
are those of a right hand that comes from the wearer's side.
"""

from __future__ import annotations

import mujoco

from egoframe.simulator.builder import Builder, Grip, Item

# Common ways to hold, as (palm, fingers) of a right hand.
FROM_THE_SIDE = ((-0.92, 0.38, 0.0), (0.38, 0.92, 0.0))
FROM_ABOVE = ((0.0, 0.25, -0.97), (0.0, 0.97, 0.25))
OVER_A_HANDLE = ((-0.45, 0.10, -0.89), (-0.60, 0.70, 0.38))
AT_THE_RIM = ((-0.35, 0.25, -0.90), (-0.72, 0.55, 0.43))


def start(b: Builder, noun: str) -> tuple[str, mujoco.MjsBody]:
    name = b.number(noun)
    return name, b.movable(name)


def finish(
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


def hold(position: tuple[float, float, float], way: tuple, kind: str, width: float) -> Grip:
    return Grip(position, way[0], way[1], kind, width)
