"""The LEGO authors' checkpoint → a model's folder.

The release trains CompVis' latent-diffusion code, and keeps everything in one file: U-Net (raw, and
its moving average under flattened names), autoencoder, CLIP's text model, and the conditioner.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import torch
from torch import Tensor

from egoframe.convert.checkpoint import new_folder, open_checkpoint
from egoframe.convert.ldm import (
    CLIP,
    DERIVED,
    EMA,
    TEXT,
    UNET,
    VAE,
    Weights,
    fill,
    read_text,
    read_unet,
    read_vae,
)
from egoframe.errors import UserError
from egoframe.generator.conditioner import Conditioner
from egoframe.generator.pipeline import ActionFramePipeline
from egoframe.generator.sampling import paper_scheduler

CONDITIONER = ("projection_img.", "projection_txt.", "self_attn_mix.")


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
    unet, used = read_unet(state, weights, checkpoint)
    vae = read_vae(state, checkpoint)
    text_encoder, tokenizer = read_text(state, clip, checkpoint)
    conditioner = _conditioner(state, checkpoint)
    if enhancer is not None:
        check_enhancer(enhancer, conditioner)
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
            add_enhancer(enhancer, folder)


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
        conditioner = Conditioner(
            len(image), image.shape[1], text.shape[1], feed_forward_dim=feed_forward
        )
    fill(conditioner, part, "LEGO's conditioner", path)
    return conditioner


def embed_dim(enhancer: Path) -> int:
    """Width of the embeddings of a VLLM's folder, from its settings.

    Raises:
        UserError: it is no folder of a VLLM with its processor.
    """
    from transformers import AutoConfig

    for name in ("config.json", "processor_config.json"):
        if not (enhancer / name).exists():
            raise UserError(
                f"{enhancer}: no {name} here; give a VLLM's folder, as convert llava makes"
            )
    return AutoConfig.from_pretrained(enhancer).get_text_config().hidden_size


def check_enhancer(enhancer: Path, conditioner: Conditioner) -> None:
    """Compare the widths of a VLLM's embeddings with those that a conditioner reads.

    Raises:
        UserError: they differ.
    """
    width, read = embed_dim(enhancer), conditioner.config.image_embed_dim  # type: ignore[attr-defined]
    if width != read:
        raise UserError(
            f"{enhancer}: its embeddings are {width} wide, and this model reads {read}; give the "
            "VLLM that it was trained with"
        )


def add_enhancer(enhancer: Path, folder: Path) -> None:
    """Put a VLLM into a model's folder: linked where possible, for it is large."""
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
