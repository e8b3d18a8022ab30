"""The distribution of a figure as an SVG: kept clips upwards, rejected ones downwards.

Both have a scale of their own, since few are rejected of many; colours come from the page's style.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from egoframe.report.facts import Near, Values
from egoframe.report.thresholds import Threshold

BINS = 40
WIDTH, HEIGHT = 360, 204  # of the drawing
LEFT, RIGHT = 38, 350  # ends of the axis
TOP, MIDDLE, BOTTOM = 38, 132, 180  # of kept bars, the axis, and of rejected bars
LEAST_LOG = 0.01  # on a logarithmic axis less is drawn here
LEAST_BAR = 1.5  # height of a bar of one clip among thousands


@dataclass(frozen=True)
class Axis:
    """From a figure to a place on the drawing; `edges` are those of the bins, as figures."""

    edges: np.ndarray
    ticks: list[float]
    log: bool = False

    def place(self, value: float) -> float:
        low, high = self._scaled(self.edges[0]), self._scaled(self.edges[-1])
        share = (self._scaled(value) - low) / (high - low)
        return LEFT + min(max(share, 0.0), 1.0) * (RIGHT - LEFT)

    def counts(self, values: Sequence[float]) -> np.ndarray:
        """How many values each bin has; they are all in one."""
        inside = np.clip(np.asarray(values, float), self.edges[0], self.edges[-1])
        return np.histogram(inside, self.edges)[0]

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.log else value


def axis(figure: str, values: Sequence[float], bounds: Sequence[float]) -> Axis:
    """An axis that holds all values and thresholds: whole numbers for hands, a log for sharpness.

    Arguments:
        values: one at least.
    """
    low, high = min([*values, *bounds]), max([*values, *bounds])
    if figure == "hands":
        top = int(high)
        return Axis(np.arange(-0.5, top + 1), [float(k) for k in range(0, top + 1, 1 + top // 8)])
    if figure == "sharpness":
        low = max(low, LEAST_LOG) / 1.2
        high = max(high, 2 * low) * 1.2
        return Axis(np.geomspace(low, high, BINS + 1), _log_ticks(low, high), log=True)
    if figure == "similarity":
        low, high = max(low, -1.0), 1.0  # what is beyond is rounding, or a bound that is off
    if figure == "exposure":
        low, high = 0.0, 1.0
    if figure == "camera_motion":
        low, high = min(low, 0.0), 1.05 * max(high, 0.0)  # a threshold not on the edge
    step = _step(max(high - low, 1e-3))
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    if high == low:
        high = low + step
    ticks = [low + k * step for k in range(round((high - low) / step) + 1)]
    return Axis(np.linspace(low, high, BINS + 1), ticks)


def histogram(figure: str, values: Values, rules: Sequence[Near]) -> str:
    """The drawing, for a figure that is known of one clip at least."""
    thresholds = [near.threshold for near in rules]
    every = [*values.kept, *values.rejected]
    across = axis(figure, every, [threshold.bound for threshold in thresholds])
    kept = across.counts(values.kept)
    blamed, other = (across.counts(v) for v in (values.rejected_for_it, values.rejected_else))
    most_kept, most_rejected = int(kept.max()), int((blamed + other).max())
    parts = [_outside(across, threshold) for threshold in thresholds]
    parts.append(_line("grid", LEFT, TOP, RIGHT, TOP) if most_kept else "")
    parts.append(_line("grid", LEFT, BOTTOM, RIGHT, BOTTOM) if most_rejected else "")
    for k, (left, right) in enumerate(zip(across.edges[:-1], across.edges[1:], strict=True)):
        x = across.place(float(left))
        width = max(across.place(float(right)) - x - 0.6, 0.6)
        span = f"{left:.3g} to {right:.3g}" if figure != "hands" else f"{k} hands"
        up = _height(kept[k], most_kept, MIDDLE - TOP)
        down = _height(blamed[k], most_rejected, BOTTOM - MIDDLE)
        further = _height(other[k], most_rejected, BOTTOM - MIDDLE)
        for kind, count, y, height in (
            ("kept", kept[k], MIDDLE - up, up),
            ("blamed", blamed[k], MIDDLE + 1, down),
            ("other", other[k], MIDDLE + 1 + down, further),
        ):
            if count:
                parts.append(
                    f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
                    f'height="{height:.1f}"><title>{span}: {count:,} {WORDS[kind]}</title></rect>'
                )
    parts.append(_line("axis", LEFT, MIDDLE + 0.5, RIGHT, MIDDLE + 0.5))
    parts += [_text("end", LEFT - 5, TOP + 4, f"{most_kept:,}"), _text("end", LEFT - 5, BOTTOM + 4,
              f"{most_rejected:,}") if most_rejected else ""]  # fmt: skip
    parts += [_text("middle", across.place(t), HEIGHT - 6, f"{t:,.6g}") for t in across.ticks]
    parts += [_bound(across, rule) for rule in rules]
    named = figure.replace("_", " ")
    told = f"Histogram of {named}: {len(values.kept):,} kept, {len(values.rejected):,} rejected"
    lines = "".join(f"; kept where {threshold.rule}" for threshold in thresholds)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(told + lines)}">'
        f"{''.join(parts)}</svg>"
    )


WORDS = {
    "kept": "kept",
    "blamed": "rejected for this figure",
    "other": "rejected for another reason",
}


def _height(count: int, most: int, room: int) -> float:
    return max(LEAST_BAR, float(count) / most * room) if count else 0.0


def _edge(across: Axis, rule: Threshold) -> float:
    """Where a threshold lies; that of whole numbers lies between two of them."""
    whole = 0.5 if rule.figure == "hands" else 0.0
    return across.place(rule.bound - whole if rule.least else rule.bound + whole)


def _outside(across: Axis, rule: Threshold) -> str:
    """What a threshold rejects, shaded."""
    x = _edge(across, rule)
    left, right = (LEFT, x) if rule.least else (x, RIGHT)
    return (
        f'<rect class="outside" x="{left:.1f}" y="{TOP}" width="{right - left:.1f}" '
        f'height="{BOTTOM - TOP}"/>'
    )


def _bound(across: Axis, near: Near) -> str:
    """A line and its name: those of lower bounds in one row, of upper ones in another."""
    rule = near.threshold
    x, y = _edge(across, rule), 13 if rule.least else 28
    name = f"{'≥' if rule.least else '≤'} {rule.bound:g}{' ?' if near.doubtful else ''}"
    anchor, gap = ("start", 4) if x < (LEFT + RIGHT) / 2 else ("end", -4)
    line = _line("bound doubtful" if near.doubtful else "bound", x, y - 9, x, BOTTOM)
    return line + _text(f"{anchor} name", x + gap, y, f"kept {name}")


def _line(kind: str, x0: float, y0: float, x1: float, y1: float) -> str:
    return f'<line class="{kind}" x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}"/>'


def _text(kind: str, x: float, y: float, words: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(words)}</text>'


def _step(span: float) -> float:
    """A round distance between ticks, of which about five fit."""
    power = 10.0 ** math.floor(math.log10(span / 5))
    return next(power * k for k in (1, 2, 5, 10) if power * k * 6 >= span)


def _log_ticks(low: float, high: float) -> list[float]:
    factors = (1, 2, 5) if high / low < 100 else (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [t for p in powers for k in factors if low <= (t := k * 10.0**p) <= high]
