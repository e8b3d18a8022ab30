"""The networks that a generator learns: untrained ones, or those of a model to go on from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffusers import UNet2DConditionModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel

from egoframe.enhancer.model import Enhancer
from egoframe.errors import UserError
from egoframe.generator.conditioner import Conditioner

KINDS: dict[str, Any] = {
    "unet": UNet2DConditionModel, "text_encoder": CLIPTextModel, "conditioner": Conditioner,
}  # fmt: skip


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes of what learns."""

    unet_channels: tuple[int, ...] = (64, 128, 256)  # at the latent's size, a half, a quarter
    layers_per_block: int = 1
    heads: int = 4
    context_dim: int = 192  # width of text encoder and context
    text_layers: int = 2
    use_image_embeds: bool = True
    use_text_embeds: bool = True


def build_networks(
    config: NetworkConfig, latent_channels: int, enhancer: Enhancer, tokenizer: object
) -> nn.ModuleDict:
    """Untrained U-Net, text encoder and conditioner."""
    levels = len(config.unet_channels)
    unet = UNet2DConditionModel(
        in_channels=2 * latent_channels,
        out_channels=latent_channels,
        block_out_channels=config.unet_channels,
        layers_per_block=config.layers_per_block,
        down_block_types=("DownBlock2D", *("CrossAttnDownBlock2D",) * (levels - 1)),
        up_block_types=(*("CrossAttnUpBlock2D",) * (levels - 1), "UpBlock2D"),
        cross_attention_dim=config.context_dim,
        attention_head_dim=config.heads,
        norm_num_groups=16,
    )
    text = CLIPTextConfig(
        vocab_size=len(tokenizer),  # type: ignore[arg-type]
        hidden_size=config.context_dim,
        intermediate_size=4 * config.context_dim,
        num_hidden_layers=config.text_layers,
        num_attention_heads=config.heads,
        projection_dim=config.context_dim,
        bos_token_id=tokenizer.bos_token_id,  # type: ignore[attr-defined]
        eos_token_id=tokenizer.eos_token_id,  # type: ignore[attr-defined]
        pad_token_id=tokenizer.pad_token_id,  # type: ignore[attr-defined]
    )
    networks: dict[str, Any] = {"unet": unet, "text_encoder": CLIPTextModel(text)}
    if config.use_image_embeds or config.use_text_embeds:
        networks["conditioner"] = Conditioner(
            context_dim=config.context_dim,
            image_embed_dim=enhancer.image_embed_dim,
            text_embed_dim=enhancer.text_embed_dim,
            num_heads=config.heads,
            feed_forward_dim=2 * config.context_dim,
            dropout=0.0,  # drawing its masks takes 4 % of a step on a CPU
            use_image_embeds=config.use_image_embeds,
            use_text_embeds=config.use_text_embeds,
        )
    return nn.ModuleDict(networks)


def open_networks(
    folder: Path, expected: dict[str, Any], enhancer: Enhancer
) -> tuple[nn.ModuleDict, dict[str, Any]]:
    """The networks of a model, in float32, and what its configuration says.

    Arguments:
        expected: what its configuration has to say, such as "predict"; "in_channels" of the U-Net.
    Raises:
        UserError: there is none, or it was made for other latents, embeddings, or to predict
            something else.
    """
    if not (folder / "model_index.json").exists():
        raise UserError(f"{folder}: no trained pipeline here")
    try:
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
        networks: dict[str, Any] = {
            name: kind.from_pretrained(folder / name, use_safetensors=True).float()
            for name, kind in KINDS.items()
            if index.get(name, [None])[0] is not None
        }
    except (OSError, ValueError) as error:
        line = " ".join(str(error).split())[:200]
        raise UserError(f"{folder}: cannot be opened as a model ({line})") from None
    told = {**index, "in_channels": networks["unet"].config.in_channels}
    if "conditioner" in networks:
        config = networks["conditioner"].config
        told["widths of embeddings"] = (config.image_embed_dim, config.text_embed_dim)
        expected = expected | {"widths of embeddings": (enhancer.image_embed_dim,) * 2}
    for name, wanted in expected.items():
        if told.get(name) != wanted:
            raise UserError(
                f"{folder}: its {name} is {told.get(name)}, and these settings take {wanted}"
            )
    return nn.ModuleDict(networks), index
