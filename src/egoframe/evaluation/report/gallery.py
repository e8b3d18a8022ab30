"""The best, the middling and the worst pictures of a subject, inside the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from html import escape
from typing import Any

import numpy as np
from PIL import Image

SHOWN = 6  # of each kind
SIDE = 160  # pixels, of the shorter side
QUALITY = 82


def ranked(values: np.ndarray) -> dict[str, list[int]]:
    """Places of the highest, middle and lowest of `values` (N,), nan left out; each place once."""
    order = np.argsort(-values, kind="stable")
    order = order[~np.isnan(values[order])]
    count = min(SHOWN, len(order) // 3) or len(order)
    middle = max(0, (len(order) - count) // 2)
    kinds = {"best": order[:count], "median": order[middle : middle + count],
             "worst": order[::-1][:count][::-1]}  # fmt: skip
    return {kind: places.tolist() for kind, places in kinds.items()}


def gallery(
    values: np.ndarray,
    told: Callable[[float], str],
    pair: Callable[[int], dict[str, Any]],
    drawn: Callable[[int], Image.Image],
) -> str:
    """Input, drawn and true frames of those pairs.

    Arguments:
        values: (N,) what they are ranked by; the highest is best.
        told: a value in words.
        pair: a row of the dataset.
        drawn: the picture of a pair.
    """
    parts = []
    for kind, places in ranked(values).items():
        cards = "".join(
            _card(pair(place), drawn(place), told(float(values[place]))) for place in places
        )
        parts.append(f"<h4>{kind}</h4><div class=cards>{cards}</div>")
    return "".join(parts)


def _card(row: dict[str, Any], drawn: Image.Image, figure: str) -> str:
    pictures = {"input": row["input_frame"], "drawn": drawn, "truth": row["action_frame"]}
    images = "".join(
        f'<img src="{_inside(picture)}" alt="{name}" title="{name}" loading=lazy>'
        for name, picture in pictures.items()
    )
    return (
        f"<figure class=card><div class=three>{images}</div><figcaption>"
        f"<b>{escape(row['action'])}</b> {figure}<br><span class=quiet>"
        f"{escape(row['pair_id'])}</span></figcaption></figure>"
    )


def _inside(picture: Image.Image) -> str:
    scale = min(1.0, SIDE / min(picture.size))
    small = picture.convert("RGB").resize(
        (round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BICUBIC
    )
    file = io.BytesIO()
    small.save(file, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
