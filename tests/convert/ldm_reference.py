"""An independent forward pass of latent diffusion's U-Net, straight from a checkpoint's tensors."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

HEADS = 8


def unet_forward(state: dict[str, Tensor], x: Tensor, t: Tensor, context: Tensor) -> Tensor:
    """`state` holds the tensors by their names within the U-Net; x (B, C, H, W), t (B,)."""
    base = state["time_embed.0.weight"].shape[1]
    half = base // 2
    angles = t.float()[:, None] * torch.exp(-math.log(10000) * torch.arange(half) / half)
    time = _linear(state, "time_embed.0", torch.cat((angles.cos(), angles.sin()), 1))
    time = _linear(state, "time_embed.2", F.silu(time))

    def run(block: str, h: Tensor) -> Tensor:
        for place in range(3):
            name = f"{block}.{place}"
            if f"{name}.in_layers.0.weight" in state:
                h = _residual(state, name, h, time)
            elif f"{name}.proj_in.weight" in state:
                h = _transformer(state, name, h, context)
            elif f"{name}.op.weight" in state:
                h = _conv(state, f"{name}.op", h, stride=2)
            elif f"{name}.conv.weight" in state:
                h = _conv(state, f"{name}.conv", F.interpolate(h, scale_factor=2.0))
            elif f"{name}.weight" in state:
                h = _conv(state, name, h)
        return h

    skips = []
    for block in range(12):
        x = run(f"input_blocks.{block}", x)
        skips.append(x)
    x = run("middle_block", x)
    for block in range(12):
        x = run(f"output_blocks.{block}", torch.cat((x, skips.pop()), 1))
    return _conv(state, "out.2", F.silu(_norm(state, "out.0", x, 1e-5)))


def _linear(state: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    return F.linear(x, state[f"{name}.weight"], state.get(f"{name}.bias"))


def _conv(state: dict[str, Tensor], name: str, x: Tensor, stride: int = 1) -> Tensor:
    weight = state[f"{name}.weight"]
    return F.conv2d(x, weight, state[f"{name}.bias"], stride, padding=weight.shape[-1] // 2)


def _norm(state: dict[str, Tensor], name: str, x: Tensor, eps: float) -> Tensor:
    return F.group_norm(x, 32, state[f"{name}.weight"], state[f"{name}.bias"], eps)


def _residual(state: dict[str, Tensor], name: str, x: Tensor, time: Tensor) -> Tensor:
    h = _conv(state, f"{name}.in_layers.2", F.silu(_norm(state, f"{name}.in_layers.0", x, 1e-5)))
    h = h + _linear(state, f"{name}.emb_layers.1", F.silu(time))[:, :, None, None]
    h = _conv(state, f"{name}.out_layers.3", F.silu(_norm(state, f"{name}.out_layers.0", h, 1e-5)))
    skip = f"{name}.skip_connection"
    return h + (_conv(state, skip, x) if f"{skip}.weight" in state else x)


def _transformer(state: dict[str, Tensor], name: str, x: Tensor, context: Tensor) -> Tensor:
    def norm(part: str, h: Tensor) -> Tensor:
        weight, bias = (state[f"{block}.{part}.{kind}"] for kind in ("weight", "bias"))
        return F.layer_norm(h, h.shape[-1:], weight, bias)

    def attend(part: str, h: Tensor, to: Tensor) -> Tensor:
        q, k, v = (
            _linear(state, f"{block}.{part}.to_{kind}", source).unflatten(-1, (HEADS, -1))
            for kind, source in (("q", h), ("k", to), ("v", to))
        )
        scores = torch.einsum("bihd,bjhd->bhij", q, k) / math.sqrt(q.shape[-1])
        out = torch.einsum("bhij,bjhd->bihd", scores.softmax(-1), v).flatten(2)
        return _linear(state, f"{block}.{part}.to_out.0", out)

    block = f"{name}.transformer_blocks.0"
    h = _conv(state, f"{name}.proj_in", _norm(state, f"{name}.norm", x, 1e-6))
    h = h.flatten(2).transpose(1, 2)
    h = h + attend("attn1", norm("norm1", h), norm("norm1", h))
    h = h + attend("attn2", norm("norm2", h), context)
    hidden, gate = _linear(state, f"{block}.ff.net.0.proj", norm("norm3", h)).chunk(2, -1)
    h = h + _linear(state, f"{block}.ff.net.2", hidden * F.gelu(gate))
    h = h.transpose(1, 2).unflatten(2, x.shape[2:])
    return x + _conv(state, f"{name}.proj_out", h)
