"""`ActionFramePipeline`: a photo and an action in, the action frame out.

Shape suffixes: B pictures, C channels, H height, W width of latents, T tokens, D width.
"""

from __future__ import annotations

import hashlib
import inspect
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.utils import BaseOutput
from PIL import Image
from torch import Tensor

from egoframe.enhancer.model import Enhancement, Enhancer
from egoframe.errors import UserError
from egoframe.frames import to_pictures, to_tensor
from egoframe.generator import autoencoder
from egoframe.generator.conditioner import Conditioner  # noqa: F401, diffusers looks for it
from egoframe.generator.familiarity import UNLIKE_PHOTO, Familiarity, UnfamiliarWarning
from egoframe.images import upright
from egoframe.pairs import check_action

GRAIN = 32  # pixels: sides of the pictures that the model works on are multiples of it
MAX_ASPECT = 4  # longer side of a photo to its shorter one


@dataclass
class ActionFrameOutput(BaseOutput):
    """What `ActionFramePipeline` returns.

    Attributes:
        images: `num_images` for each input, in order.
        descriptions: of the action, one for each input.
    """

    images: list[Image.Image]
    descriptions: list[str]


class ActionFramePipeline(DiffusionPipeline):
    """LEGO's generator with its enhancer.

    Arguments:
        vae: `InputAwareAutoencoder`, or diffusers' `AutoencoderKL` (the paper's).
        unet: takes the noisy latent ⊕ the input frame's latent.
        text_encoder, tokenizer: CLIP's.
        scheduler: any of diffusers'.
        conditioner: builds the cross-attention context.
        enhancer, processor: an image-text-to-text model of transformers; None draws from the words
            of the action alone.
        predict: what is diffused: the action frame's "latent", or its "change" from the input's.
        change_scale: deviation of that change, by which it is divided.
        prediction: what the U-Net puts out: what the "scheduler" expects, or, for flow matching,
            the clean "sample" itself, from which the velocity follows (Li & He, 2025).
        name_action: put the action's own words before its description.
        articles: keep "the" and "a" in actions; False where the model learnt from none.
        sample_size: side of the square whose area the model works at, in pixels.
        steps, text_guidance, image_guidance: defaults of a call.
    """

    vae: Any
    unet: Any
    text_encoder: Any
    tokenizer: Any
    scheduler: Any
    conditioner: Any
    enhancer: Any
    processor: Any
    config: Any
    familiarity: Familiarity | None = None  # set by `egoframe.load`, where a model has it

    model_cpu_offload_seq = "enhancer->text_encoder->conditioner->unet->vae"  # type: ignore
    _optional_components = ["enhancer", "processor"]  # noqa: RUF012, diffusers' own form

    def __init__(
        self,
        vae: Any,
        unet: Any,
        text_encoder: Any,
        tokenizer: Any,
        scheduler: Any,
        conditioner: Any,
        enhancer: Any = None,
        processor: Any = None,
        predict: str = "latent",
        change_scale: float = 1.0,
        prediction: str = "scheduler",
        name_action: bool = False,
        articles: bool = True,
        sample_size: int = 256,
        steps: int = 100,
        text_guidance: float = 7.5,
        image_guidance: float = 1.5,
    ) -> None:
        super().__init__()
        self.register_modules(
            vae=vae,
            unet=unet,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            scheduler=scheduler,
            conditioner=conditioner,
            enhancer=enhancer,
            processor=processor,
        )
        self.register_to_config(
            predict=predict,
            change_scale=change_scale,
            prediction=prediction,
            name_action=name_action,
            articles=articles,
            sample_size=sample_size,
            steps=steps,
            text_guidance=text_guidance,
            image_guidance=image_guidance,
        )

    @torch.inference_mode()
    def __call__(
        self,
        image: Image.Image | Sequence[Image.Image],
        action: str | Sequence[str],
        description: str | Sequence[str] | None = None,
        enhance: bool = True,
        num_images: int = 1,
        steps: int | None = None,
        text_guidance: float | None = None,
        image_guidance: float | None = None,
        seed: int = 0,
        pair_ids: Sequence[str] | None = None,
        callback: Callable[[int, int], None] | None = None,
    ) -> ActionFrameOutput:
        """Draw what the person would see while doing the action.

        Warns (`UnfamiliarWarning`) where the model never learnt from such a photo or such words.

        Arguments:
            image: a photo, or several; each is drawn upright and in its own aspect.
            action: such as "open the drawer"; one for all photos, or one for each.
            description: how it is done; the enhancer writes it where it is not given.
            enhance: False takes the words of the action for the description.
            num_images: drawn for each photo, from different noise.
            steps: of the sampler.
            text_guidance, image_guidance: strengths of classifier-free guidance (InstructPix2Pix,
                eq. 3); 1 is none.
            seed, pair_ids: the noise of a picture depends on these two and its number alone, not
                on the others that are drawn with it.
            callback: called with (step, steps) after each step.
        Raises:
            UserError: an action, description, photo or number that cannot be drawn from.
        """
        images = [upright(photo) for photo in _listed(image)]
        count, config = len(images), self.config
        actions = [
            check_action(text, config.articles) for text in _for_each(action, count, "actions")
        ]
        if description is not None and not enhance:
            raise UserError("a description is given and enhance is off; give one of the two")
        given = None if description is None else _for_each(description, count, "descriptions")
        names = [str(k) for k in range(count)] if pair_ids is None else list(pair_ids)
        _for_each(names, count, "pair_ids")
        steps = config.steps if steps is None else steps
        text_guidance = config.text_guidance if text_guidance is None else text_guidance
        image_guidance = config.image_guidance if image_guidance is None else image_guidance
        _check_numbers(num_images, steps, text_guidance, image_guidance)
        sizes = [_working_size(photo, config.sample_size) for photo in images]
        known, told = self.familiarity, False
        for line in known.unknown_words(actions) if known else ():
            warnings.warn(line, UnfamiliarWarning, stacklevel=3)
        drawn: dict[int, list[Image.Image]] = {}
        said: dict[int, str] = {}
        for size in dict.fromkeys(sizes):  # photos of one aspect are drawn together
            group = [k for k, own in enumerate(sizes) if own == size]
            small = [images[k].resize(size, Image.Resampling.BOX) for k in group]
            texts = None if given is None else [given[k] for k in group]
            enhanced = self._enhance(small, [actions[k] for k in group], texts, enhance)
            if known and not told and not all(map(known.knows, small, enhanced.image_embeds)):
                told = True
                warnings.warn(UNLIKE_PHOTO, UnfamiliarWarning, stacklevel=3)
            generators = [
                _generator(seed, names[k], number) for k in group for number in range(num_images)
            ]
            words = enhanced.descriptions
            if config.name_action:
                words = list(map(named, [actions[k] for k in group], words))
            pictures = self._draw(
                small,
                words,
                enhanced,
                num_images,
                steps,
                text_guidance,
                image_guidance,
                generators,
                callback,
            )
            for place, k in enumerate(group):
                own = pictures[place * num_images : (place + 1) * num_images]
                drawn[k] = [_restore_aspect(picture, images[k]) for picture in own]
                said[k] = enhanced.descriptions[place]
        return ActionFrameOutput(
            images=[picture for k in range(count) for picture in drawn[k]],
            descriptions=[said[k] for k in range(count)],
        )

    def _enhance(
        self,
        images: list[Image.Image],
        actions: list[str],
        texts: list[str] | None,
        enhance: bool,
    ) -> Enhancement:
        if self.enhancer is None:
            nothing = torch.zeros(len(images), 0, 1)
            return Enhancement(texts or actions, nothing, nothing, nothing[..., 0].bool())
        enhancer = Enhancer(self.enhancer, self.processor)
        if texts is not None or enhance:
            return enhancer(images, actions, texts)
        bare = enhancer(images, actions, actions)  # seen, but nothing said: as in training
        return replace(bare, text_embeds=torch.zeros_like(bare.text_embeds))

    def _draw(
        self,
        images: list[Image.Image],
        texts: list[str],
        enhanced: Enhancement,
        num_images: int,
        steps: int,
        text_guidance: float,
        image_guidance: float,
        generators: list[torch.Generator],
        callback: Callable[[int, int], None] | None,
    ) -> list[Image.Image]:
        device, dtype = self._execution_device, self.unet.dtype
        frames_BCHW = to_tensor(images).to(device, dtype)
        input_BCHW = self.encode_frames(frames_BCHW).repeat_interleave(num_images, 0)
        full = self.encode_text(texts, enhanced)
        empty = self.encode_text([""] * len(images), enhanced, kept=False)
        full, empty = (x.repeat_interleave(num_images, 0) for x in (full, empty))
        none = torch.zeros_like(input_BCHW)
        branches = [
            (weight, context, latent)
            for weight, context, latent in (
                (text_guidance, full, input_BCHW),
                (image_guidance - text_guidance, empty, input_BCHW),
                (1 - image_guidance, empty, none),
            )
            if weight != 0
        ]
        context = torch.cat([branch[1] for branch in branches])
        condition = torch.cat([branch[2] for branch in branches])
        weights = torch.tensor([branch[0] for branch in branches], device=device, dtype=dtype)

        shape = (1, self.unet.config.out_channels, *input_BCHW.shape[-2:])
        noise = [torch.randn(shape, generator=g, dtype=torch.float32) for g in generators]
        scheduler = self.scheduler
        if steps == 1 and scheduler.config.get("shift_terminal"):  # it takes two to stretch
            scheduler = scheduler.from_config(scheduler.config, shift_terminal=None)
        scheduler.set_timesteps(steps, device=device)
        start = getattr(scheduler, "init_noise_sigma", 1.0)
        latents_BCHW = torch.cat(noise).to(device, dtype) * start
        takes = inspect.signature(scheduler.step).parameters
        extra = {"generator": generators} if "generator" in takes else {}
        for step, t in enumerate(scheduler.timesteps):
            scaled = latents_BCHW
            if hasattr(scheduler, "scale_model_input"):
                scaled = scheduler.scale_model_input(latents_BCHW, t)
            noisy = torch.cat((scaled.repeat(len(branches), 1, 1, 1), condition), 1)
            out = self.unet(noisy, t, encoder_hidden_states=context, return_dict=False)[0]
            guided = torch.einsum("g,gbchw->bchw", weights, out.unflatten(0, (len(branches), -1)))
            if self.config.prediction == "sample":  # x_t = (1 − σ) x + σ ε; velocity is ε − x
                guided = (latents_BCHW - guided) / scheduler.sigmas[step]
            latents_BCHW = scheduler.step(guided, t, latents_BCHW, return_dict=False, **extra)[0]
            if callback is not None:
                callback(step + 1, steps)
        if self.config.predict == "change":
            latents_BCHW = input_BCHW + latents_BCHW * self.config.change_scale
        return self.decode_latents(latents_BCHW, frames_BCHW.repeat_interleave(num_images, 0))

    def encode_frames(self, frames_BCHW: Tensor) -> Tensor:
        """Frames (B, 3, H, W) in −1..1 → the latents that the U-Net sees of the input frame."""
        return autoencoder.encode(self.vae, frames_BCHW)

    def decode_latents(self, latents_BCHW: Tensor, frames_BCHW: Tensor) -> list[Image.Image]:
        """Latents → pictures; `frames_BCHW` are the input frames (B, 3, H, W)."""
        return to_pictures(autoencoder.decode(self.vae, latents_BCHW, frames_BCHW))

    def encode_text(self, texts: list[str], enhanced: Enhancement, kept: bool = True) -> Tensor:
        """The cross-attention context of texts; with `kept` False, that of dropped text."""
        device, dtype = self._execution_device, self.unet.dtype
        tokens = self.tokenizer(
            texts, padding="max_length", truncation=True, max_length=77, return_tensors="pt"
        )
        text = self.text_encoder(tokens.input_ids.to(device)).last_hidden_state
        flags = torch.full((len(texts),), kept, device=device)
        image_embeds, text_embeds = (
            x.to(device, dtype) for x in (enhanced.image_embeds, enhanced.text_embeds)
        )
        return self.conditioner(text, image_embeds, text_embeds, flags)


def named(action: str, description: str) -> str:
    """A description with the action's own words before it."""
    return action if description == action else f"{action}. {description}"


def _listed(image: Image.Image | Sequence[Image.Image]) -> list[Image.Image]:
    return [image] if isinstance(image, Image.Image) else list(image)


def _for_each(given: str | Sequence[str], count: int, name: str) -> list[str]:
    """One text for each of `count` photos."""
    texts = [given] * count if isinstance(given, str) else list(given)
    if len(texts) != count:
        raise UserError(f"{len(texts)} {name} for {count} photos; give one for each")
    return texts


def _check_numbers(
    num_images: int, steps: int, text_guidance: float, image_guidance: float
) -> None:
    for name, number in (("num_images", num_images), ("steps", steps)):
        if number < 1:
            raise UserError(f"{name} {number}: at least 1")
    for name, strength in (("text_guidance", text_guidance), ("image_guidance", image_guidance)):
        if not math.isfinite(strength):
            raise UserError(f"{name} {strength}: give a number, such as 1.5")


def _generator(seed: int, pair_id: str, number: int) -> torch.Generator:
    """The noise of one picture: from (seed, pair id, number) alone."""
    digest = hashlib.sha256(f"{seed}/{pair_id}/{number}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def _working_size(image: Image.Image, sample_size: int) -> tuple[int, int]:
    """Width and height, multiples of GRAIN, nearest to the image's aspect at the model's area."""
    if max(image.size) > MAX_ASPECT * min(image.size):
        raise UserError(
            f"a photo of {image.width}×{image.height} is too long and narrow to draw; crop it to "
            f"at most {MAX_ASPECT}:1"
        )
    ratio = (image.width / image.height) ** 0.5
    width = max(GRAIN, round(sample_size * ratio / GRAIN) * GRAIN)
    height = max(GRAIN, round(sample_size / ratio / GRAIN) * GRAIN)
    return width, height


def _restore_aspect(picture: Image.Image, original: Image.Image) -> Image.Image:
    """A drawn picture, stretched the little that gives it the original's aspect again."""
    if picture.width * original.height == picture.height * original.width:
        return picture
    area = picture.width * picture.height
    ratio = (original.width / original.height) ** 0.5
    size = (max(1, round(area**0.5 * ratio)), max(1, round(area**0.5 / ratio)))
    return picture.resize(size, Image.Resampling.BICUBIC)
