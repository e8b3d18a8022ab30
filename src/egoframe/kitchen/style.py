"""`KitchenStyle`: everything about a kitchen and its wearer that varies with the seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from egoframe.simulator.style import COLORS, SKINS, SLEEVES, Color, Split, Style, color

CABINETS = ("white", "grey", "blue", "green", "wooden", "yellow", "brown", "black")
WORKTOPS = ("oak", "walnut", "granite", "marble", "laminate")
TILES = ("square", "metro", "plain")
ZONES = ("sink", "prep", "hob", "corner")


@dataclass(frozen=True, kw_only=True)
class KitchenStyle(Style):
    """One kitchen and its wearer."""

    cabinet: str  # colour word of the fronts
    drawer: str  # colour word of the drawer fronts; often the cabinets' own
    worktop: str  # one of WORKTOPS
    tiles: str  # one of TILES
    tile_color: Color
    wall_color: Color
    floor_color: Color
    handle: Literal["bar", "knob", "cup"]
    handle_color: str
    zones: tuple[str, ...]  # from left to right


def sample_style(seed: int, split: Split) -> KitchenStyle:
    """Draw a style. Validation kitchens hold combinations of cabinet and worktop that training
    kitchens never have, besides another seed: one in five pairs is theirs alone.
    """
    rng = np.random.default_rng([seed, split == "validation"])
    combinations = [(c, w) for c in CABINETS for w in WORKTOPS]
    unseen = [pair for index, pair in enumerate(combinations) if index % 5 == (index // 5) % 5]
    allowed = unseen if split == "validation" else [p for p in combinations if p not in unseen]
    cabinet, worktop = allowed[rng.integers(len(allowed))]
    zones = list(ZONES)
    rng.shuffle(zones)
    tile = np.array(COLORS[str(rng.choice(["white", "white", "grey", "blue", "green", "yellow"]))])
    wall = np.array([0.9, 0.87, 0.82]) * rng.uniform(0.85, 1.05) + rng.uniform(-0.05, 0.05, 3)
    floor = np.array(rng.choice([[0.55, 0.42, 0.3], [0.5, 0.5, 0.5], [0.7, 0.66, 0.6]]))
    height = rng.uniform(0.88, 0.93)
    return KitchenStyle(
        seed=seed,
        cabinet=cabinet,
        drawer=cabinet if rng.random() < 0.7 else str(rng.choice(CABINETS)),
        worktop=worktop,
        tiles=str(rng.choice(TILES)),
        tile_color=color(0.35 * tile + 0.62 + rng.uniform(-0.03, 0.03, 3)),
        wall_color=color(wall),
        floor_color=color(floor + rng.uniform(-0.05, 0.05, 3)),
        handle=("bar", "knob", "cup")[rng.integers(3)],
        handle_color=str(rng.choice(["steel", "steel", "black", "wooden"])),
        zones=tuple(zones),
        worktop_height=height,
        eye_height=height + rng.uniform(0.62, 0.74),
        fovy=rng.uniform(56, 64),
        skin=SKINS[rng.integers(len(SKINS))],
        sleeve=str(rng.choice(SLEEVES)),
        sleeve_length=float(rng.choice([0.0, 0.85, 0.95, 0.95])),
        dominant="right" if rng.random() < 0.85 else "left",
        light=rng.uniform(0.92, 1.12),
        warmth=rng.uniform(-0.6, 1.0),
        window_side="left" if rng.random() < 0.5 else "right",
        grain=rng.uniform(0.002, 0.008),
    )
