"""Procedural textures, as uint8 arrays (H, W, 3); light and contact shadow are baked in."""

from __future__ import annotations

import numpy as np

from egoframe.simulator.style import Color


def smooth_noise(rng: np.random.Generator, height: int, width: int, cells: int) -> np.ndarray:
    """Value noise (H, W) in −1..1 that tiles: a random grid of `cells`, interpolated by cosine."""
    grid = rng.uniform(-1, 1, (cells, cells))
    rows, columns = (np.linspace(0, cells, n, endpoint=False) for n in (height, width))

    def parts(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        low = x.astype(int)
        return low % cells, (low + 1) % cells, 0.5 - 0.5 * np.cos(np.pi * (x - low))

    r0, r1, fr = parts(rows)
    c0, c1, fc = parts(columns)
    top = grid[r0][:, c0] * (1 - fc) + grid[r0][:, c1] * fc
    bottom = grid[r1][:, c0] * (1 - fc) + grid[r1][:, c1] * fc
    return top * (1 - fr[:, None]) + bottom * fr[:, None]


def fractal_noise(rng: np.random.Generator, height: int, width: int, cells: int) -> np.ndarray:
    """Three octaves of value noise, (H, W), about −1..1."""
    octaves = [smooth_noise(rng, height, width, cells * 2**k) / 2**k for k in range(3)]
    return sum(octaves[1:], octaves[0]) / 1.75


def plain(
    rng: np.random.Generator, color: Color, size: int = 64, rough: float = 0.02
) -> np.ndarray:
    """A painted or plastic surface: one colour, faintly uneven."""
    return _to_uint8(np.asarray(color) + rough * fractal_noise(rng, size, size, 8)[..., None])


def wood(rng: np.random.Generator, color: Color, size: int = 256, boards: int = 4) -> np.ndarray:
    """Boards along u with grain; `boards` of them across v."""
    along = smooth_noise(rng, size, size, 4)
    rows = np.arange(size) / size
    stretched = np.repeat(smooth_noise(rng, size, 16, 64), size // 16, axis=1)
    fine = np.repeat(rng.uniform(-1, 1, (size, 8)), size // 8, axis=1)
    rings = np.sin((rows[:, None] * 40 + 2.5 * along) * 2 * np.pi)
    shade = 0.05 * rings + 0.06 * stretched + 0.03 * fine
    board = (rows * boards).astype(int)
    shade += rng.uniform(-0.08, 0.08, boards)[board][:, None]
    gap = (rows * boards) % 1 < 0.02 * boards / 4
    shade[gap] -= 0.18
    return _to_uint8(np.asarray(color) * (1 + 1.3 * shade[..., None]))


def stone(
    rng: np.random.Generator, color: Color, size: int = 256, veins: bool = False
) -> np.ndarray:
    """Speckled granite, or marble with veins."""
    base = 0.05 * fractal_noise(rng, size, size, 8)
    if veins:
        warp = fractal_noise(rng, size, size, 4)
        lines = np.abs(fractal_noise(rng, size, size, 3) + 0.3 * warp)
        base -= 0.25 * np.exp(-lines * 18)
    else:
        base += 0.10 * (rng.random((size, size)) ** 6) - 0.12 * (rng.random((size, size)) ** 6)
        base += 0.04 * rng.standard_normal((size, size))
    return _to_uint8(np.asarray(color) + base[..., None])


def tiles(
    rng: np.random.Generator, color: Color, kind: str, size: int = 256, count: int = 4
) -> np.ndarray:
    """`count` × `count` glazed tiles ("square", or half-shifted "metro"), or a painted wall."""
    if kind == "plain":
        return plain(rng, color, size, 0.015)
    rows, columns = np.mgrid[0:size, 0:size] / size
    across = count // 2 if kind == "metro" else count
    row = (rows * count).astype(int)
    shift = 0.5 * (row % 2) if kind == "metro" else 0.0
    u, v = columns * across + shift, rows * count
    column = u.astype(int) % across
    tint = rng.uniform(-0.035, 0.035, (count, across))[row, column]
    edge = np.minimum(np.minimum(u % 1, 1 - u % 1) * count / across, np.minimum(v % 1, 1 - v % 1))
    bevel = 0.05 * np.clip(edge / 0.10, 0, 1)
    picture = np.asarray(color) + (tint + bevel - 0.03)[..., None]
    picture[edge < 0.03] = np.asarray(color) * 0.72
    return _to_uint8(picture)


def front(rng: np.random.Generator, color: Color, grained: bool, shaker: bool) -> np.ndarray:
    """A cupboard door or drawer front, seen from outside: frame, panel and their shadows."""
    size = 128
    if grained:
        picture = wood(rng, color, size, 1).astype(float) / 255
    else:
        picture = plain(rng, color, size, 0.012).astype(float) / 255
    v, u = np.mgrid[0:size, 0:size] / (size - 1)
    edge = np.minimum(np.minimum(u, 1 - u), np.minimum(v, 1 - v))
    shade = -0.30 * np.exp(-edge / 0.012)
    if shaker:
        inner = (edge > 0.13).astype(float)
        shade += -0.10 * np.exp(-np.abs(edge - 0.13) / 0.012) - 0.04 * inner
        shade += 0.10 * np.exp(-np.abs(v - 0.87) / 0.012) * (edge > 0.11)
    return _to_uint8(picture * (1 + shade[..., None]))


def brushed(rng: np.random.Generator, color: Color, size: int = 64) -> np.ndarray:
    """Brushed metal: streaks along u."""
    streaks = np.repeat(rng.uniform(-1, 1, (size, 1)), size, axis=1)
    sheen = np.cos(np.linspace(0, 2 * np.pi, size))[None]
    return _to_uint8(np.asarray(color) + 0.03 * streaks[..., None] + 0.06 * sheen[..., None])


def fabric(rng: np.random.Generator, color: Color, checked: bool, size: int = 64) -> np.ndarray:
    """Cloth: a weave, plain or checked."""
    rows, columns = np.mgrid[0:size, 0:size]
    weave = 0.03 * ((rows + columns) % 2) + 0.03 * fractal_noise(rng, size, size, 8)
    picture = np.asarray(color) + weave[..., None]
    if checked:
        line = ((rows // 8) % 2).astype(float) + ((columns // 8) % 2)
        picture = picture * (1 - 0.2 * line[..., None]) + 0.2 * line[..., None]
    return _to_uint8(picture)


def crust(rng: np.random.Generator, size: int = 64) -> np.ndarray:
    """Bread crust: golden brown, darker in blotches."""
    blotches = fractal_noise(rng, size, size, 5)[..., None]
    return _to_uint8(np.array([0.72, 0.47, 0.22]) + blotches * np.array([0.10, 0.10, 0.07]))


def crumb(rng: np.random.Generator, size: int = 64) -> np.ndarray:
    """The inside of bread: pale, with pores."""
    pores = rng.random((size, size, 1)) ** 8
    return _to_uint8(np.array([0.94, 0.86, 0.68]) - 0.25 * pores)


def window_view(rng: np.random.Generator, size: int = 128) -> np.ndarray:
    """What is seen through the window: bright sky over hedges."""
    v = np.linspace(0, 1, size)[:, None, None]
    sky = np.array([0.80, 0.90, 1.0]) * (1 - 0.15 * (1 - v)) + 0.05
    hills = 0.62 + 0.10 * smooth_noise(rng, 1, size, 6)
    green = np.array([0.45, 0.60, 0.35]) + 0.1 * fractal_noise(rng, size, size, 10)[..., None]
    return _to_uint8(np.where(v > hills[..., None], green, sky))


def shade(texture: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """Multiply baked light (H, W), 1 = as it was, into a texture."""
    return _to_uint8(texture.astype(float) / 255 * amount[..., None])


def _to_uint8(picture: np.ndarray) -> np.ndarray:
    return (np.clip(picture, 0, 1) * 255).round().astype(np.uint8)
