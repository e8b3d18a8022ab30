"""What the generator's U-Net learns from.

Shape suffixes: B pairs, C channels, H height, W width, T tokens, D width, N times of the schedule.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

SMALLEST_T = 0.5  # of flow matching; below it the weight of an error grows no more


def flow_loss(
    unet: Any,
    clean_BCHW: Tensor,
    input_BCHW: Tensor,
    context_BTD: Tensor,
    t_B: Tensor,
    noise_BCHW: Tensor,
    weight_B1HW: Tensor,
) -> Tensor:
    """Flow matching (Lipman et al., 2023) on the straight path x_t = (1 − t) x + t ε.

    The network predicts x itself; the loss is that of the velocity ε − x which follows from it (Li
    & He, 2025).

    Arguments:
        clean_BCHW: x, what is diffused.
        input_BCHW: latents of the input frames, zero where the image is dropped.
        t_B: 0..1.
        weight_B1HW: of each place's error; about 1 on average.
    Returns:
        The loss of each pair (B,).
    """
    t = t_B.view(-1, 1, 1, 1)
    noisy = (1 - t) * clean_BCHW + t * noise_BCHW
    inputs = torch.cat((noisy, input_BCHW), 1)
    out = unet(inputs, 1000 * t_B, encoder_hidden_states=context_BTD).sample.float()
    velocity = 1 / t.clamp(min=SMALLEST_T) ** 2  # (ε − x) − (ε − x̂) = (x̂ − x) / t
    return (weight_B1HW * velocity * (out - clean_BCHW) ** 2).mean((1, 2, 3))


def diffusion_loss(
    unet: Any,
    clean_BCHW: Tensor,
    input_BCHW: Tensor,
    context_BTD: Tensor,
    t_B: Tensor,
    noise_BCHW: Tensor,
    alphas_cumprod_N: Tensor,
    kind: Literal["noise", "velocity"] = "noise",
    min_snr: float | None = None,
) -> Tensor:
    """LEGO's loss (Ho et al., 2020, eq. 14), the error of the noise that the U-Net predicts; or
    that of the velocity √ᾱ ε − √(1−ᾱ) x (Salimans & Ho, 2022, appendix D).

    Arguments:
        clean_BCHW: x, scaled latents of the action frames.
        input_BCHW: latents of the input frames, unscaled; zero where the image is dropped.
        t_B: whole numbers 0..N−1.
        min_snr: γ; each pair's error weighs as that of x times min(SNR, γ) (Hang et al., 2023).
    Returns:
        The loss of each pair (B,).
    """
    alpha = alphas_cumprod_N[t_B].view(-1, 1, 1, 1).to(clean_BCHW)
    noisy = alpha.sqrt() * clean_BCHW + (1 - alpha).sqrt() * noise_BCHW
    inputs = torch.cat((noisy, input_BCHW), 1)
    out = unet(inputs, t_B, encoder_hidden_states=context_BTD).sample.float()
    target = noise_BCHW
    if kind == "velocity":
        target = alpha.sqrt() * noise_BCHW - (1 - alpha).sqrt() * clean_BCHW
    error_B = ((out - target) ** 2).mean((1, 2, 3))
    if min_snr is None:
        return error_B
    snr_B = (alpha / (1 - alpha)).flatten()
    times_B = snr_B if kind == "noise" else snr_B + 1  # x's error, times this, is the target's
    return error_B * snr_B.clamp(max=min_snr) / times_B
