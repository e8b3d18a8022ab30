"""Frames drawn one from another in one view, as the steps of a task.

Drawn naively, each frame is decoded, encoded again and changed a little everywhere, so that the
scene drifts. Here a chain stays in latents, and conditions on its first frame as well. A network
that is not sure whether an arm has left, draws something between the last frame and the photo; so a
place whose latent lies near the line between the two is taken from one of them without change. And
every frame is decoded beside the photo, not beside the frame before it.

Shape suffixes: B pictures (one), C channels, H height, W width of latents.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import avg_pool2d

from egoframe.enhancer.model import Enhancer
from egoframe.frames import to_pictures, to_tensor
from egoframe.generator import autoencoder
from egoframe.generator.photos import to_frame, working_size
from egoframe.generator.pipeline import ActionFramePipeline, named
from egoframe.generator.protocols import own_stream, restore_aspect
from egoframe.generator.sampling import Noise, Sampling
from egoframe.images import upright
from egoframe.pairs import check_action

SAME = 0.5  # deviations of a latent from that line, mean over channels: less is the U-Net's own
BACK = 0.9  # nearer to the photo than this share of the way to the last frame: it is the photo's
MOVED = 0.05  # squared deviations between last frame and photo, summed over channels: less is none


@dataclass(frozen=True)
class Chain:
    """Where a chain stands."""

    photo_BCHW: Tensor  # the first frame (1, 3, 8 H, 8 W), in −1..1
    first_BCHW: Tensor  # its latents (1, C, H, W), of deviation about one
    latents_BCHW: Tensor  # those of the last frame
    size: tuple[int, int]  # width and height of the photo

    def restarted(self, latents_BCHW: Tensor) -> Chain:
        """The same chain at other latents (1, C, H, W), such as those kept of an earlier step."""
        return replace(self, latents_BCHW=latents_BCHW.to(self.latents_BCHW))


@torch.inference_mode()
def begin_chain(pipe: ActionFramePipeline, photo: Image.Image) -> Chain:
    """A chain that begins with a photo.

    Raises:
        UserError: the photo is too long and narrow.
    """
    photo, config = upright(photo), pipe.config
    size = working_size(photo, config.sample_size, config.squeeze)
    frame = to_tensor([to_frame(photo, size, config.squeeze)])
    frame = frame.to(pipe._execution_device, pipe.unet.dtype)
    latents = pipe.encode_frames(frame) * autoencoder.latent_scale(pipe.vae)
    return Chain(frame, latents, latents, photo.size)


@torch.inference_mode()
def show(pipe: ActionFramePipeline, chain: Chain) -> Image.Image:
    """The last frame, in the photo's aspect."""
    return restore_aspect(to_pictures(_decoded(pipe, chain))[0], chain.size)


@torch.inference_mode()
def continue_chain(
    pipe: ActionFramePipeline,
    chain: Chain,
    action: str,
    description: str | None = None,
    seed: int = 0,
    name: str = "0",
) -> tuple[Chain, str]:
    """Draw one step from the last frame; the chain after it, and the step's description.

    Arguments:
        action: such as "open the drawer".
        description: how it is done; the enhancer writes it where it is not given.
        seed, name: what the step's noise follows from.
    Raises:
        UserError: an action that cannot be drawn.
    """
    config, scale = pipe.config, autoencoder.latent_scale(pipe.vae)
    words = check_action(action, config.articles)
    text, enhanced = description or words, None
    if pipe.enhancer is not None:
        frame = to_pictures(_decoded(pipe, chain))[0]
        if config.enhancer_sees == "photo":
            frame = restore_aspect(frame, chain.size)
        given = None if description is None else [description]
        enhanced = Enhancer(pipe.enhancer, pipe.processor)([frame], [words], given)
        text = enhanced.descriptions[0]
    told = named(words, text) if config.name_action else text
    drawn_BCHW = pipe.sample_latents(
        chain.latents_BCHW / scale,
        pipe.encode_text([told], enhanced),
        pipe.encode_text([""], enhanced, kept=False),
        Noise([own_stream(seed, name)]),
        Sampling(config.sampler, config.steps, config.text_guidance, config.image_guidance),
    )
    return replace(chain, latents_BCHW=_kept(drawn_BCHW, chain)), text


def _decoded(pipe: ActionFramePipeline, chain: Chain) -> Tensor:
    """The last frame (1, 3, 8 H, 8 W); while nothing is changed, the photo itself."""
    if torch.equal(chain.latents_BCHW, chain.first_BCHW):
        return chain.photo_BCHW
    return autoencoder.decode(pipe.vae, chain.latents_BCHW, chain.photo_BCHW)


def _kept(drawn_BCHW: Tensor, chain: Chain) -> Tensor:
    """Drawn latents, and the photo's or the last frame's where they are near the line between; how
    far along it, is a fit to the 3×3 neighbourhood, so that edges of what has changed stay."""
    first_BCHW, way_BCHW = chain.first_BCHW, chain.latents_BCHW - chain.first_BCHW
    along, length = (
        avg_pool2d((x * way_BCHW).sum(1, keepdim=True), 3, 1, 1, count_include_pad=False)
        for x in (drawn_BCHW - first_BCHW, way_BCHW)
    )
    share = torch.where(length > MOVED, along / length.clamp(min=MOVED), 0).clamp(0, 1)
    apart = (drawn_BCHW - first_BCHW - share * way_BCHW).square().mean(1, keepdim=True).sqrt()
    apart = avg_pool2d(apart, 3, 1, 1, count_include_pad=False)
    kept_BCHW = torch.where(share < BACK, first_BCHW, chain.latents_BCHW)
    return torch.where(apart < SAME, kept_BCHW, drawn_BCHW)
