"""`ActionFramePipeline`: a photo and an action in, the action frame out.

Shape suffixes: B pictures, C channels, H height, W width of latents, T tokens, D width.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from diffusers.utils import BaseOutput
from PIL import Image
from torch import Tensor

from egoframe.enhancer.model import Enhancement, Enhancer
from egoframe.errors import UserError
from egoframe.frames import to_tensor
from egoframe.generator import autoencoder
from egoframe.generator.adapters import AdaptedPipeline
from egoframe.generator.arguments import for_each, listed
from egoframe.generator.conditioner import Conditioner  # noqa: F401, diffusers looks for it
from egoframe.generator.familiarity import UNLIKE_PHOTO, UnfamiliarWarning
from egoframe.generator.guidance import GuidedUNet, onload
from egoframe.generator.photos import to_frame, working_size
from egoframe.generator.protocols import Protocol, choose_protocol
from egoframe.generator.sampling import (
    DiscreteSigmas,
    Noise,
    Sampling,
    choose_scheduler,
    sample_euler_ancestral,
    sample_with_scheduler,
    scaled_linear_alphas,
)
from egoframe.images import upright
from egoframe.pairs import check_action


@dataclass
class ActionFrameOutput(BaseOutput):
    """What `ActionFramePipeline` returns.

    Attributes:
        images: `num_images` for each input, in order.
        descriptions: of the action, one for each input.
        notes: for each input, what was warned of.
    """

    images: list[Image.Image]
    descriptions: list[str]
    notes: list[list[str]]


class ActionFramePipeline(AdaptedPipeline):
    """LEGO's generator with its enhancer.

    Arguments:
        vae: `InputAwareAutoencoder`, or diffusers' `AutoencoderKL` (the paper's).
        unet: takes the noisy latent ⊕ the input frame's latent.
        text_encoder, tokenizer: CLIP's.
        scheduler: any of diffusers'.
        conditioner: builds the cross-attention context; None takes the text alone, as
            InstructPix2Pix does.
        enhancer, processor: an image-text-to-text model of transformers; without them, a call needs
            an `enhancement`, or a model that has no conditioner.
        predict: what is diffused: the action frame's "latent", or its "change" from the input's.
        change_scale: deviation of that change, by which it is divided.
        prediction: what the U-Net puts out: what the "scheduler" expects, or, for flow matching,
            the clean "sample" itself, from which the velocity follows (Li & He, 2025).
        name_action: put the action's own words before its description.
        articles: keep "the" and "a" in actions; False where the model learnt from none.
        sample_size: side of the square whose area the model works at, in pixels.
        squeeze: photos are squeezed into that square, as LEGO's frames are; else they keep their
            aspect.
        enhancer_sees: the whole "photo", or the "frame" that the U-Net works on.
        sampler, steps, text_guidance, image_guidance: defaults of a call.
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

    model_cpu_offload_seq = "enhancer->text_encoder->conditioner->unet->vae"  # type: ignore
    _optional_components = ["conditioner", "enhancer", "processor"]  # noqa: RUF012, diffusers' form

    def __init__(
        self,
        vae: Any,
        unet: Any,
        text_encoder: Any,
        tokenizer: Any,
        scheduler: Any,
        conditioner: Any = None,
        enhancer: Any = None,
        processor: Any = None,
        predict: str = "latent",
        change_scale: float = 1.0,
        prediction: str = "scheduler",
        name_action: bool = False,
        articles: bool = True,
        sample_size: int = 256,
        squeeze: bool = False,
        enhancer_sees: str = "frame",
        sampler: str = "scheduler",
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
            squeeze=squeeze,
            enhancer_sees=enhancer_sees,
            sampler=sampler,
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
        enhancement: Enhancement | None = None,
        num_images: int = 1,
        sampler: str | None = None,
        steps: int | None = None,
        text_guidance: float | None = None,
        image_guidance: float | None = None,
        guidance_interval: tuple[float, float] = (0.0, 1.0),
        seed: int | Sequence[int] = 0,
        pair_ids: Sequence[str] | None = None,
        protocol: str = "corrected",
        callback: Callable[[int, int], None] | None = None,
        preview: Callable[[list[int], list[Image.Image]], None] | None = None,
    ) -> ActionFrameOutput:
        """Draw what the person would see while doing the action.

        Warns (`UnfamiliarWarning`) where the model never learnt from such a photo or such words.

        Arguments:
            image: a photo, or several; each is drawn upright and in its own aspect.
            action: such as "open the drawer"; one for all photos, or one for each.
            description: how it is done; the enhancer writes it where it is not given.
            enhance: False takes the words of the action for the description.
            enhancement: what the enhancer sees in these photos and says, from an earlier call.
            num_images: drawn for each photo, from different noise.
            sampler: one of `sampling.SAMPLERS`; "scheduler" is the model's own.
            steps: of the sampler.
            text_guidance, image_guidance: strengths of classifier-free guidance (InstructPix2Pix,
                eq. 3); 1 is none.
            guidance_interval: the share of noise levels, 0 (clean) to 1, which are guided.
            seed, pair_ids: the noise of a picture depends on these two and its number alone, not
                on the others that are drawn with it. One seed for all photos, or one for each.
            protocol: "corrected", or "paper" to draw and keep pictures as the release does.
            callback: called with (step, steps) after each step.
            preview: called before the callback of each step but the last with (numbers of photos,
                a picture for each as it looks so far), where the sampler knows: `euler_ancestral`,
                and models that predict the clean "sample". Each is decoded, which takes time.
        Raises:
            UserError: an action, description, photo or number that cannot be drawn from.
        """
        images = [upright(photo) for photo in listed(image)]
        count, config, way = len(images), self.config, choose_protocol(protocol)
        actions = [
            check_action(text, config.articles) for text in for_each(action, count, "actions")
        ]
        if description is not None and not enhance:
            raise UserError("a description is given and enhance is off; give one of the two")
        if enhancement is not None:
            if description is not None or not enhance:
                raise UserError("an enhancement has its description; give it alone")
            for_each(enhancement.descriptions, count, "rows of an enhancement")
        given = None if description is None else for_each(description, count, "descriptions")
        names = [str(k) for k in range(count)] if pair_ids is None else list(pair_ids)
        for_each(names, count, "pair_ids")
        seeds = for_each(seed, count, "seeds")
        settings = Sampling(
            config.sampler if sampler is None else sampler,
            config.steps if steps is None else steps,
            config.text_guidance if text_guidance is None else text_guidance,
            config.image_guidance if image_guidance is None else image_guidance,
            guidance_interval,
            callback,
        )
        if num_images < 1:
            raise UserError(f"num_images {num_images}: at least 1")
        sizes = [working_size(photo, config.sample_size, config.squeeze) for photo in images]
        known = self.familiarity
        notes = [list(known.unknown_words([text]) if known else ()) for text in actions]
        for line in dict.fromkeys(itertools.chain.from_iterable(notes)):
            warnings.warn(line, UnfamiliarWarning, stacklevel=3)
        warned = False
        noise = way.noise_source(seeds)
        drawn: dict[int, list[Image.Image]] = {}
        said: dict[int, str] = {}
        for size in dict.fromkeys(sizes):  # photos of one aspect are drawn together
            group = [k for k, own in enumerate(sizes) if own == size]
            small = [to_frame(images[k], size, config.squeeze) for k in group]
            acts = [actions[k] for k in group]
            texts = None if given is None else [given[k] for k in group]
            if enhancement is not None:
                enhanced: Enhancement | None = enhancement.rows(group)
            else:
                seen = [images[k] for k in group] if config.enhancer_sees == "photo" else small
                enhanced = self._enhance(seen, acts, texts, enhance, way)
            words = enhanced.descriptions if enhanced else (texts or acts)
            if known and enhanced:
                for place, k in enumerate(group):
                    if not known.knows(small[place], enhanced.image_embeds[place]):
                        notes[k].append(UNLIKE_PHOTO)
                if not warned and any(UNLIKE_PHOTO in own for own in notes):
                    warnings.warn(UNLIKE_PHOTO, UnfamiliarWarning, stacklevel=3)
                    warned = True
            each = [k for k in group for _ in range(num_images)]
            pictures = [
                (seeds[k], f"{names[k]}/{number}") for k in group for number in range(num_images)
            ]
            finish = partial(way.finish, sizes=[images[k].size for k in each])
            frames_BCHW = self._draw(
                to_tensor(small).to(self._execution_device, self.unet.dtype),
                list(map(named, acts, words)) if config.name_action else words,
                enhanced,
                noise(pictures, settings.steps),
                settings,
                partial(_show, preview, finish, group, num_images) if preview else None,
            )
            done = finish(frames_BCHW)
            for place, k in enumerate(group):
                drawn[k] = done[place * num_images : (place + 1) * num_images]
                said[k] = words[place]
        return ActionFrameOutput(
            images=[picture for k in range(count) for picture in drawn[k]],
            descriptions=[said[k] for k in range(count)],
            notes=notes,
        )

    def _enhance(
        self,
        images: list[Image.Image],
        actions: list[str],
        texts: list[str] | None,
        enhance: bool,
        protocol: Protocol,
    ) -> Enhancement | None:
        """What the enhancer sees and says; None where the model draws from words alone."""
        if self.enhancer is None:
            return None
        onload(self.enhancer)
        enhancer = Enhancer(self.enhancer, self.processor)
        if texts is not None or enhance:
            return enhancer(images, actions, texts, protocol.temperature, protocol.enhancer_seed)
        bare = enhancer(images, actions, actions)  # seen, but nothing said: as in training
        return replace(bare, text_embeds=torch.zeros_like(bare.text_embeds))

    def _draw(
        self,
        frames_BCHW: Tensor,
        texts: list[str],
        enhanced: Enhancement | None,
        noise: Noise,
        settings: Sampling,
        look: Callable[[Tensor], None] | None = None,
    ) -> Tensor:
        """Input frames (N, 3, H, W), a text for each, and noise for B pictures, a multiple of N → B
        drawn frames; `look` is shown them on the way."""
        times = len(noise.generators) // len(frames_BCHW)
        input_BCHW = self.encode_frames(frames_BCHW).repeat_interleave(times, 0)
        full = self.encode_text(texts, enhanced).repeat_interleave(times, 0)
        empty = self.encode_text([""], enhanced and enhanced.rows([0]), kept=False)
        each_BCHW = frames_BCHW.repeat_interleave(times, 0)

        def decode(latents_BCHW: Tensor) -> Tensor:
            onload(self.vae)
            return autoencoder.decode(self.vae, latents_BCHW, each_BCHW)

        watch = look and (lambda latents_BCHW: look(decode(latents_BCHW)))
        return decode(self.sample_latents(input_BCHW, full, empty, noise, settings, watch))

    def sample_latents(
        self,
        input_BCHW: Tensor,
        full_BTD: Tensor,
        empty_1TD: Tensor,
        noise: Noise,
        settings: Sampling,
        watch: Callable[[Tensor], None] | None = None,
    ) -> Tensor:
        """Draw the latents (B, C, H/8, W/8) of action frames.

        Arguments:
            input_BCHW: the input frames' latents.
            full_BTD, empty_1TD: contexts of the text, and of dropped text.
            noise: of every picture.
            watch: shown, after each step but the last, what that step took for the clean latents.
        """
        scheduler = choose_scheduler(self.scheduler, settings.sampler, settings.steps)
        guided = GuidedUNet(
            self.unet,
            full_BTD,
            empty_1TD,
            input_BCHW,
            settings.text_guidance,
            settings.image_guidance,
            settings.interval,
            scheduler.config.num_train_timesteps,
        )

        clean_BCHW: Tensor | None = None

        def finished(latents: Tensor) -> Tensor:
            if self.config.predict == "change":
                changed = input_BCHW + latents * self.config.change_scale
                latents = changed * autoencoder.latent_scale(self.vae)
            return latents.to(input_BCHW.dtype)

        def progress(step: int) -> None:
            if watch and clean_BCHW is not None and step < settings.steps:
                watch(finished(clean_BCHW))
            settings.progress(step)

        def predict(scaled_BCHW: Tensor, t: Tensor, sigma: Tensor) -> Tensor:
            nonlocal clean_BCHW
            out = guided(scaled_BCHW, t)
            if self.config.prediction == "sample":  # x_t = (1 − σ) x + σ ε; velocity is ε − x
                clean_BCHW = out
                return (scaled_BCHW - out) / sigma
            return out

        def denoise(x_BCHW: Tensor, sigma: Tensor) -> Tensor:
            nonlocal clean_BCHW
            noise_BCHW = guided(x_BCHW / (sigma**2 + 1).sqrt(), levels.time(sigma))
            clean_BCHW = x_BCHW - sigma * noise_BCHW
            return clean_BCHW

        like = input_BCHW[:, : self.unet.config.out_channels].float()
        with guided:
            if settings.sampler == "euler_ancestral":
                levels = DiscreteSigmas(scaled_linear_alphas(scheduler))
                sigmas = levels.steps(settings.steps)
                latents = sample_euler_ancestral(
                    denoise, noise(like) * sigmas[0], sigmas, noise, progress
                )
            else:
                latents = sample_with_scheduler(
                    predict, like, scheduler, settings.steps, noise, progress
                )
        return finished(latents)

    def encode_frames(self, frames_BCHW: Tensor) -> Tensor:
        """Frames (B, 3, H, W) in −1..1 → the latents that the U-Net sees of the input frame."""
        onload(self.vae)
        return autoencoder.encode(self.vae, frames_BCHW)

    def encode_text(
        self, texts: list[str], enhanced: Enhancement | None = None, kept: bool = True
    ) -> Tensor:
        """The cross-attention context (B, T, D) of texts; with `kept` False, that of dropped text.

        Raises:
            UserError: the model has a conditioner, and no enhancement is given.
        """
        device, dtype = self._execution_device, self.unet.dtype
        tokens = self.tokenizer(
            texts, padding="max_length", truncation=True, max_length=77, return_tensors="pt"
        )
        text = self.text_encoder(tokens.input_ids.to(device)).last_hidden_state
        if self.conditioner is None:
            return text
        if enhanced is None:
            raise UserError(
                "this model draws from its enhancer's embeddings too; open it with its enhancer, "
                "or give an enhancement"
            )
        flags = torch.full((len(texts),), kept, device=device)
        image_embeds, text_embeds = (
            x.to(device, dtype) for x in (enhanced.image_embeds, enhanced.text_embeds)
        )
        return self.conditioner(text, image_embeds, text_embeds, flags)


def named(action: str, description: str) -> str:
    """A description with the action's own words before it."""
    return action if description == action else f"{action}. {description}"


def _show(
    preview: Callable[[list[int], list[Image.Image]], None],
    finish: Callable[[Tensor], list[Image.Image]],
    group: list[int],
    num_images: int,
    frames_BCHW: Tensor,
) -> None:
    """The first picture of each photo in a group, as it looks so far."""
    preview(group, finish(frames_BCHW)[::num_images])
