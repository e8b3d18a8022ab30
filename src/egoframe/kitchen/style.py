"""`Style`: everything about a kitchen and its wearer that varies with the seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Color = tuple[float, float, float]
Split = Literal["train", "validation"]

# Plain colour words, and what they look like.
COLORS: dict[str, Color] = {
    "white": (0.93, 0.92, 0.89),
    "black": (0.13, 0.13, 0.14),
    "grey": (0.52, 0.53, 0.55),
    "red": (0.75, 0.13, 0.11),
    "blue": (0.16, 0.32, 0.66),
    "green": (0.23, 0.49, 0.25),
    "yellow": (0.92, 0.75, 0.18),
    "orange": (0.90, 0.47, 0.12),
    "brown": (0.45, 0.28, 0.16),
    "pink": (0.88, 0.52, 0.58),
    "purple": (0.45, 0.25, 0.55),
    "steel": (0.72, 0.73, 0.75),
    "wooden": (0.70, 0.50, 0.30),
}

CABINETS = ("white", "grey", "blue", "green", "wooden", "yellow", "brown", "black")
SKINS: tuple[Color, ...] = (
    (0.93, 0.76, 0.66),
    (0.86, 0.66, 0.53),
    (0.76, 0.55, 0.41),
    (0.60, 0.41, 0.29),
    (0.42, 0.28, 0.20),
    (0.30, 0.20, 0.15),
)
SLEEVES = ("blue", "red", "grey", "white", "green", "black", "yellow", "purple", "orange")
WORKTOPS = ("oak", "walnut", "granite", "marble", "laminate")
TILES = ("square", "metro", "plain")
ZONES = ("sink", "prep", "hob", "corner")


@dataclass(frozen=True)
class Style:
    """One kitchen and its wearer; lengths in metres, angles in degrees, colours in 0..1."""

    seed: int
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
    worktop_height: float
    eye_height: float
    fovy: float
    skin: Color
    sleeve: str
    sleeve_length: float  # share of the forearm that is covered
    dominant: Literal["left", "right"]
    light: float  # brightness of the room
    warmth: float  # −1 cool … 1 warm light
    window_side: Literal["left", "right"]
    grain: float  # standard deviation of the camera's noise, of 0..1


def sample_style(seed: int, split: Split) -> Style:
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
    return Style(
        seed=seed,
        cabinet=cabinet,
        drawer=cabinet if rng.random() < 0.7 else str(rng.choice(CABINETS)),
        worktop=worktop,
        tiles=str(rng.choice(TILES)),
        tile_color=_color(0.35 * tile + 0.62 + rng.uniform(-0.03, 0.03, 3)),
        wall_color=_color(wall),
        floor_color=_color(floor + rng.uniform(-0.05, 0.05, 3)),
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


def _color(values: np.ndarray) -> Color:
    r, g, b = (float(v) for v in np.clip(values, 0.03, 0.98))
    return r, g, b
