"""Two subjects' figures of the same pairs as an SVG: a point for each pair."""

from __future__ import annotations

from html import escape

import numpy as np

SIDE, MARGIN = 300, 44  # of the drawing
TICKS = 4


def scatter(
    across: np.ndarray, upwards: np.ndarray, names: tuple[str, str], labels: list[str]
) -> str:
    """Arguments:
    across, upwards: figures (N,); pairs for which one is nan are left out.
    names: of the axes.
    labels: of the pairs, shown when one points at them.
    """
    known = ~(np.isnan(across) | np.isnan(upwards))
    values = np.concatenate((across[known], upwards[known]))
    if not len(values):
        return ""
    low, high = float(values.min()), float(values.max())
    high = high if high > low else low + 1

    def x(value: float) -> float:
        return MARGIN + (value - low) / (high - low) * (SIDE - MARGIN - 8)

    def y(value: float) -> float:
        return SIDE - x(value)

    points = "".join(
        f"<circle cx={x(across[k]):.1f} cy={y(upwards[k]):.1f} r=2.5>"
        f"<title>{escape(labels[k])}: {across[k]:.2f}, {upwards[k]:.2f}</title></circle>"
        for k in np.flatnonzero(known)
    )
    ticks = "".join(
        f"<text x={x(value):.1f} y={SIDE - MARGIN + 16} class=middle>{value:.3g}</text>"
        f"<text x={MARGIN - 6} y={y(value) + 4:.1f} class=end>{value:.3g}</text>"
        for value in np.linspace(low, high, TICKS)
    )
    return (
        f'<svg viewBox="0 0 {SIDE} {SIDE}" role=img>'
        f"<line class=axis x1={x(low):.1f} y1={y(low):.1f} x2={x(high):.1f} y2={y(low):.1f} />"
        f"<line class=axis x1={x(low):.1f} y1={y(low):.1f} x2={x(low):.1f} y2={y(high):.1f} />"
        f"<line class=grid x1={x(low):.1f} y1={y(low):.1f} x2={x(high):.1f} y2={y(high):.1f} />"
        f"{points}{ticks}"
        f"<text x={SIDE / 2} y={SIDE - 8} class=middle>{escape(names[0])}</text>"
        f'<text x=12 y={SIDE / 2} class=middle transform="rotate(-90 12 {SIDE / 2})">'
        f"{escape(names[1])}</text></svg>"
    )
