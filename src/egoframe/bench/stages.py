"""Times every stage of drawing, and diffusers' stock pipeline on the same weights."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import diffusers
import numpy as np
import torch
import transformers
from diffusers import AutoencoderKL, DDIMScheduler
from PIL import Image
from torch import Tensor

from egoframe.bench.machine import describe, flops, matmul_ceiling, peak_memory, seconds
from egoframe.bench.untrained import EMBED_DIM, IMAGE_TOKENS, WIDTHS, untrained
from egoframe.enhancer.model import Enhancement, Enhancer
from egoframe.frames import to_tensor
from egoframe.generator import autoencoder
from egoframe.generator.guidance import GuidedUNet
from egoframe.generator.pipeline import ActionFramePipeline
from egoframe.generator.sampling import Noise, Sampling, choose_scheduler
from egoframe.models import default_dtype, load, usable_device

ACTION = "open drawer"
WORDS = "the person reaches out with the right hand and pulls the drawer open towards the body"
SAID = 50  # text embeddings of a description without an enhancer


def measure(
    model: str,
    size: int,
    steps: int,
    batches: tuple[int, ...],
    repeats: int,
    device: str | None,
    dtype: str | None,
    compile: bool,
) -> Iterator[tuple[str, Any]]:
    """Open a model and measure it: names and figures, see `Bench.run`.

    Raises:
        UserError: no such model or device.
    """
    for library in (diffusers, transformers):  # whose notes would stand between the figures
        library.utils.logging.set_verbosity_error()
    start = time.perf_counter()
    where = usable_device(device)
    weights = getattr(torch, dtype) if dtype else default_dtype(where)
    if model in WIDTHS:
        pipe = untrained(model, size).to(where, weights)
        if compile:
            pipe.unet.compile(mode="reduce-overhead" if where.type == "cuda" else "default")
    else:
        pipe = load(model, device, weights, compile=compile)
    yield "machine", describe(where)
    yield "model", f"{model}, {pipe.config.sample_size}², {weights}, {steps} steps"
    yield "load", time.perf_counter() - start
    yield from Bench(pipe, steps, batches, repeats).run()


@dataclass(frozen=True)
class Bench:
    """What is measured, and how.

    Arguments:
        steps: of the sampler.
        batches: numbers of pictures that are drawn together.
        repeats: of each measurement; the least counts.
    """

    pipe: ActionFramePipeline
    steps: int = 10
    batches: tuple[int, ...] = (1, 8)
    repeats: int = 3

    @property
    def device(self) -> torch.device:
        return self.pipe._execution_device

    @property
    def comparable(self) -> bool:
        """Whether diffusers' own pipeline can draw with these weights."""
        told = self.pipe.config
        return (
            isinstance(self.pipe.vae, AutoencoderKL)
            and (told.predict, told.prediction) == ("latent", "scheduler")
            and self.pipe.scheduler.config.get("beta_schedule") == "scaled_linear"
        )

    @torch.inference_mode()
    def run(self) -> Iterator[tuple[str, Any]]:
        """Measure one thing after the other: its name, and what came out (times in seconds)."""
        if self.pipe.enhancer is not None:
            enhancer = Enhancer(self.pipe.enhancer, self.pipe.processor)
            photo = self._photos(1)
            yield "enhance", seconds(lambda: enhancer(photo, [ACTION]), self.device, self.repeats)
        one = Inputs.of(self, 1)
        pipe, settings = self.pipe, self._settings()
        yield "encode", seconds(lambda: Inputs.of(self, 1), self.device, self.repeats)
        with one.guided(self) as guided:
            x, t = one.noise(), torch.tensor(500.0)
            step = seconds(lambda: guided(x, t), self.device, max(5, self.repeats))
            yield "step", step
            work = flops(lambda: guided(x, t))
        latents = pipe.sample_latents(one.latents, one.full, one.empty, one.stream(), settings)
        yield (
            "decode",
            seconds(
                lambda: autoencoder.decode(pipe.vae, latents, one.frames), self.device, self.repeats
            ),
        )
        ceiling = matmul_ceiling(self.device, pipe.unet.dtype)
        yield "matmul_ceiling_tflops", ceiling / 1e12
        yield "step_share_of_ceiling", work / step / ceiling
        best = 0.0
        for batch in self.batches:
            inputs = Inputs.of(self, batch)
            ours = seconds(lambda: inputs.draw(self), self.device, self.repeats)  # noqa: B023
            told: dict[str, Any] = {"pictures_per_second": batch / ours}
            if self.comparable:
                stock = seconds(lambda: inputs.draw_stock(self), self.device, self.repeats)  # noqa: B023
                told["stock_pictures_per_second"] = batch / stock
                told["times_stock"] = stock / ours
                told["largest_difference"] = _apart(inputs.draw(self), inputs.draw_stock(self))
            best = max(best, batch / ours)
            told["share_of_ceiling"] = self.steps * batch * work / ours / ceiling
            yield f"batch_{batch}", told
        yield "pictures_per_second", best
        yield "peak_memory_gib", peak_memory(self.device) / 2**30

    def _settings(self) -> Sampling:
        told = self.pipe.config
        sampler = "ddim" if self.comparable else told.sampler
        return Sampling(sampler, self.steps, told.text_guidance, told.image_guidance)

    def _photos(self, count: int) -> list[Image.Image]:
        size = self.pipe.config.sample_size
        generator = np.random.default_rng(0)
        coarse = generator.integers(0, 256, (count, size // 16, size // 16, 3), dtype=np.uint8)
        return [Image.fromarray(c).resize((size, size), Image.Resampling.BICUBIC) for c in coarse]


@dataclass(frozen=True)
class Inputs:
    """What is worked out once for some pictures, before the first step."""

    photos: list[Image.Image]
    frames: Tensor
    latents: Tensor
    full: Tensor
    empty: Tensor

    @classmethod
    def of(cls, bench: Bench, count: int) -> Inputs:
        """Those of `count` pictures."""
        pipe, photos = bench.pipe, bench._photos(count)
        frames = to_tensor(photos).to(bench.device, pipe.unet.dtype)
        seen = _enhancement(pipe, photos)
        full = pipe.encode_text([WORDS] * count, seen)
        empty = pipe.encode_text([""], seen and seen.rows([0]), kept=False)
        return cls(photos, frames, pipe.encode_frames(frames), full, empty)

    def stream(self) -> Noise:
        return Noise([torch.Generator().manual_seed(k) for k in range(len(self.photos))])

    def noise(self) -> Tensor:
        return self.stream()(self.latents.float())

    def guided(self, bench: Bench) -> GuidedUNet:
        told = bench._settings()
        return GuidedUNet(
            bench.pipe.unet, self.full, self.empty, self.latents, told.text_guidance,
            told.image_guidance,
        )  # fmt: skip

    def draw(self, bench: Bench) -> Tensor:
        """From photos to frames (B, 3, H, W), contexts given: what the stock pipeline does too."""
        pipe = bench.pipe
        latents = pipe.sample_latents(
            pipe.encode_frames(self.frames), self.full, self.empty, self.stream(), bench._settings()
        )
        return autoencoder.decode(pipe.vae, latents, self.frames)

    def draw_stock(self, bench: Bench) -> Tensor:
        """The same by diffusers' own pipeline, as anybody would call it."""
        from diffusers import StableDiffusionInstructPix2PixPipeline  # tells much when imported

        pipe, told = bench.pipe, bench._settings()
        scheduler: Any = choose_scheduler(pipe.scheduler, "ddim")
        stock: Any = StableDiffusionInstructPix2PixPipeline(
            vae=pipe.vae, text_encoder=pipe.text_encoder, tokenizer=pipe.tokenizer, unet=pipe.unet,
            scheduler=DDIMScheduler.from_config(scheduler.config), safety_checker=None,
            feature_extractor=None, image_encoder=None, requires_safety_checker=False,
        )  # fmt: skip
        stock.set_progress_bar_config(disable=True)
        with torch.compiler.set_stance("force_eager"):  # as it comes, even where ours is compiled
            return stock(
                image=self.photos,
                prompt_embeds=self.full,
                negative_prompt_embeds=self.empty.expand_as(self.full),
                num_inference_steps=told.steps,
                guidance_scale=told.text_guidance,
                image_guidance_scale=told.image_guidance,
                latents=self.noise().to(self.latents.dtype),
                output_type="pt",
            ).images


def _enhancement(pipe: ActionFramePipeline, photos: list[Image.Image]) -> Enhancement | None:
    """What an enhancer would see and say; made up where the model has none."""
    count = len(photos)
    if pipe.conditioner is None:
        return None
    if pipe.enhancer is not None:
        enhancer = Enhancer(pipe.enhancer, pipe.processor)
        return enhancer(photos, [ACTION] * count, [WORDS] * count)
    generator = torch.Generator().manual_seed(0)
    said = torch.randn(count, 77, EMBED_DIM, generator=generator)
    said[:, SAID:] = 0
    seen = torch.randn(count, IMAGE_TOKENS, EMBED_DIM, generator=generator)
    return Enhancement([WORDS] * count, seen, said, said.any(-1))


def _apart(frames: Tensor, stock: Tensor) -> int:
    """The largest difference of two pictures' values, 0..255; ours lie in −1..1, theirs in 0..1."""
    ours = ((frames.float() + 1) * 127.5).round().clamp(0, 255)
    return int((ours - (stock.float() * 255).round()).abs().max())
