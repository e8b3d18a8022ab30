"""An autoencoder whose decoder also sees the input frame.

Most of an action frame is the input frame, slightly moved. So the decoder takes full-resolution
features of the input frame beside the latent, and how the latent differs from the input frame's
own. It composes its output from the input, warped by a small flow, and from newly drawn pixels, by
a gate. Compare diffusers' `AsymmetricAutoencoderKL`
(Zhu et al., 2023), which conditions its decoder on a masked image.

Shape suffixes: B pictures, C channels, H height, W width, at the scale that the text says.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from egoframe.errors import UserError


class _Block(nn.Module):
    """Two 3×3 convolutions, pre-activation, with a residual connection."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.GroupNorm(8, channels_in),
            nn.SiLU(),
            nn.Conv2d(channels_in, channels_out, 3, padding=1),
            nn.GroupNorm(8, channels_out),
            nn.SiLU(),
            nn.Conv2d(channels_out, channels_out, 3, padding=1),
        )
        same = channels_in == channels_out
        self.skip = nn.Identity() if same else nn.Conv2d(channels_in, channels_out, 1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.skip(x_BCHW) + self.layers(x_BCHW)


class InputAwareAutoencoder(ModelMixin, ConfigMixin):
    """Encodes a frame to 1/8 of its size; decodes it beside the input frame.

    Frames are RGB in −1..1, sides multiples of 8. Latents are normalised per channel by the mean
    and deviation that the config holds.

    Arguments:
        latent_channels: of the latent.
        widths: channels at 1/4 and 1/8 of the frame's size.
        detail: channels at full size, in the decoder.
        latents_mean, latents_std: per channel, measured after training.
    """

    max_flow = 0.10  # of half the picture's width: heads move little between the two frames
    bound = 3.0  # of raw latents

    @register_to_config
    def __init__(
        self,
        latent_channels: int = 8,
        widths: tuple[int, int] = (56, 128),
        detail: int = 16,
        latents_mean: tuple[float, ...] | None = None,
        latents_std: tuple[float, ...] | None = None,
    ) -> None:
        super().__init__()
        quarter, eighth = widths
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(4),
            nn.Conv2d(48, quarter, 3, padding=1),
            _Block(quarter, quarter),
            nn.Conv2d(quarter, eighth, 3, stride=2, padding=1),
            _Block(eighth, eighth),
            _Block(eighth, eighth),
            nn.GroupNorm(8, eighth),
            nn.SiLU(),
            nn.Conv2d(eighth, latent_channels, 3, padding=1),
        )
        self.look_quarter = nn.Sequential(
            nn.PixelUnshuffle(4), nn.Conv2d(48, quarter, 3, padding=1)
        )
        self.look_eighth = nn.Conv2d(quarter, eighth, 3, stride=2, padding=1)
        self.look_full = nn.Conv2d(3, detail, 3, padding=1)
        self.decode_eighth = nn.Sequential(
            nn.Conv2d(2 * latent_channels + eighth, eighth, 3, padding=1),
            _Block(eighth, eighth),
            _Block(eighth, eighth),
            _Block(eighth, eighth),
        )
        self.decode_quarter = nn.Sequential(
            nn.Conv2d(eighth + quarter, quarter, 3, padding=1),
            _Block(quarter, quarter),
            _Block(quarter, quarter),
        )
        self.to_full = nn.Sequential(nn.Conv2d(quarter, 16 * detail, 1), nn.PixelShuffle(4))
        last = nn.Conv2d(detail, 6, 3, padding=1)  # RGB, gate, flow
        nn.init.zeros_(last.weight[3:])
        if last.bias is not None:
            nn.init.zeros_(last.bias[3:])
        self.compose = nn.Sequential(nn.Conv2d(2 * detail, detail, 3, padding=1), nn.SiLU(), last)
        shape = (1, latent_channels, 1, 1)
        mean = latents_mean or (0.0,) * latent_channels
        std = latents_std or (1.0,) * latent_channels
        self.register_buffer("mean", torch.tensor(mean).view(shape), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(shape), persistent=False)

    def encode(self, frames_BCHW: Tensor) -> Tensor:
        """Frames (B, 3, H, W) → normalised latents (B, latent_channels, H/8, W/8)."""
        return (self._encode_raw(frames_BCHW) - self.mean) / self.std

    def decode(self, latents_BCHW: Tensor, input_BCHW: Tensor) -> Tensor:
        """Normalised latents (B, latent_channels, H/8, W/8) → frames (B, 3, H, W).

        Arguments:
            input_BCHW: the input frames (B, 3, H, W), which the drawn ones continue.
        """
        quarter = self.look_quarter(input_BCHW)
        raw = latents_BCHW * self.std + self.mean
        change = raw - self._encode_raw(input_BCHW)
        hidden = self.decode_eighth(torch.cat((raw, change, self.look_eighth(quarter)), 1))
        hidden = F.interpolate(hidden, scale_factor=2.0, mode="nearest")
        hidden = self.decode_quarter(torch.cat((hidden, quarter), 1))
        hidden = torch.cat((self.to_full(hidden), self.look_full(input_BCHW)), 1)
        drawn, gate, flow = self.compose(F.silu(hidden)).split((3, 1, 2), dim=1)
        kept = torch.sigmoid(gate + 1.0)
        return kept * self._warp(input_BCHW, flow) + (1 - kept) * drawn

    def _encode_raw(self, frames_BCHW: Tensor) -> Tensor:
        return self.bound * torch.tanh(self.encoder(frames_BCHW) / self.bound)

    def _warp(self, frames_BCHW: Tensor, flow_B2HW: Tensor) -> Tensor:
        """Frames with each pixel fetched from a little way off."""
        height, width = frames_BCHW.shape[-2:]
        axes = (torch.linspace(-1, 1, n, device=frames_BCHW.device) for n in (height, width))
        y, x = torch.meshgrid(*axes, indexing="ij")
        moved = torch.stack((x, y)).to(flow_B2HW) + self.max_flow * torch.tanh(flow_B2HW)
        grid_BHW2 = moved.permute(0, 2, 3, 1)
        return F.grid_sample(frames_BCHW, grid_BHW2, padding_mode="border", align_corners=True)


def encode(vae: Any, frames_BCHW: Tensor) -> Tensor:
    """Frames (B, 3, H, W) in −1..1 → latents (B, C, H/8, W/8), the likeliest ones.

    Those of an `AutoencoderKL` are not scaled, as InstructPix2Pix shows them to its U-Net.
    """
    encoded = vae.encode(frames_BCHW)
    return encoded if torch.is_tensor(encoded) else encoded.latent_dist.mode()


def latent_scale(vae: Any) -> float:
    """By what latents are multiplied before they are diffused, and divided to be decoded."""
    return 1.0 if isinstance(vae, InputAwareAutoencoder) else vae.config.scaling_factor


def decode(vae: Any, latents_BCHW: Tensor, input_BCHW: Tensor) -> Tensor:
    """Drawn latents (B, C, H/8, W/8), and the input frames (B, 3, H, W), → frames (B, 3, H, W)."""
    if isinstance(vae, InputAwareAutoencoder):
        return vae.decode(latents_BCHW, input_BCHW)
    return vae.decode(latents_BCHW / latent_scale(vae)).sample


def open_autoencoder(folder: Path) -> Any:
    """Open a trained `InputAwareAutoencoder`, or an `AutoencoderKL`.

    Raises:
        UserError: there is none in `folder`.
    """
    try:
        told = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        kind: Any = (
            AutoencoderKL if told["_class_name"] == "AutoencoderKL" else InputAwareAutoencoder
        )
        return kind.from_pretrained(folder, use_safetensors=True).eval()
    except (OSError, ValueError, KeyError) as error:
        line = str(error).strip().splitlines()[0]
        raise UserError(f"{folder}: not a trained autoencoder ({line})") from None


def reconstruction_loss(drawn_BCHW: Tensor, true_BCHW: Tensor, input_BCHW: Tensor) -> Tensor:
    """L1 over three scales and over edges, heavier where the frame differs from the input."""
    changed = (true_BCHW - input_BCHW).abs().mean(1, keepdim=True)
    changed = F.avg_pool2d(changed, 9, 1, 4)
    weight = 1 + 4 * (changed > 0.10).to(drawn_BCHW)
    loss = (weight * (drawn_BCHW - true_BCHW).abs()).mean()
    for axis in (2, 3):
        edges = (drawn_BCHW.diff(dim=axis) - true_BCHW.diff(dim=axis)).abs()
        loss = loss + 0.5 * (weight.narrow(axis, 1, edges.shape[axis]) * edges).mean()
    for _ in range(2):
        drawn_BCHW, true_BCHW, weight = (
            F.avg_pool2d(x, 2) for x in (drawn_BCHW, true_BCHW, weight)
        )
        loss = loss + 0.5 * (weight * (drawn_BCHW - true_BCHW).abs()).mean()
    return loss
