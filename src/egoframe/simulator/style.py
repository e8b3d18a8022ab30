"""What the wearer and the light look like in any scene, and the colour words of things."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Color = tuple[float, float, float]
Split = Literal["train", "validation"]
Side = Literal["left", "right"]

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
SKINS: tuple[Color, ...] = (
    (0.93, 0.76, 0.66),
    (0.86, 0.66, 0.53),
    (0.76, 0.55, 0.41),
    (0.60, 0.41, 0.29),
    (0.42, 0.28, 0.20),
    (0.30, 0.20, 0.15),
)
SLEEVES = ("blue", "red", "grey", "white", "green", "black", "yellow", "purple", "orange")


@dataclass(frozen=True, kw_only=True)
class Style:
    """The wearer, the light and the camera of a scene; lengths in metres, angles in degrees,
    colours in 0..1. Each family of scenes adds its own furniture."""

    seed: int
    worktop_height: float  # of what the wearer works on
    eye_height: float
    fovy: float
    skin: Color
    sleeve: str
    sleeve_length: float  # share of the forearm that is covered
    dominant: Side
    light: float  # brightness of the room
    warmth: float  # −1 cool … 1 warm light
    window_side: Side
    grain: float  # standard deviation of the camera's noise, of 0..1


def color(values: np.ndarray) -> Color:
    """Three numbers as a colour, neither quite black nor quite white."""
    r, g, b = (float(v) for v in np.clip(values, 0.03, 0.98))
    return r, g, b
