"""Times every stage of drawing, and diffusers' stock pipeline on the same weights."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import diffusers
import numpy as np
import torch
import transformers
from diffusers import AutoencoderKL
from PIL import Image
from torch import Tensor

from egoframe import machine
from egoframe.bench.untrained import EMBED_DIM, IMAGE_TOKENS, WIDTHS, untrained
from egoframe.enhancer.model import Enhancement, Enhancer
from egoframe.frames import to_pictures, to_tensor
from egoframe.generator import autoencoder
from egoframe.generator.guidance import GuidedUNet
from egoframe.generator.pipeline import ActionFramePipeline
from egoframe.generator.sampling import Noise, Sampling, choose_scheduler
from egoframe.models import default_dtype, load, quicken, usable_device

ACTION = "open drawer"
WORDS = "the person reaches out with the right hand and pulls the drawer open towards the body"
SAID = 50  # text embeddings of a description without an enhancer
SAMPLER = "ddim"  # which draws the same in both pipelines


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
        quicken(pipe, where, compile)
    else:
        pipe = load(model, device, weights, compile=compile)
    yield "machine", machine.describe(where)
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
        """Measure one thing after the other: its name, and what came out.

        Times are in seconds. A share of the ceiling is that of the operations in the U-Net alone,
        over the time of all that is timed.
        """
        pipe = self.pipe
        if pipe.enhancer is not None:
            enhancer = Enhancer(pipe.enhancer, pipe.processor)
            yield "enhance", self._time(partial(enhancer, self._photos(1), [ACTION]))
        one = Inputs(self, 1)
        yield "encode", self._time(one.encode)
        x, t = one.noise()(one.latents.float()), torch.tensor(500.0)
        with one.guided() as guided:
            step = self._time(partial(guided, x, t))
            work = machine.flops(partial(guided, x, t))
        yield "step", step
        yield "decode", self._time(partial(autoencoder.decode, pipe.vae, one.latents, one.frames))
        ceiling = machine.matmul_ceiling(self.device, pipe.unet.dtype)
        yield "matmul_ceiling_tflops", ceiling / 1e12
        yield "step_share_of_ceiling", work / step / ceiling
        best = 0.0
        for batch in self.batches:
            told = self._compare(Inputs(self, batch))
            rate = told["pictures_per_second"]
            told["share_of_ceiling"] = self.steps * work * rate / ceiling
            best = max(best, rate)
            yield f"batch_{batch}", told
        yield "pictures_per_second", best

    def _compare(self, inputs: Inputs) -> dict[str, Any]:
        """Draw some pictures together, and let diffusers' own pipeline do so too."""
        machine.forget_peak(self.device)
        drawn = inputs.draw()
        memory = machine.peak_memory(self.device)
        if not self.comparable:
            taken = self._time(inputs.draw)
            return {"pictures_per_second": inputs.count / taken, "peak_memory_gib": memory / 2**30}
        stock = inputs.stock()
        apart = _apart(drawn, inputs.draw_stock(stock))
        works: list[Any] = [inputs.draw, partial(inputs.draw_stock, stock)]
        ours, theirs = machine.seconds(works, self.device, self.repeats)
        return {
            "pictures_per_second": inputs.count / ours,
            "stock_pictures_per_second": inputs.count / theirs,
            "times_stock": theirs / ours,
            "largest_difference": apart,
            "peak_memory_gib": memory / 2**30,
        }

    def _time(self, work: Any) -> float:
        return machine.seconds([work], self.device, self.repeats)[0]

    def _photos(self, count: int) -> list[Image.Image]:
        size = self.pipe.config.sample_size
        generator = np.random.default_rng(0)
        coarse = generator.integers(0, 256, (count, size // 16, size // 16, 3), dtype=np.uint8)
        return [Image.fromarray(c).resize((size, size), Image.Resampling.BICUBIC) for c in coarse]


class Inputs:
    """Some pictures to draw, and what is worked out once for them."""

    def __init__(self, bench: Bench, count: int) -> None:
        self.pipe, self.count = bench.pipe, count
        told = self.pipe.config
        sampler = SAMPLER if bench.comparable else told.sampler
        self.settings = Sampling(sampler, bench.steps, told.text_guidance, told.image_guidance)
        self.photos = bench._photos(count)
        self.frames = to_tensor(self.photos).to(bench.device, self.pipe.unet.dtype)
        self.seen = _enhancement(self.pipe, self.photos)
        self.latents, self.full, self.empty = self.encode()

    def encode(self) -> tuple[Tensor, Tensor, Tensor]:
        """Latents of the input frames, contexts of the text and of dropped text."""
        pipe, seen = self.pipe, self.seen
        full = pipe.encode_text([WORDS] * self.count, seen)
        empty = pipe.encode_text([""], seen and seen.rows([0]), kept=False)
        return pipe.encode_frames(self.frames), full, empty

    def noise(self) -> Noise:
        return Noise([torch.Generator().manual_seed(k) for k in range(self.count)])

    def guided(self) -> GuidedUNet:
        guidance = self.settings.text_guidance, self.settings.image_guidance
        return GuidedUNet(self.pipe.unet, self.full, self.empty, self.latents, *guidance)

    def draw(self) -> Tensor:
        """From frames and contexts to drawn frames (B, 3, H, W) in −1..1."""
        latents = self.pipe.sample_latents(
            self.pipe.encode_frames(self.frames), self.full, self.empty, self.noise(), self.settings
        )
        return autoencoder.decode(self.pipe.vae, latents, self.frames)

    def stock(self) -> Any:
        """diffusers' own pipeline for these weights."""
        from diffusers import StableDiffusionInstructPix2PixPipeline  # tells much when imported

        pipe = self.pipe
        stock: Any = StableDiffusionInstructPix2PixPipeline(
            vae=pipe.vae, text_encoder=pipe.text_encoder, tokenizer=pipe.tokenizer, unet=pipe.unet,
            scheduler=choose_scheduler(pipe.scheduler, SAMPLER, self.settings.steps),
            safety_checker=None, feature_extractor=None, image_encoder=None,
            requires_safety_checker=False,
        )  # fmt: skip
        stock.set_progress_bar_config(disable=True)
        return stock

    def draw_stock(self, stock: Any) -> Tensor:
        """The same by that pipeline: drawn frames (B, 3, H, W) in 0..1."""
        with torch.compiler.set_stance("force_eager"):  # as it comes, even where ours is compiled
            return stock(
                image=self.frames,
                prompt_embeds=self.full,
                negative_prompt_embeds=self.empty.expand_as(self.full),
                num_inference_steps=self.settings.steps,
                guidance_scale=self.settings.text_guidance,
                image_guidance_scale=self.settings.image_guidance,
                latents=self.noise()(self.latents),
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


def _apart(frames_BCHW: Tensor, stock_BCHW: Tensor) -> int:
    """The largest difference of two pictures' values, 0..255."""
    pictures = zip(to_pictures(frames_BCHW), to_pictures(2 * stock_BCHW - 1), strict=True)
    return max(int(np.abs(np.asarray(a, int) - np.asarray(b, int)).max()) for a, b in pictures)
