"""Trains the autoencoder on pairs: it draws the action frame again, beside the input frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from egoframe.frames import load_frames, to_signed
from egoframe.generator.autoencoder import InputAwareAutoencoder, encode, reconstruction_loss
from egoframe.generator.plain_autoencoder import (
    KL_WEIGHT,
    draw_again,
    new_plain,
    normalise_latents,
)
from egoframe.pairs import open_pairs
from egoframe.training import Batch, LoopConfig, fit
from egoframe.training.processes import start_whole


@dataclass(frozen=True)
class AutoencoderConfig:
    """One run of `egoframe train autoencoder`."""

    dataset: Path
    out: Path
    decoder: Literal["plain", "input-aware"] = "input-aware"
    latent_channels: int = 8
    latent_noise: float = 0.5  # most noise on the latent, for decoding what a sampler draws
    loop: LoopConfig = field(default_factory=LoopConfig)


def train_autoencoder(config: AutoencoderConfig) -> Any:
    """Train, normalise the latents, and write the model to `out/vae`; resumable.

    Returns:
        An `InputAwareAutoencoder`, or with a plain decoder an `AutoencoderKL`.
    """
    accelerator = start_whole(config)
    plain = config.decoder == "plain"
    dataset = open_pairs(config.dataset, "train")
    frames = load_frames(dataset)
    torch.manual_seed(config.loop.seed)
    model: Any = (new_plain if plain else InputAwareAutoencoder)(config.latent_channels)
    model.to(memory_format=torch.channels_last)  # a sixth faster on a CPU
    device = accelerator.device

    def loss(batch: Batch) -> Tensor:
        pair = to_signed(frames[batch.indices])
        flipped = batch.chance(0.5)
        pair = torch.where(flipped[:, None, None, None, None], pair.flip(-1), pair)
        before, action = pair[:, 0], pair[:, 1]
        same = batch.chance(0.1)  # nothing happens
        action = torch.where(same[:, None, None, None], before, action)
        before, action = before.to(device), action.to(device)
        size = (config.latent_channels, *(n // 8 for n in action.shape[-2:]))
        noise = batch.normal(*size)
        if plain:
            drawn, kl = draw_again(model, action, noise.to(device))
            return reconstruction_loss(drawn.float(), action, before) + KL_WEIGHT * kl
        latents = model.encode(action)
        level = config.latent_noise * batch.uniform().view(-1, 1, 1, 1)
        drawn = model.decode(latents + (level * noise).to(device), before)
        return reconstruction_loss(drawn.float(), action, before)

    weights = fit(model, loss, dataset["pair_id"], config)
    model.load_state_dict(weights)
    mean, std = measure_latents(model, frames)
    if plain:
        normalise_latents(model, mean, std)
    else:
        measured = {"latents_mean": tuple(mean.tolist()), "latents_std": tuple(std.tolist())}
        model = InputAwareAutoencoder(config.latent_channels, **measured)
        model.load_state_dict(weights)
    model.save_pretrained(config.out / "vae", is_main_process=accelerator.is_main_process)
    return model


@torch.no_grad()
def measure_latents(model: Any, frames: Tensor, count: int = 1000) -> tuple[Tensor, Tensor]:
    """Mean and deviation (C,) of each latent channel, over `count` pairs spread over the data."""
    chosen = torch.linspace(0, len(frames) - 1, min(count, len(frames))).long()
    latents = [encode(model, to_signed(frames[part]).flatten(0, 1)) for part in chosen.split(32)]
    whole = torch.cat(latents).transpose(0, 1).flatten(1)
    return whole.mean(1), whole.std(1)
