"""The LEGO authors' checkpoint → a model's folder.

The release trains CompVis' latent-diffusion code, and keeps everything in one file: U-Net (raw, and
its moving average under flattened names), autoencoder, CLIP's text model, and the conditioner.
"""

from __future__ import annotations

import json
import os
import shutil
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

from egoframe.convert.checkpoint import check_keys, new_folder, open_checkpoint
from egoframe.errors import UserError
from egoframe.generator.conditioner import Conditioner
from egoframe.generator.pipeline import ActionFramePipeline
from egoframe.generator.sampling import paper_scheduler

CLIP = "openai/clip-vit-large-patch14"
UNET, EMA, VAE = "model.diffusion_model.", "model_ema.", "first_stage_model."
TEXT = "cond_stage_model.transformer."
CONDITIONER = ("projection_img.", "projection_txt.", "self_attn_mix.")
# What is worked out anew from the noise schedule, or counts the moving average's steps.
DERIVED = ("betas", "alphas_", "sqrt_", "log_one_minus_", "posterior_", "lvlb_weights", "logvar",
           "model_ema.decay", "model_ema.num_updates", "cond_stage_model.transformer.logit_scale",
           "scale_factor")  # fmt: skip
ATTENDED = ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",)  # levels of Stable Diffusion 1
Weights = Literal["ema", "raw"]


def convert_lego(
    checkpoint: Path,
    out: Path,
    clip: str | Path = CLIP,
    enhancer: Path | None = None,
    weights: Weights = "ema",
    articles: bool = True,
) -> None:
    """Convert a released checkpoint; `out` is whole or absent.

    Arguments:
        checkpoint: such as `ego4d_diffusion_with_vllm_feature.ckpt`.
        clip: folder or hub id of the CLIP model whose tokenizer and text settings were used.
        enhancer: a converted VLLM, which becomes part of the model.
        weights: of the U-Net: "ema", which the paper draws with, or "raw", to train on.
        articles: False for a model that learnt from EPIC-KITCHENS, whose actions have none.
    Raises:
        UserError: a file that is damaged, hostile, or of another architecture, or no space.
    """
    state = open_checkpoint(checkpoint)
    unet, used = _unet(state, weights, checkpoint)
    vae = _vae(state, checkpoint)
    text_encoder, tokenizer = _text(state, clip, checkpoint)
    conditioner = _conditioner(state, checkpoint)
    known = (UNET, EMA, VAE, TEXT, *CONDITIONER, *DERIVED)
    strange = [key for key in state if not key.startswith(known)] + used
    if strange:
        raise UserError(
            f"{checkpoint}: {len(strange)} keys that no part of LEGO has: {', '.join(strange[:8])}"
        )
    pipeline = ActionFramePipeline(
        vae=vae,
        unet=unet,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        scheduler=paper_scheduler(),
        conditioner=conditioner,
        sampler="euler_ancestral",
        articles=articles,
        squeeze=True,
        enhancer_sees="photo",
        sample_size=256,
        steps=100,
        text_guidance=7.5,
        image_guidance=1.5,
    )
    with new_folder(out) as folder:
        pipeline.save_pretrained(folder)
        if enhancer is not None:
            _add_enhancer(enhancer, folder)


def _unet(
    state: dict[str, Tensor], weights: Weights, path: Path
) -> tuple[UNet2DConditionModel, list[str]]:
    """The U-Net, and the names of moving averages that belong to no weight of it."""
    raw = _part(state, UNET)
    if not raw:
        raise UserError(f"{path}: no {UNET}* in it; this is no checkpoint of LEGO's generator")
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
    try:
        first = chosen["input_blocks.0.0.weight"]
        channels = [len(chosen[f"input_blocks.{k}.0.out_layers.3.weight"]) for k in (1, 4, 7, 10)]
        context = chosen["input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"].shape[1]
        outputs = len(chosen["out.2.weight"])
    except (KeyError, IndexError) as error:
        raise UserError(f"{path}: not a U-Net of Stable Diffusion 1 ({error} is missing)") from None
    with torch.device("meta"):
        unet = UNet2DConditionModel(
            in_channels=first.shape[1],
            out_channels=outputs,
            block_out_channels=channels,
            down_block_types=ATTENDED,
            up_block_types=tuple(kind.replace("Down", "Up") for kind in reversed(ATTENDED)),
            cross_attention_dim=context,
            attention_head_dim=8,
            sample_size=32,
        )
    _fill(unet, convert_ldm_unet_checkpoint, chosen, "LEGO's U-Net", path)
    return unet, [key for key in averages if key not in flat]


def _vae(state: dict[str, Tensor], path: Path) -> AutoencoderKL:
    part = _part(state, VAE)
    try:
        channels = [len(part[f"encoder.down.{k}.block.0.conv1.weight"]) for k in range(4)]
        latents = len(part["post_quant_conv.weight"])
    except KeyError as error:
        raise UserError(
            f"{path}: no autoencoder of Stable Diffusion ({error} is missing)"
        ) from None
    with torch.device("meta"):
        vae = AutoencoderKL(
            block_out_channels=channels,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=2,
            latent_channels=latents,
            sample_size=256,
            scaling_factor=0.18215,
        )
    kept = {key: value for key, value in part.items() if not key.startswith("loss.")}
    _fill(vae, convert_ldm_vae_checkpoint, kept, "LEGO's autoencoder", path)
    return vae


def _text(state: dict[str, Tensor], clip: str | Path, path: Path) -> tuple[Any, Any]:
    """CLIP's text model, and the tokenizer that the checkpoint lacks."""
    part = {key.removeprefix("text_model."): value for key, value in _part(state, TEXT).items()}
    part = {key: value for key, value in part.items() if not key.endswith("position_ids")}
    try:
        config = CLIPTextConfig.from_pretrained(clip)
        tokenizer = CLIPTokenizer.from_pretrained(clip)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{clip}: CLIP's tokenizer cannot be had ({' '.join(str(error).split())[:120]}); give "
            f"a folder with config.json, vocab.json and merges.txt of {CLIP} as --clip"
        ) from None
    with torch.device("meta"):
        text = CLIPTextModel(config)
    _fill(text, None, part, f"the text model of {clip}", path)
    return text, tokenizer


def _conditioner(state: dict[str, Tensor], path: Path) -> Conditioner:
    part = {key: value for key, value in state.items() if key.startswith(CONDITIONER)}
    try:
        image, text = (part[f"projection_{kind}.weight"] for kind in ("img", "txt"))
        feed_forward = len(part["self_attn_mix.layers.0.linear1.weight"])
    except KeyError as error:
        raise UserError(
            f"{path}: no conditioner of LEGO ({error} is missing); is it a checkpoint "
            '"with_vllm_feature"?'
        ) from None
    with torch.device("meta"):
        conditioner = Conditioner(len(image), image.shape[1], text.shape[1],
                                  feed_forward_dim=feed_forward)  # fmt: skip
    _fill(conditioner, None, part, "LEGO's conditioner", path)
    return conditioner


def _part(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def _fill(model: Any, rename: Any, state: dict[str, Tensor], name: str, path: Path) -> None:
    """Give a model without memory the tensors of a checkpoint, renamed the way diffusers does."""
    converted = state
    if rename is not None:
        try:
            converted = rename({_prefix(rename) + key: value for key, value in state.items()},
                               model.config)  # fmt: skip
        except (KeyError, IndexError) as error:
            raise UserError(f"{path}: does not fit {name} ({error} is missing)") from None
        taken = {value.data_ptr() for value in converted.values()}
        left = {key: value for key, value in state.items() if value.data_ptr() not in taken}
        converted = {**converted, **left}
    check_keys(
        converted, {key: value.shape for key, value in model.state_dict().items()}, name, path
    )
    model.load_state_dict(converted, assign=True)


def _prefix(rename: Any) -> str:
    return UNET if rename is convert_ldm_unet_checkpoint else VAE


def _add_enhancer(enhancer: Path, folder: Path) -> None:
    """Put a converted VLLM into a model's folder: linked where possible, for it is large."""
    told = json.loads((enhancer / "config.json").read_text(encoding="utf-8"))
    processor = json.loads((enhancer / "processor_config.json").read_text(encoding="utf-8"))
    weights = ("config.json", "generation_config.json", "model")
    for file in sorted(path for path in enhancer.iterdir() if path.is_file()):
        place = folder / ("enhancer" if file.name.startswith(weights) else "processor") / file.name
        place.parent.mkdir(exist_ok=True)
        try:
            os.link(file, place)
        except OSError:
            shutil.copyfile(file, place)
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    index["enhancer"] = ["transformers", told["architectures"][0]]
    index["processor"] = ["transformers", processor["processor_class"]]
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
