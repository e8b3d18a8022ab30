"""What a call on one photo or on several may be given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from PIL import Image

from egoframe.errors import UserError

One = TypeVar("One", str, int)


def listed(image: Image.Image | Sequence[Image.Image]) -> list[Image.Image]:
    """One photo, or several, as a list."""
    return [image] if isinstance(image, Image.Image) else list(image)


def for_each(given: One | Sequence[One], count: int, name: str) -> list[One]:
    """One of them for each of `count` photos; what is given alone is for all.

    Raises:
        UserError: there are more or fewer than photos.
    """
    each = [given] * count if isinstance(given, (str, int)) else list(given)
    if len(each) != count:
        raise UserError(f"{len(each)} {name} for {count} photos; give one for each")
    return each
