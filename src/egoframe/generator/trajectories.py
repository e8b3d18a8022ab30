"""The ways from noise to picture that a generator's samplers take, for distillation.

Shape suffixes: B pairs, S the teacher's steps.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers import LCMScheduler
from torch import Tensor

from egoframe.errors import UserError
from egoframe.generator.pipeline import ActionFramePipeline


class Trajectory:
    """The places that the teacher passes, and the phases that they fall into.

    Arguments:
        t_S: descending times, of a place each.
        starts: the places where phases begin, of which 0 is the first.
    """

    def __init__(self, t_S: Tensor, starts: Tensor) -> None:
        self.t, self.steps = t_S, len(t_S)
        bounds = torch.cat((starts, torch.tensor([self.steps])))
        places = torch.arange(self.steps)
        self.ends = bounds[torch.searchsorted(bounds, places, right=True)]

    def times(self, place_B: Tensor) -> Tensor:
        """What the network is told (B,)."""
        return self.t[place_B]

    def levels(self, place_B: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """How much there is of the clean latent, and of the noise, at some places."""
        raise NotImplementedError

    def clean(self, x: Tensor, out: Tensor, place_B: Tensor) -> Tensor:
        """The clean latent that an output of the network means."""
        raise NotImplementedError

    def mix(self, clean: Tensor, noise: Tensor, place_B: Tensor) -> Tensor:
        """The noisy latents at some places."""
        a, b = self.levels(place_B, clean)
        return a * clean + b * noise

    def step(self, x: Tensor, out: Tensor, place_B: Tensor, to_B: Tensor) -> Tensor:
        """From some places to later ones, without new noise, as an output leads there; in one step
        of Euler's, or of DDIM's (Song et al., 2021, eq. 12, σ = 0)."""
        a, b = self.levels(place_B, x)
        then_a, then_b = self.levels(to_B, x)
        clean = self.clean(x, out, place_B)
        return then_a * clean + then_b * (x - a * clean) / b

    def gain(self, place_B: Tensor, to_B: Tensor, like: Tensor) -> Tensor:
        """How far such a step moves when the clean latent moves by 1."""
        a, b = self.levels(place_B, like)
        then_a, then_b = self.levels(to_B, like)
        return then_a - then_b * a / b


class FlowTrajectory(Trajectory):
    """The straight line x_t = (1 − t) x + t ε, of a network that predicts x."""

    def times(self, place_B: Tensor) -> Tensor:
        """As `Trajectory.times`."""
        return 1000 * self.t[place_B]

    def levels(self, place_B: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """As `Trajectory.levels`."""
        t = torch.cat((self.t, torch.zeros(1)))[place_B].view(-1, 1, 1, 1).to(like)
        return 1 - t, t

    def clean(self, x: Tensor, out: Tensor, place_B: Tensor) -> Tensor:
        """As `Trajectory.clean`."""
        return out


class DiffusionTrajectory(Trajectory):
    """x_t = √ᾱ x + √(1−ᾱ) ε, of a network that predicts ε, or the velocity.

    Arguments:
        scheduler: of diffusers, with the noise schedule and what is predicted.
    """

    def __init__(self, t_S: Tensor, starts: Tensor, scheduler: Any) -> None:
        super().__init__(t_S, starts)
        self.alphas = torch.cat((scheduler.alphas_cumprod[t_S], torch.ones(1)))
        self.velocity = scheduler.config.prediction_type == "v_prediction"

    def levels(self, place_B: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """As `Trajectory.levels`."""
        alpha = self.alphas[place_B].view(-1, 1, 1, 1).to(like)
        return alpha.sqrt(), (1 - alpha).sqrt()

    def clean(self, x: Tensor, out: Tensor, place_B: Tensor) -> Tensor:
        """As `Trajectory.clean`."""
        a, b = self.levels(place_B, x)
        return a * x - b * out if self.velocity else (x - b * out) / a


def trajectory_of(teacher: ActionFramePipeline, teacher_steps: int, steps: int) -> Trajectory:
    """The teacher's steps, of which those nearest to the student's times begin its phases, and are
    moved to these times.

    Raises:
        UserError: the teacher predicts something else.
    """
    scheduler = teacher.scheduler
    if teacher.config.prediction == "sample":
        own = type(scheduler).from_config(scheduler.config)
        own.set_timesteps(teacher_steps)
        t_S = own.sigmas[:-1].float()
        own.set_timesteps(steps)
        asked = own.sigmas[:-1].float()
    elif scheduler.config.prediction_type in ("epsilon", "v_prediction"):
        own = lcm_scheduler(scheduler, teacher_steps)
        every = own.config.num_train_timesteps // teacher_steps
        t_S = torch.arange(teacher_steps, 0, -1) * every - 1
        own.set_timesteps(steps)
        asked = own.timesteps
    else:
        raise UserError(
            f"a model that predicts {scheduler.config.prediction_type} cannot be distilled"
        )
    starts = (t_S[:, None] - asked).abs().argmin(0)
    t_S[starts] = asked
    if teacher.config.prediction == "sample":
        return FlowTrajectory(t_S, starts)
    return DiffusionTrajectory(t_S, starts, own)


def lcm_scheduler(scheduler: Any, teacher_steps: int) -> Any:
    """The student's scheduler, where it is another than the teacher's."""
    return LCMScheduler.from_config(scheduler.config, original_inference_steps=teacher_steps)
