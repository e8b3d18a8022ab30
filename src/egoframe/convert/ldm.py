"""The parts of Stable Diffusion 1 in a checkpoint of CompVis' latent-diffusion code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders.single_file_utils import (
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
)
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from egoframe.convert.checkpoint import check_keys
from egoframe.enhancer.opening import one_line
from egoframe.errors import UserError, first_line
from egoframe.released import CLIP

UNET, EMA, VAE = "model.diffusion_model.", "model_ema.", "first_stage_model."
TEXT = "cond_stage_model.transformer."
# What is worked out anew from the noise schedule, or counts the moving average's steps.
DERIVED = ("betas", "alphas_", "sqrt_", "log_one_minus_", "posterior_", "lvlb_weights", "logvar",
           "model_ema.decay", "model_ema.num_updates", "cond_stage_model.logit_scale",
           "scale_factor")  # fmt: skip
ATTENDED = ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",)  # the U-Net's levels
Weights = Literal["ema", "raw"]


def read_unet(
    state: dict[str, Tensor], weights: Weights, path: Path
) -> tuple[UNet2DConditionModel, list[str]]:
    """The U-Net, and the names of moving averages that belong to no weight of it.

    Raises:
        UserError: there is none, or one of another kind, or it has no moving average.
    """
    raw = _part(state, UNET)
    if not raw:
        raise UserError(f"{path}: no {UNET}* in it; this is no checkpoint of latent diffusion")
    flat = {f"{EMA}diffusion_model{key.replace('.', '')}": key for key in raw}
    averages = [key for key in state if key.startswith(EMA) and not key.startswith(DERIVED)]
    chosen = raw
    if weights == "ema":
        missing = [name for name in flat if name not in state]
        if missing:
            raise UserError(
                f"{path}: the moving average of {len(missing)} weights is missing, such as "
                f"{missing[0]}; convert the weights themselves with --weights raw"
            )
        chosen = {key: state[name] for name, key in flat.items()}
    name = "U-Net of Stable Diffusion 1"
    keys = "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
    with fitting(name, path), torch.device("meta"):
        unet = UNet2DConditionModel(
            in_channels=chosen["input_blocks.0.0.weight"].shape[1],
            out_channels=len(chosen["out.2.weight"]),
            block_out_channels=[
                len(chosen[f"input_blocks.{k}.0.out_layers.3.weight"]) for k in (1, 4, 7, 10)
            ],
            down_block_types=ATTENDED,
            up_block_types=tuple(kind.replace("Down", "Up") for kind in reversed(ATTENDED)),
            cross_attention_dim=chosen[keys].shape[1],
            attention_head_dim=8,
            sample_size=32,
        )
        renamed = _renamed(convert_ldm_unet_checkpoint, UNET, chosen, unet)
    fill(unet, renamed, f"the {name}", path)
    return unet, [key for key in averages if key not in flat]


def read_vae(state: dict[str, Tensor], path: Path) -> AutoencoderKL:
    """The autoencoder.

    Raises:
        UserError: there is none, or one of another kind.
    """
    part = {k: v for k, v in _part(state, VAE).items() if not k.startswith("loss.")}
    name = "autoencoder of Stable Diffusion"
    with fitting(name, path), torch.device("meta"):
        vae = AutoencoderKL(
            block_out_channels=[
                len(part[f"encoder.down.{k}.block.0.conv1.weight"]) for k in range(4)
            ],
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=2,
            latent_channels=len(part["post_quant_conv.weight"]),
            sample_size=256,
            scaling_factor=0.18215,
        )
        renamed = _renamed(convert_ldm_vae_checkpoint, VAE, part, vae)
    fill(vae, renamed, f"the {name}", path)
    return vae


def read_text(state: dict[str, Tensor], clip: str | Path, path: Path) -> tuple[Any, Any]:
    """CLIP's text model, and the tokenizer that the checkpoint lacks.

    Arguments:
        clip: folder or hub id of that CLIP model.
    Raises:
        UserError: the checkpoint has none of that kind, or `clip` cannot be had.
    """
    part = {key.removeprefix("text_model."): value for key, value in _part(state, TEXT).items()}
    part = {key: value for key, value in part.items() if not key.endswith("position_ids")}
    tokenizer = open_tokenizer(clip)
    with one_line(clip, "no CLIP model: config.json is amiss"), torch.device("meta"):
        text = CLIPTextModel(CLIPTextConfig.from_pretrained(clip))
    if not 2 < len(tokenizer) <= text.config.vocab_size:
        raise UserError(
            f"{clip}: its tokenizer knows {len(tokenizer)} tokens, its text model "
            f"{text.config.vocab_size}; fetch both from {CLIP}"
        )
    fill(text, part, f"the text model of {clip}", path)
    return text, tokenizer


def open_tokenizer(clip: str | Path) -> Any:
    """CLIP's tokenizer; without its files, transformers would make one that knows no word.

    Raises:
        UserError: it cannot be had.
    """
    folder = Path(clip)
    whole = (folder / "tokenizer.json").exists() or all(
        (folder / name).exists() for name in ("vocab.json", "merges.txt")
    )
    try:
        if folder.is_dir() and not whole:
            raise OSError("its files are missing")
        return CLIPTokenizer.from_pretrained(clip)
    except Exception as error:  # tokenizers' is a bare one
        raise UserError(
            f"{clip}: CLIP's tokenizer cannot be had ({first_line(error)}); give a folder with "
            f"config.json and tokenizer.json, or vocab.json and merges.txt, of {CLIP}"
        ) from None


def _part(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def _renamed(convert: Any, prefix: str, state: dict[str, Tensor], model: Any) -> dict[str, Tensor]:
    """A part's tensors by diffusers' names; those that it has none for keep theirs."""
    renamed = convert({prefix + key: value for key, value in state.items()}, model.config)
    taken = {value.data_ptr() for value in renamed.values()}
    left = {key: value for key, value in state.items() if value.data_ptr() not in taken}
    return {**renamed, **left}


@contextmanager
def fitting(name: str, path: Path, hint: str = "") -> Iterator[None]:
    """While a part is laid out by the tensors of a checkpoint: tell if it cannot be.

    Raises:
        UserError: tensors are missing, or no such part has their shapes.
    """
    try:
        yield
    except KeyError as error:
        raise UserError(f"{path}: no {name} ({error} is missing){hint}") from None
    except (ArithmeticError, AssertionError, IndexError, RuntimeError, TypeError, ValueError):
        raise UserError(f"{path}: no {name}: its tensors have other shapes{hint}") from None


def fill(model: Any, state: dict[str, Tensor], name: str, path: Path) -> None:
    """Give a model that was made without memory the tensors of a checkpoint.

    Raises:
        UserError: some are missing, unexpected or of another shape.
    """
    check_keys(state, {key: value.shape for key, value in model.state_dict().items()}, name, path)
    model.load_state_dict(state, assign=True)
