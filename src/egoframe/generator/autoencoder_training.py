"""Trains the autoencoder on pairs: it draws the action frame again, beside the input frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from egoframe.errors import UserError
from egoframe.frames import load_frames, to_signed
from egoframe.generator.autoencoder import (
    InputAwareAutoencoder,
    encode,
    open_autoencoder,
    reconstruction_loss,
)
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
    start_from: Path | None = None  # one whose decoder goes on learning; latents stay
    latent_channels: int = 8
    latent_noise: float = 0.5  # most noise on the latent, for decoding what a sampler draws
    loop: LoopConfig = field(default_factory=LoopConfig)


def train_autoencoder(config: AutoencoderConfig) -> Any:
    """Train, normalise the latents, and write the model to `out/vae`; resumable.

    Returns:
        An `InputAwareAutoencoder`, or with a plain decoder an `AutoencoderKL`.
    Raises:
        UserError: `start_from` holds none of that kind.
    """
    accelerator = start_whole(config)
    plain = config.decoder == "plain"
    dataset = open_pairs(config.dataset, "train")
    frames = load_frames(dataset)
    torch.manual_seed(config.loop.seed)
    if config.start_from is None:
        model: Any = (new_plain if plain else InputAwareAutoencoder)(config.latent_channels)
    else:
        model = _with_learning_decoder(config.start_from, plain)
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
        size = (model.config.latent_channels, *(n // 8 for n in action.shape[-2:]))
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
    if config.start_from is None:
        model = _normalised(model, frames)
    model.save_pretrained(config.out / "vae", is_main_process=accelerator.is_main_process)
    return model


def _with_learning_decoder(folder: Path, plain: bool) -> Any:
    model = open_autoencoder(folder)
    if isinstance(model, InputAwareAutoencoder) == plain:
        raise UserError(f"start_from={folder}: its decoder is of the other kind; set decoder")
    for part in (model.encoder, model.quant_conv) if plain else (model.encoder,):
        part.requires_grad_(False)
    return model


def _normalised(model: Any, frames: Tensor) -> Any:
    """A trained autoencoder whose latents have mean 0 and deviation 1 in each channel."""
    mean, std = measure_latents(model, frames)
    if not isinstance(model, InputAwareAutoencoder):
        normalise_latents(model, mean, std)
        return model
    measured = {"latents_mean": tuple(mean.tolist()), "latents_std": tuple(std.tolist())}
    normal = InputAwareAutoencoder(model.config.latent_channels, **measured)
    normal.load_state_dict(model.state_dict())
    return normal


@torch.no_grad()
def measure_latents(model: Any, frames: Tensor, count: int = 1000) -> tuple[Tensor, Tensor]:
    """Mean and deviation (C,) of each latent channel, over `count` pairs spread over the data."""
    chosen = torch.linspace(0, len(frames) - 1, min(count, len(frames))).long()
    latents = [encode(model, to_signed(frames[part]).flatten(0, 1)) for part in chosen.split(32)]
    whole = torch.cat(latents).transpose(0, 1).flatten(1)
    return whole.mean(1), whole.std(1)
