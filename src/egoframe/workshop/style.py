"""`WorkshopStyle`: everything about a workshop and its wearer that varies with the seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from egoframe.simulator.style import COLORS, SKINS, SLEEVES, Color, Split, Style, color

FRAMES = ("red", "blue", "green", "yellow", "orange", "purple", "pink", "white")
WALLS = ("black", "white", "brown", "red", "blue")  # of tyres
BENCHES = ("wooden", "brown", "grey")


@dataclass(frozen=True, kw_only=True)
class WorkshopStyle(Style):
    """One workshop, its bicycle and its wearer."""

    frame: str  # colour word
    tyre_wall: str  # colour word
    tape: str | None  # colour word of the handlebar's tape or grips; None: bare metal
    old_tube: str  # colour words
    new_tube: str
    bench: str
    mat: str
    wall_color: Color
    floor_color: Color
    panel: Literal["pegboard", "shelf", "window"]  # what is on the wall


def sample_style(seed: int, split: Split) -> WorkshopStyle:
    """Draw a style. Validation workshops hold combinations of frame and tyre that training never
    has, besides another seed: one in five pairs is theirs alone.
    """
    rng = np.random.default_rng([seed, 41, split == "validation"])
    combinations = [(f, w) for f in FRAMES for w in WALLS]
    unseen = [pair for index, pair in enumerate(combinations) if index % 5 == (index // 5) % 5]
    allowed = unseen if split == "validation" else [p for p in combinations if p not in unseen]
    frame, tyre_wall = allowed[rng.integers(len(allowed))]
    wall = np.array([[0.86, 0.84, 0.80], [0.72, 0.78, 0.82], [0.80, 0.76, 0.66]])[rng.integers(3)]
    floor = np.array([[0.45, 0.45, 0.46], [0.55, 0.42, 0.32], [0.62, 0.60, 0.57]])[rng.integers(3)]
    height = rng.uniform(0.84, 0.90)
    return WorkshopStyle(
        seed=seed,
        frame=frame,
        tyre_wall=tyre_wall,
        tape=None if rng.random() < 0.3 else str(rng.choice(list(COLORS)[:9])),
        old_tube="black" if rng.random() < 0.6 else "grey",
        new_tube=str(rng.choice(["green", "orange", "pink", "yellow"])),
        bench=str(rng.choice(BENCHES)),
        mat=str(rng.choice(["grey", "green", "blue", "black"])),
        wall_color=color(wall + rng.uniform(-0.05, 0.05, 3)),
        floor_color=color(floor + rng.uniform(-0.05, 0.05, 3)),
        panel=("pegboard", "shelf", "window")[rng.integers(3)],
        worktop_height=height,
        eye_height=height + rng.uniform(0.66, 0.74),
        fovy=rng.uniform(58, 66),
        skin=SKINS[rng.integers(len(SKINS))],
        sleeve=str(rng.choice(SLEEVES)),
        sleeve_length=float(rng.choice([0.0, 0.85, 0.95, 0.95])),
        dominant="right" if rng.random() < 0.85 else "left",
        light=rng.uniform(0.92, 1.12),
        warmth=rng.uniform(-0.6, 1.0),
        window_side="left" if rng.random() < 0.5 else "right",
        grain=rng.uniform(0.002, 0.008),
    )
