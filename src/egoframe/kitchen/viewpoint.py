"""Where a cook stands and looks to act on something."""

from __future__ import annotations

import numpy as np

from egoframe.simulator.world import World


def viewpoint(
    world: World, focus: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Where a wearer stands (3,) and looks (3,) to act on `focus` (3,).

    They step sideways to it, lean in over the worktop, back and down for what is low.
    """
    top = world.style.worktop_height
    stand = world.style.eye_height - top  # 0.62 … 0.74
    ahead = focus + rng.normal(0, 1, 3) * [0.035, 0.02, 0.02]
    x = focus[0] + rng.uniform(-0.13, 0.13)
    if focus[2] < top - 0.3:
        eye = np.array([x, focus[1] - 0.62, focus[2] + 0.62])
    elif focus[2] < top - 0.02:
        eye = np.array([x, focus[1] - 0.42, top + stand - 0.16])
    elif focus[2] > top + 0.4:
        eye = np.array([x, focus[1] - 0.56, top + stand - 0.02])
    else:
        eye = np.array([x, max(focus[1] - 0.45, -0.34), top + stand - 0.21])
    return eye + rng.normal(0, 0.015, 3), ahead
