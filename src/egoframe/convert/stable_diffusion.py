"""Stable Diffusion 1.5 → the untrained model that LEGO's training starts from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer

from egoframe import hub
from egoframe.convert.checkpoint import new_folder, open_checkpoint
from egoframe.convert.ldm import CLIP, read_text, read_unet, read_vae
from egoframe.convert.lego import add_enhancer, embed_dim
from egoframe.errors import UserError
from egoframe.generator.conditioner import Conditioner
from egoframe.generator.pipeline import ActionFramePipeline
from egoframe.generator.sampling import paper_scheduler
from egoframe.released import home

KINDS: dict[str, Any] = {
    "unet": UNet2DConditionModel, "vae": AutoencoderKL, "text_encoder": CLIPTextModel,
    "tokenizer": CLIPTokenizer,
}  # fmt: skip
SETTINGS = (".json", ".txt")
WEIGHTS = ("diffusion_pytorch_model.safetensors", "model.safetensors")


def convert_stable_diffusion(
    source: str | Path, out: Path, enhancer: Path, clip: str | Path = CLIP, seed: int = 0
) -> None:
    """Make a model to start training from; `out` is whole or absent.

    Its U-Net reads the input frame's latent too, through weights that start at zero, and its
    conditioner is new.

    Arguments:
        source: a folder of Stable Diffusion 1.5 in diffusers' layout, or its `.ckpt`; or a hub id
            of either, such as `bolinlai/SD1.5-pretrained`.
        enhancer: folder of the VLLM, which becomes part of the model.
        clip: for a `.ckpt`: folder or hub id of the CLIP model whose tokenizer it uses.
        seed: of the conditioner's first weights.
    Raises:
        UserError: a file that is damaged, hostile, or of another architecture, or no space.
    """
    width = embed_dim(enhancer)
    unet, vae, text_encoder, tokenizer = _parts(_local(source), clip)
    if unet.config.in_channels != vae.config.latent_channels:
        raise UserError(
            f"{source}: its U-Net reads {unet.config.in_channels} channels, not the "
            f"{vae.config.latent_channels} of a latent; is it Stable Diffusion 1.5?"
        )
    widen_input(unet)
    torch.manual_seed(seed)
    conditioner = Conditioner(unet.config.cross_attention_dim, width, width)
    pipeline = ActionFramePipeline(
        vae=vae,
        unet=unet,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        scheduler=paper_scheduler(),
        conditioner=conditioner,
        sampler="euler_ancestral",
    )
    with new_folder(out) as folder:
        pipeline.save_pretrained(folder)
        add_enhancer(enhancer, folder)


def widen_input(unet: Any) -> None:
    """Let a U-Net read as many channels again, with weights of zero (InstructPix2Pix, 3.2)."""
    old = unet.conv_in
    new = nn.Conv2d(2 * old.in_channels, old.out_channels, old.kernel_size, padding=old.padding)
    weight = torch.cat((old.weight, torch.zeros_like(old.weight)), 1)
    new.load_state_dict({"weight": weight, "bias": old.bias})
    unet.conv_in = new.to(old.weight.dtype)
    unet.register_to_config(in_channels=new.in_channels)


def _local(source: str | Path) -> Path:
    """The file or folder; that of a hub id is fetched, or what is missing of it."""
    path, repo = Path(source), str(source)
    if path.exists() or repo.count("/") != 1 or repo.startswith((".", "/")):
        return path
    place = home() / "fetching" / repo.replace("/", "--")
    try:
        listing = hub.list_files(repo)
        checkpoints = [file for file in listing.files if file.path.endswith(".ckpt")]
        with hub.progress() as bar:
            if any(file.path == "model_index.json" for file in listing.files):
                for part in KINDS:
                    files = (f for f in listing.files if f.path.startswith(f"{part}/"))
                    needed = tuple(
                        f for f in files if f.name.endswith(SETTINGS) or f.name in WEIGHTS
                    )
                    hub.fetch(replace(listing, files=needed), place / part, bar)
                return place
            if checkpoints:
                first = min(checkpoints, key=lambda file: len(file.path))  # before variants
                hub.fetch(replace(listing, files=(first,)), place, bar)
                return place / first.name
    except hub.HubError as error:
        raise UserError(
            f"{source}: cannot be had from the hub ({error}); fetch it by other means, and give "
            "the file or folder"
        ) from None
    raise UserError(f"{source}: has neither a model_index.json nor a .ckpt")


def _parts(source: Path, clip: str | Path) -> tuple[Any, Any, Any, Any]:
    if source.is_file():
        state = open_checkpoint(source)
        unet, _ = read_unet(state, "raw", source)
        return unet, read_vae(state, source), *read_text(state, clip, source)
    missing = [name for name in KINDS if not (source / name).is_dir()]
    if missing:
        raise UserError(
            f"{source}: no {', '.join(missing)} here; give a folder of Stable Diffusion 1.5 in "
            "diffusers' layout, or its .ckpt"
        )
    weights = {"use_safetensors": True}
    try:
        return tuple(
            kind.from_pretrained(source / name, **({} if name == "tokenizer" else weights))
            for name, kind in KINDS.items()
        )  # type: ignore[return-value]
    except (OSError, ValueError, RuntimeError) as error:
        line = " ".join(str(error).split())[:200]
        raise UserError(f"{source}: cannot be opened as Stable Diffusion ({line})") from None
