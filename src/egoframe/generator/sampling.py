"""Samplers as short functions, in k-diffusion's form, and diffusers' schedulers beside them.

A latent x at noise level σ is the clean one plus σ times noise (Karras et al., 2022, eq. 1).
Shape suffixes: B pictures, C channels, H height, W width, N noise levels of the training.
"""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    UniPCMultistepScheduler,
)
from torch import Tensor

from egoframe.errors import UserError

SCHEDULERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "ddim": (
        DDIMScheduler,
        {"clip_sample": False, "set_alpha_to_one": False, "timestep_spacing": "trailing"},
    ),
    "dpm++2m": (DPMSolverMultistepScheduler, {"algorithm_type": "dpmsolver++"}),
    "unipc": (UniPCMultistepScheduler, {}),
}
SAMPLERS = ("scheduler", "euler_ancestral", *SCHEDULERS)

Predict = Callable[[Tensor, Tensor, Tensor], Tensor]  # (scaled latents, t, σ) → guided output
Progress = Callable[[int], None]  # told the number of steps done


@dataclass(frozen=True)
class Sampling:
    """How latents are drawn; the arguments are those of a call of the pipeline.

    Raises:
        UserError: a number out of its range.
    """

    sampler: str
    steps: int
    text_guidance: float
    image_guidance: float
    interval: tuple[float, float] = (0.0, 1.0)
    callback: Callable[[int, int], None] | None = None

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise UserError(f"steps {self.steps}: at least 1")
        for name in ("text_guidance", "image_guidance"):
            strength = getattr(self, name)
            if not math.isfinite(strength):
                raise UserError(f"{name} {strength}: give a number, such as 1.5")
        low, high = self.interval
        if not 0 <= low <= high <= 1:
            raise UserError(f"guidance_interval {low} {high}: give two shares, such as 0.2 0.8")

    def progress(self, step: int) -> None:
        if self.callback is not None:
            self.callback(step, self.steps)


class Noise:
    """Standard normal noise: one stream for each picture, drawn on the CPU."""

    def __init__(self, generators: Sequence[torch.Generator]) -> None:
        self.generators = list(generators)

    def __call__(self, like_BCHW: Tensor) -> Tensor:
        """The next noise of every picture's stream (B, C, H, W)."""
        shape = (1, *like_BCHW.shape[1:])
        drawn = [torch.randn(shape, generator=stream) for stream in self.generators]
        return torch.cat(drawn).to(like_BCHW)


class OneStream(Noise):
    """The release's noise: one stream, of which each picture takes what all its steps need."""

    def __init__(self, stream: torch.Generator, pictures: int, steps: int) -> None:
        super().__init__([stream] * pictures)
        self.steps = steps
        self.drawn: list[Tensor] = []

    def __call__(self, like_BCHW: Tensor) -> Tensor:
        if not self.drawn:
            shape = (self.steps, *like_BCHW.shape[1:])
            pictures = [torch.randn(shape, generator=stream) for stream in self.generators]
            self.drawn = list(torch.stack(pictures, 1))
        return self.drawn.pop(0).to(like_BCHW)


class DiscreteSigmas:
    """The noise levels of a discrete training, and the times between them.

    Levels lie between those of the training linearly in log σ, as in k-diffusion's denoiser for
    CompVis' models.
    """

    def __init__(self, alphas_cumprod_N: Tensor) -> None:
        alphas = alphas_cumprod_N.double()
        self.log_sigmas_N = (((1 - alphas) / alphas) ** 0.5).log().float()

    def at(self, t: Tensor) -> Tensor:
        """σ of (fractional) training times."""
        low, high, share = t.floor().long(), t.ceil().long(), t.frac()
        return ((1 - share) * self.log_sigmas_N[low] + share * self.log_sigmas_N[high]).exp()

    def time(self, sigma: Tensor) -> Tensor:
        """The fractional training time of a σ."""
        known = self.log_sigmas_N
        log_sigma = sigma.log()
        low = (torch.searchsorted(known, log_sigma, right=True) - 1).clamp(0, len(known) - 2)
        share = (known[low] - log_sigma) / (known[low] - known[low + 1])
        return low + share.clamp(0, 1)

    def steps(self, count: int) -> Tensor:
        """σ at each step, evenly spaced in time, from the noisiest to 0 (count + 1,)."""
        times = torch.linspace(len(self.log_sigmas_N) - 1, 0, count)
        return torch.cat((self.at(times), torch.zeros(1)))


def paper_scheduler() -> EulerAncestralDiscreteScheduler:
    """LEGO's noise schedule, which is Stable Diffusion's."""
    return EulerAncestralDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"
    )


def scaled_linear_alphas(scheduler: Any) -> Tensor:
    """Cumulative α of Stable Diffusion's noise schedule, in float64 (N,)."""
    told = scheduler.config
    ends = told.beta_start**0.5, told.beta_end**0.5
    betas = torch.linspace(*ends, told.num_train_timesteps, dtype=torch.float64) ** 2
    return (1 - betas).cumprod(0)


def sample_euler_ancestral(
    denoise: Callable[[Tensor, Tensor], Tensor],
    x_BCHW: Tensor,
    sigmas: Tensor,
    noise: Callable[[Tensor], Tensor],
    progress: Progress = lambda _: None,
) -> Tensor:
    """Euler steps down to σ_down, then noise up to the next σ (Song et al., 2021, DDIM with η = 1).

    Arguments:
        denoise: (x, σ) → the clean latents.
        x_BCHW: noise of deviation sigmas[0].
        sigmas: descending, the last one 0.
        noise: makes the noise that is added after a step.
    """
    for step, (sigma, then) in enumerate(itertools.pairwise(sigmas)):
        up = (then**2 * (sigma**2 - then**2) / sigma**2).sqrt()
        down = (then**2 - up**2).sqrt()
        slope = (x_BCHW - denoise(x_BCHW, sigma)) / sigma
        x_BCHW = x_BCHW + slope * (down - sigma)
        if then > 0:
            x_BCHW = x_BCHW + noise(x_BCHW) * up
        progress(step + 1)
    return x_BCHW


def sample_with_scheduler(
    predict: Predict,
    like_BCHW: Tensor,
    scheduler: Any,
    steps: int,
    noise: Noise,
    progress: Progress = lambda _: None,
) -> Tensor:
    """Sample with any of diffusers' schedulers; every picture has noise of its own."""
    if steps == 1 and scheduler.config.get("shift_terminal"):  # it takes two to stretch
        scheduler = scheduler.from_config(scheduler.config, shift_terminal=None)
    scheduler.set_timesteps(steps, device=like_BCHW.device)
    x_BCHW = noise(like_BCHW) * getattr(scheduler, "init_noise_sigma", 1.0)
    takes = inspect.signature(scheduler.step).parameters
    extra = {"generator": noise.generators} if "generator" in takes else {}
    sigmas = getattr(scheduler, "sigmas", scheduler.timesteps)
    for step, t in enumerate(scheduler.timesteps):
        scaled = x_BCHW
        if hasattr(scheduler, "scale_model_input"):
            scaled = scheduler.scale_model_input(x_BCHW, t)
        out = predict(scaled, t, sigmas[step])
        x_BCHW = scheduler.step(out, t, x_BCHW, return_dict=False, **extra)[0]
        progress(step + 1)
    return x_BCHW


def choose_scheduler(own: Any, sampler: str, steps: int) -> Any:
    """The scheduler of a sampler's name, with the noise levels of the model's own.

    Raises:
        UserError: no such sampler, the model has not learnt what it asks for, or too many steps.
    """
    if sampler not in SAMPLERS:
        raise UserError(f"sampler {sampler!r}: no such one; give one of {', '.join(SAMPLERS)}")
    if sampler == "scheduler":
        return own
    if own.config.get("beta_schedule") != "scaled_linear":
        raise UserError(
            f"sampler {sampler!r}: this model has not learnt from Stable Diffusion's noise "
            'schedule and is sampled by its own scheduler alone; give "scheduler"'
        )
    most = own.config.num_train_timesteps
    if steps >= most:
        raise UserError(f"steps {steps}: sampler {sampler!r} takes fewer than the {most} it learnt")
    if sampler == "euler_ancestral":
        if own.config.prediction_type != "epsilon":
            raise UserError(
                f"sampler {sampler!r}: this model predicts {own.config.prediction_type}, not "
                'noise; give "scheduler"'
            )
        return own
    kind, settings = SCHEDULERS[sampler]
    kept = ("beta_start", "beta_end", "beta_schedule", "num_train_timesteps", "prediction_type")
    return kind(**{name: own.config[name] for name in kept}, **settings)
