"""Models of LEGO's architecture with random weights, for measuring without a download."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from egoframe.errors import UserError
from egoframe.generator.conditioner import Conditioner
from egoframe.generator.pipeline import ActionFramePipeline
from egoframe.generator.sampling import paper_scheduler
from egoframe.generator.tokenizer import new_tokenizer

WIDTHS = {"untrained-small": 64, "untrained-sd15": 320}  # of the U-Net's finest level
IMAGE_TOKENS, EMBED_DIM = 256, 5120  # of LEGO's VLLM


def untrained(name: str, sample_size: int) -> ActionFramePipeline:
    """A model without enhancer; `untrained-sd15` has all of Stable Diffusion 1.5's sizes.

    Raises:
        UserError: no such name.
    """
    if name not in WIDTHS:
        raise UserError(f"{name}: give {' or '.join(WIDTHS)}")
    torch.manual_seed(0)
    return ActionFramePipeline(
        **networks(WIDTHS[name]),
        tokenizer=new_tokenizer(["the right hand opens the drawer"]),
        scheduler=paper_scheduler(),
        conditioner=Conditioner(768, EMBED_DIM, EMBED_DIM).eval(),
        sampler="euler_ancestral",
        sample_size=sample_size,
    )


def networks(width: int) -> dict[str, Any]:
    """U-Net, autoencoder and text encoder; `width` is that of the U-Net's finest level."""
    levels = (width, 2 * width, 4 * width, 4 * width)
    unet: Any = UNet2DConditionModel(
        in_channels=8,
        out_channels=4,
        block_out_channels=levels,
        cross_attention_dim=768,
        attention_head_dim=8,
    )
    vae: Any = AutoencoderKL(
        block_out_channels=tuple(2 * w // 5 // 8 * 8 for w in levels),  # 128 for 320
        norm_num_groups=8,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
    )
    text = CLIPTextConfig(
        vocab_size=49408, hidden_size=768, intermediate_size=3072, num_attention_heads=12
    )
    return {"unet": unet.eval(), "vae": vae.eval(), "text_encoder": CLIPTextModel(text).eval()}
