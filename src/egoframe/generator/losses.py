"""What the generator's U-Net learns from.

Shape suffixes: B pairs, C channels, H height, W width, T tokens, D width, N times of the schedule.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

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
        weight_B1HW: of each place's error.
    """
    t = t_B.view(-1, 1, 1, 1)
    noisy = (1 - t) * clean_BCHW + t * noise_BCHW
    inputs = torch.cat((noisy, input_BCHW), 1)
    out = unet(inputs, 1000 * t_B, encoder_hidden_states=context_BTD).sample.float()
    velocity = 1 / t.clamp(min=SMALLEST_T) ** 2  # (ε − x) − (ε − x̂) = (x̂ − x) / t
    return (weight_B1HW * velocity * (out - clean_BCHW) ** 2).mean() / weight_B1HW.mean()


def noise_loss(
    unet: Any,
    clean_BCHW: Tensor,
    input_BCHW: Tensor,
    context_BTD: Tensor,
    t_B: Tensor,
    noise_BCHW: Tensor,
    alphas_cumprod_N: Tensor,
) -> Tensor:
    """LEGO's loss (Ho et al., 2020, eq. 14): the error of the noise that the U-Net predicts.

    Arguments:
        clean_BCHW: scaled latents of the action frames.
        input_BCHW: latents of the input frames, unscaled; zero where the image is dropped.
        t_B: whole numbers 0..N−1.
    """
    alpha = alphas_cumprod_N[t_B].view(-1, 1, 1, 1).to(clean_BCHW)
    noisy = alpha.sqrt() * clean_BCHW + (1 - alpha).sqrt() * noise_BCHW
    inputs = torch.cat((noisy, input_BCHW), 1)
    out = unet(inputs, t_B, encoder_hidden_states=context_BTD).sample.float()
    return mse_loss(out, noise_BCHW)
