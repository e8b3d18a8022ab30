"""The LEGO authors' checkpoint → a model's folder.

The release trains CompVis' latent-diffusion code, and keeps everything in one file: U-Net (raw, and
its moving average under flattened names), autoencoder, CLIP's text model, and the conditioner.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from egoframe.convert.checkpoint import (
    Tell,
    check_absent,
    new_folder,
    open_checkpoint,
    saving,
    silent,
    some,
)
from egoframe.convert.ldm import (
    DERIVED,
    EMA,
    TEXT,
    UNET,
    VAE,
    Weights,
    fill,
    fitting,
    read_text,
    read_unet,
    read_vae,
)
from egoframe.enhancer.opening import one_line, open_processor
from egoframe.errors import UserError
from egoframe.generator.conditioner import Conditioner
from egoframe.generator.pipeline import ActionFramePipeline
from egoframe.generator.sampling import paper_scheduler
from egoframe.released import CLIP, RECORD

KEPT = (".json", ".txt", ".model", ".jinja", ".safetensors")  # of a VLLM's folder
MODEL = ("config.json", "generation_config.json", "model")  # not its processor's
CONDITIONER = ("projection_img.", "projection_txt.", "self_attn_mix.")


def convert_lego(
    checkpoint: Path,
    out: Path,
    clip: str | Path = CLIP,
    enhancer: Path | None = None,
    weights: Weights = "ema",
    articles: bool = True,
    record: Mapping[str, Any] | None = None,
    tell: Tell = silent,
) -> None:
    """Convert a released checkpoint; `out` is whole or absent.

    Arguments:
        checkpoint: such as `ego4d_diffusion_with_vllm_feature.ckpt`.
        clip: folder or hub id of the CLIP model whose tokenizer and text settings were used.
        enhancer: a converted VLLM, which becomes part of the model.
        weights: of the U-Net: "ema", which the paper draws with, or "raw", to train on.
        articles: False for a model that learnt from EPIC-KITCHENS, whose actions have none.
        record: what it is made of, to be kept beside it; worked out where not given.
        tell: is told of each part.
    Raises:
        UserError: a file that is damaged, hostile, or of another architecture, or no space.
    """
    check_absent(out)
    tell(f"reading {checkpoint.name}")
    state = open_checkpoint(checkpoint)
    unet, used = read_unet(state, weights, checkpoint)
    vae = read_vae(state, checkpoint)
    text_encoder, tokenizer = read_text(state, clip, checkpoint)
    conditioner = _conditioner(state, checkpoint)
    width = conditioner.config.image_embed_dim  # type: ignore[attr-defined]
    vllm = None if enhancer is None else read_enhancer(enhancer, width)
    known = (UNET, EMA, VAE, TEXT, *CONDITIONER, *DERIVED)
    strange = [key for key in state if not key.startswith(known)] + used
    if strange:
        raise UserError(
            f"{checkpoint}: {len(strange)} keys that no part of LEGO has: {some(strange)}"
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
    if record is None:
        record = _record(checkpoint, vllm, weights, tell)
    tell(f"writing {out}")
    with new_folder(out) as folder, saving(out):
        pipeline.save_pretrained(folder)
        (folder / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        if vllm is not None:
            add_enhancer(vllm, folder)


def _record(checkpoint: Path, vllm: Vllm | None, weights: Weights, tell: Tell) -> dict[str, Any]:
    """What a model is made of, as `egoframe.released` tells it of those that it fetches."""
    parts = {"checkpoint" if weights == "ema" else "raw checkpoint": [checkpoint]}
    if vllm is not None:
        parts["enhancer"] = sorted(vllm.folder.glob("*.safetensors"))
    record = {}
    for part, files in parts.items():
        hashes = {}
        for path in files:
            tell(f"hashing {path.name}")
            with path.open("rb") as file:
                hashes[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
        record[part] = {"repo": None, "revision": None, "sha256": hashes}
    return record


def _conditioner(state: dict[str, Tensor], path: Path) -> Conditioner:
    part = {key: value for key, value in state.items() if key.startswith(CONDITIONER)}
    hint = '; is it a checkpoint "with_vllm_feature"?'
    with fitting("conditioner of LEGO", path, hint), torch.device("meta"):
        image, text = (part[f"projection_{kind}.weight"] for kind in ("img", "txt"))
        feed_forward = len(part["self_attn_mix.layers.0.linear1.weight"])
        conditioner = Conditioner(
            len(image), image.shape[1], text.shape[1], feed_forward_dim=feed_forward
        )
    fill(conditioner, part, "LEGO's conditioner", path)
    return conditioner


@dataclass(frozen=True)
class Vllm:
    """What a model's folder tells of the VLLM that is put into it."""

    folder: Path
    width: int  # of its embeddings
    model: str  # class of transformers
    processor: str


def read_enhancer(folder: Path, width: int | None = None) -> Vllm:
    """Find out what a VLLM is, without its weights.

    Arguments:
        width: what its embeddings must have.
    Raises:
        UserError: it is no folder of a VLLM with its processor, or one of another width.
    """
    from transformers import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING, AutoConfig

    hint = "give a VLLM's folder, as convert llava makes"
    if not (folder / "config.json").exists():
        raise UserError(f"{folder}: no config.json here; {hint}")
    if not any(folder.glob("*.safetensors")):
        raise UserError(f"{folder}: no *.safetensors here; {hint}")
    with one_line(folder, "config.json is amiss"):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        kind: Any = MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING.get(type(config), None)
        found = int(config.get_text_config().hidden_size)
    if kind is None:
        raise UserError(f"{folder}: a {config.model_type}, which sees no images; {hint}")
    if width not in (None, found):
        raise UserError(
            f"{folder}: its embeddings are {found} wide, and this model reads {width}; give the "
            "VLLM that it was trained with"
        )
    return Vllm(folder, found, kind.__name__, type(open_processor(folder)).__name__)


def add_enhancer(enhancer: Vllm, folder: Path) -> None:
    """Put a VLLM into a model's folder; its weights, which are large, are linked if possible."""
    for file in sorted(path for path in enhancer.folder.iterdir() if path.suffix in KEPT):
        own = file.suffix == ".safetensors" or file.name.startswith(MODEL)
        place = folder / ("enhancer" if own else "processor") / file.name
        place.parent.mkdir(exist_ok=True)
        if file.suffix == ".safetensors":
            _link(file.resolve(), place)
        else:
            shutil.copyfile(file, place)
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    index["enhancer"] = ["transformers", enhancer.model]
    index["processor"] = ["transformers", enhancer.processor]
    text = json.dumps(index, indent=2) + "\n"
    (folder / "model_index.json").write_text(text, encoding="utf-8")


def _link(file: Path, place: Path) -> None:
    try:
        os.link(file, place)
    except OSError:  # on another disk
        shutil.copyfile(file, place)
