"""Pictures unlike a set of pictures, made without any photo, for `familiarity` to tell from them.

Three in eight take the statistics of natural images without their content: dead leaves, after Lee,
Mumford & Huang (2001), and noise whose spectrum falls as theirs does. The others are the pictures
themselves, with what is particular to them spoilt: turned, cut into tiles, magnified, laid over
another, or strewn with noise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIDE = 128  # pixels
TURNS = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)


def unlike(pictures: Sequence[Image.Image], seed: int = 0) -> list[Image.Image]:
    """As many RGB pictures, 128×128, as are given, each unlike them in one way of eight."""
    rng = np.random.default_rng(seed)
    own = [
        picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX) for picture in pictures
    ]
    return [_spoilt(picture, own[rng.integers(len(own))], rng) for picture in own]


def _spoilt(own: Image.Image, other: Image.Image, rng: np.random.Generator) -> Image.Image:
    kind = rng.integers(8)
    if kind <= 1:
        return _dead_leaves(rng)
    if kind == 2:
        return _picture(rng.uniform(60, 180) + rng.uniform(20, 70) * _noise(rng))
    if kind == 3:
        return _tiles(own, rng)
    if kind == 4:
        return own.transpose(TURNS[rng.integers(len(TURNS))])
    if kind == 5:
        side = int(rng.integers(SIDE // 5, SIDE // 2))
        x, y = (int(k) for k in rng.integers(0, SIDE - side, 2))
        part = own.crop((x, y, x + side, y + side))
        return part.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    if kind == 6:
        mirrored = other.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        over = mirrored if rng.random() < 0.5 else _dead_leaves(rng)
        return Image.blend(own, over, rng.uniform(0.3, 0.7))
    grain = rng.uniform(0, 15) * rng.standard_normal((SIDE, SIDE, 3))
    return _picture(np.asarray(own) + rng.uniform(8, 40) * _noise(rng) + grain)


def _dead_leaves(rng: np.random.Generator) -> Image.Image:
    """Discs and rectangles of random colours that hide one another; few large, many small."""
    picture = Image.new("RGB", (SIDE, SIDE), tuple(rng.integers(0, 256, 3).tolist()))
    draw = ImageDraw.Draw(picture)
    for _ in range(rng.integers(20, 400)):
        radius = min(60, 2 / (rng.random() + 1e-3) ** 0.7)
        x, y = rng.uniform(-10, SIDE + 10, 2)
        colour = rng.normal(rng.integers(40, 200), 40, 3).clip(0, 255).astype(int)
        shape = draw.ellipse if rng.random() < 0.6 else draw.rectangle
        box = (x - radius, y - 0.7 * radius, x + radius, y + 0.7 * radius)
        shape(box, fill=tuple(colour.tolist()))
    soft = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.2)))
    return _picture(np.asarray(soft) + rng.uniform(0, 25) * _noise(rng))


def _noise(rng: np.random.Generator) -> np.ndarray:
    """(SIDE, SIDE, 3) of deviation 1, its amplitudes falling with a power of the frequency."""
    axis = np.fft.fftfreq(SIDE)
    frequency = np.hypot(axis[:, None], axis)[..., None]
    frequency[0, 0] = 1 / SIDE
    white = np.fft.fft2(rng.standard_normal((SIDE, SIDE, 3)), axes=(0, 1))
    noise = np.fft.ifft2(white / frequency ** rng.uniform(0.6, 1.6), axes=(0, 1)).real
    if rng.random() < 0.6:  # nearly grey, as light and shadow are
        noise = noise @ (0.3 + 0.15 * rng.random() * np.eye(3))
    return noise / noise.std()


def _tiles(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Cut into 2×2, 4×4 or 8×8 tiles, shuffled."""
    count = int(rng.choice([2, 4, 8]))
    values = np.asarray(picture).reshape(count, SIDE // count, count, SIDE // count, 3)
    tiles = rng.permutation(values.swapaxes(1, 2).reshape(-1, SIDE // count, SIDE // count, 3))
    mixed = tiles.reshape(count, count, SIDE // count, SIDE // count, 3).swapaxes(1, 2)
    return Image.fromarray(mixed.reshape(SIDE, SIDE, 3))


def _picture(values: np.ndarray) -> Image.Image:
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))
