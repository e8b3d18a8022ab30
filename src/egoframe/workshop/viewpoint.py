"""Where a mechanic stands and looks to act on something."""

from __future__ import annotations

import numpy as np

from egoframe.simulator.world import World
from egoframe.workshop.dimensions import DEPTH


def viewpoint(
    world: World, focus: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Where a wearer stands (3,) and looks (3,) to act on `focus` (3,).

    They step sideways to it; before the bicycle they stand back a little, to see it.
    """
    ahead = focus + rng.normal(0, 1, 3) * [0.03, 0.02, 0.02]
    x = 0.85 * focus[0] + rng.uniform(-0.09, 0.09)
    back = 0.66 if focus[1] > DEPTH else 0.50
    eye = np.array([x, focus[1] - back, world.style.eye_height - 0.10])
    return eye + rng.normal(0, 0.015, 3), ahead
