"""From a photo to the frame that the model works on."""

from __future__ import annotations

from PIL import Image

from egoframe.errors import UserError

GRAIN = 32  # pixels: sides of the pictures that the model works on are multiples of it
MAX_ASPECT = 4  # longer side of a photo to its shorter one


def working_size(photo: Image.Image, sample_size: int, squeeze: bool) -> tuple[int, int]:
    """Width and height, multiples of GRAIN, nearest to the photo's aspect at the model's area.

    Arguments:
        sample_size: side of the square of that area, in pixels.
        squeeze: that square itself, whatever the aspect.
    Raises:
        UserError: the photo is too long and narrow.
    """
    if max(photo.size) > MAX_ASPECT * min(photo.size):
        raise UserError(
            f"a photo of {photo.width}×{photo.height} is too long and narrow to draw; crop it to "
            f"at most {MAX_ASPECT}:1"
        )
    if squeeze:
        return sample_size, sample_size
    ratio = (photo.width / photo.height) ** 0.5
    width = max(GRAIN, round(sample_size * ratio / GRAIN) * GRAIN)
    height = max(GRAIN, round(sample_size / ratio / GRAIN) * GRAIN)
    return width, height


def to_frame(photo: Image.Image, size: tuple[int, int], squeeze: bool) -> Image.Image:
    """The photo at a size: squeezed with Lanczos' filter, as LEGO does, or averaged."""
    return photo.resize(size, Image.Resampling.LANCZOS if squeeze else Image.Resampling.BOX)


def enhancer_view(photo: Image.Image, sample_size: int, squeeze: bool, sees: str) -> Image.Image:
    """What the enhancer is shown of an upright photo.

    Arguments:
        sees: the whole "photo", or the "frame" that the model works on.
    Raises:
        UserError: the photo is too long and narrow.
    """
    if sees == "photo":
        return photo
    return to_frame(photo, working_size(photo, sample_size, squeeze), squeeze)
