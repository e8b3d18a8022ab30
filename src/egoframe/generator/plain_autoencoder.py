"""The paper's kind of autoencoder at a small size: its decoder sees nothing but the latent.

Diffusers' `AutoencoderKL` (Rombach et al., 2022), so that any latent diffusion model's may take its
place.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers import AutoencoderKL
from torch import Tensor

WIDTHS = (32, 64, 128, 128)
KL_WEIGHT = 1e-6  # Rombach et al., 2022


def new_plain(latent_channels: int) -> Any:
    """An untrained one, which encodes frames to 1/8 of their size."""
    return AutoencoderKL(
        block_out_channels=WIDTHS,
        down_block_types=("DownEncoderBlock2D",) * len(WIDTHS),
        up_block_types=("UpDecoderBlock2D",) * len(WIDTHS),
        latent_channels=latent_channels,
        norm_num_groups=16,
        scaling_factor=1.0,
    )


def draw_again(vae: Any, frames_BCHW: Tensor, noise_BCHW: Tensor) -> tuple[Tensor, Tensor]:
    """Frames (−1..1), encoded and decoded again with noise (B, C, H/8, W/8); KL per value."""
    posterior = vae.encode(frames_BCHW).latent_dist
    latents = posterior.mean + posterior.std * noise_BCHW
    return vae.decode(latents).sample, posterior.kl().mean() / frames_BCHW[0].numel()


@torch.no_grad()
def normalise_latents(vae: Any, mean_C: Tensor, std_C: Tensor) -> None:
    """Fold a shift and a scale into the two 1×1 convolutions around the latent: latents of that
    mean and deviation become those of 0 and 1, and what is decoded stays as it was.
    """
    into, out_of = vae.quant_conv, vae.post_quant_conv
    channels = len(mean_C)
    scale = torch.cat((std_C, torch.ones_like(std_C)))
    into.weight.div_(scale[:, None, None, None])
    into.bias[:channels].sub_(mean_C).div_(std_C)
    into.bias[channels:].sub_(2 * std_C.log())  # of the posterior's variance
    out_of.bias.add_(out_of.weight[..., 0, 0] @ mean_C)
    out_of.weight.mul_(std_C[None, :, None, None])
