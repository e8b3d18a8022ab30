"""How pictures are drawn and kept: as the authors' release does it, or as it should be done.

These are all the differences between the two in drawing; `DESIGN`'s other ones lie in training.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from egoframe.errors import UserError
from egoframe.frames import to_pictures
from egoframe.generator.sampling import Noise, OneStream


@dataclass(frozen=True)
class Protocol:
    """One way to draw.

    Arguments:
        one_noise_stream: noise comes from one stream, picture after picture, so that a picture
            depends on those before it; else each has a stream of its own.
        stretch_contrast: a frame's darkest value becomes black and its brightest white, and values
            are cut to whole numbers, not rounded; else frames are kept as they are.
        temperature: of the enhancer's words; 0 takes the likeliest.
        enhancer_seed: of the words, where they are sampled.
    """

    name: str
    one_noise_stream: bool
    stretch_contrast: bool
    temperature: float
    enhancer_seed: int

    def noise_source(
        self, seeds: Sequence[int]
    ) -> Callable[[Sequence[tuple[int, str]], int], Noise]:
        """Makes the noise for (seed and name of each picture, the steps that each is drawn in).

        One stream lasts as long as what this returns: for one call of the pipeline.

        Arguments:
            seeds: all that will be asked for.
        Raises:
            UserError: there is one stream, and not one seed.
        """
        if self.one_noise_stream:
            if len(set(seeds)) > 1:
                raise UserError(f"protocol {self.name!r}: noise is one stream; give one seed")
            stream = torch.Generator().manual_seed(next(iter(seeds), 0))
            return lambda pictures, steps: OneStream(stream, len(pictures), steps)
        return lambda pictures, _: Noise([own_stream(*picture) for picture in pictures])

    def finish(self, frames_BCHW: Tensor, sizes: Sequence[tuple[int, int]]) -> list[Image.Image]:
        """Drawn frames in −1..1 → pictures; `sizes` are the photos' widths and heights."""
        if self.stretch_contrast:
            return [
                _stretched(frame, *size) for frame, size in zip(frames_BCHW, sizes, strict=True)
            ]
        return list(map(restore_aspect, to_pictures(frames_BCHW), sizes))


PAPER = Protocol("paper", True, True, temperature=0.2, enhancer_seed=42)
CORRECTED = Protocol("corrected", False, False, temperature=0.0, enhancer_seed=0)
PROTOCOLS = {protocol.name: protocol for protocol in (CORRECTED, PAPER)}


def choose_protocol(name: str) -> Protocol:
    """The protocol of a name.

    Raises:
        UserError: there is none.
    """
    if name not in PROTOCOLS:
        raise UserError(f"protocol {name!r}: give {' or '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def own_stream(seed: int, name: str) -> torch.Generator:
    """The noise of one picture, from these two alone."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def _stretched(frame_CHW: Tensor, width: int, height: int) -> Image.Image:
    """As the release saves a frame: stretched to the photo's aspect at the frame's own height, then
    from its darkest to its brightest value."""
    size = (frame_CHW.shape[1], round(width / height * frame_CHW.shape[1]))
    wide = interpolate(frame_CHW[None].float(), size, mode="bicubic", align_corners=False)[0]
    values = (wide - wide.min()) / (wide.max() - wide.min()) * 255
    return Image.fromarray(values.permute(1, 2, 0).cpu().numpy().astype("uint8"))


def restore_aspect(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """A drawn picture, stretched so that it has the photo's aspect again, at the same area."""
    width, height = size
    if picture.width * height == picture.height * width:
        return picture
    area = picture.width * picture.height
    ratio = (width / height) ** 0.5
    new = (max(1, round(area**0.5 * ratio)), max(1, round(area**0.5 / ratio)))
    return picture.resize(new, Image.Resampling.BICUBIC)
