"""Stable Diffusion 1.5 → the untrained model that LEGO's training starts from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer

from egoframe import hub
from egoframe.convert.checkpoint import (
    Tell,
    check_absent,
    new_folder,
    open_checkpoint,
    saving,
    silent,
)
from egoframe.convert.ldm import EMA, open_tokenizer, read_text, read_unet, read_vae
from egoframe.convert.lego import add_enhancer, read_enhancer
from egoframe.enhancer.opening import one_line
from egoframe.errors import UserError
from egoframe.generator.conditioner import Conditioner
from egoframe.generator.pipeline import ActionFramePipeline
from egoframe.generator.sampling import paper_scheduler
from egoframe.released import CLIP, alone, home, planned

KINDS: dict[str, Any] = {
    "unet": UNet2DConditionModel, "vae": AutoencoderKL, "text_encoder": CLIPTextModel,
    "tokenizer": CLIPTokenizer,
}  # fmt: skip
SETTINGS = (".json", ".txt")
WEIGHTS = ("diffusion_pytorch_model.safetensors", "model.safetensors")


def convert_stable_diffusion(
    source: str | Path,
    out: Path,
    enhancer: Path,
    clip: str | Path = CLIP,
    seed: int = 0,
    tell: Tell = silent,
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
        tell: is told of each part.
    Raises:
        UserError: a file that is damaged, hostile, or of another architecture, or no space.
    """
    check_absent(out)
    vllm = read_enhancer(enhancer)
    place = fetched(source)
    tell(f"reading {place.name}")
    unet, vae, text_encoder, tokenizer = _parts(place, clip)
    if unet.config.in_channels != vae.config.latent_channels:
        raise UserError(
            f"{source}: its U-Net reads {unet.config.in_channels} channels, not the "
            f"{vae.config.latent_channels} of a latent; is it Stable Diffusion 1.5?"
        )
    widen_input(unet)
    torch.manual_seed(seed)
    conditioner = Conditioner(unet.config.cross_attention_dim, vllm.width, vllm.width)
    pipeline = ActionFramePipeline(
        vae=vae,
        unet=unet,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        scheduler=paper_scheduler(),
        conditioner=conditioner,
        sampler="euler_ancestral",
    )
    tell(f"writing {out}")
    with new_folder(out) as folder, saving(out):
        pipeline.save_pretrained(folder)
        add_enhancer(vllm, folder)


def widen_input(unet: Any) -> None:
    """Let a U-Net read as many channels again, with weights of zero (InstructPix2Pix, 3.2)."""
    old = unet.conv_in
    new = nn.Conv2d(2 * old.in_channels, old.out_channels, old.kernel_size, padding=old.padding)
    weight = torch.cat((old.weight, torch.zeros_like(old.weight)), 1)
    new.load_state_dict({"weight": weight, "bias": old.bias})
    unet.conv_in = new.to(old.weight.dtype)
    unet.register_to_config(in_channels=new.in_channels)


def fetched(source: str | Path) -> Path:
    """The file or folder; that of a hub id is fetched, or what is missing of it.

    Raises:
        UserError: it cannot be had from the hub, or has no Stable Diffusion.
    """
    path, repo = Path(source), str(source)
    if path.exists() or repo.count("/") != 1 or repo.startswith((".", "/")):
        return path
    place = home() / "fetching" / repo.replace("/", "--")
    plan = place.with_name(f"{place.name}.plan.json")
    with alone(place):
        try:
            listing = planned(plan, lambda: _needed(hub.list_files(repo)))
            with hub.progress() as bar:
                for name in sorted({_folder(file) for file in listing.files}):
                    files = tuple(file for file in listing.files if _folder(file) == name)
                    hub.fetch(replace(listing, files=files), place / name, bar)
        except hub.HubError as error:
            plan.unlink(missing_ok=True)  # what the hub has may have changed
            raise UserError(
                f"{source}: cannot be had from the hub ({error}); fetch it by other means, and "
                "give the file or folder"
            ) from None
    first = listing.files[0]
    return place / first.path if first.name.endswith(".ckpt") else place


def _folder(file: hub.HubFile) -> str:
    """The folder in which a file lies in its repository."""
    return str(PurePosixPath(file.path).parent)


def _needed(listing: hub.Listing) -> hub.Listing:
    """The files of a diffusers folder, or a checkpoint, among those of a repository."""
    if any(file.path == "model_index.json" for file in listing.files):
        files = [
            file
            for file in listing.files
            if _folder(file) in KINDS and (file.name.endswith(SETTINGS) or file.name in WEIGHTS)
        ]
    else:
        checkpoints = (file for file in listing.files if file.name.endswith(".ckpt"))
        # the moving average, which LEGO started from; else that before its variants
        best = sorted(checkpoints, key=lambda file: ("emaonly" not in file.name, len(file.path)))
        files = best[:1]
    if not files:
        raise UserError(f"{listing.repo}: has neither a model_index.json nor a .ckpt")
    return replace(listing, files=tuple(files))


def _parts(source: Path, clip: str | Path) -> tuple[Any, Any, Any, Any]:
    if source.is_file():
        state = open_checkpoint(source)
        averaged = any(key.startswith(f"{EMA}diffusion_model") for key in state)
        unet, _ = read_unet(state, "ema" if averaged else "raw", source)
        return unet, read_vae(state, source), *read_text(state, clip, source)
    missing = [name for name in KINDS if not (source / name).is_dir()]
    if missing:
        raise UserError(
            f"{source}: no {', '.join(missing)} here; give a folder of Stable Diffusion 1.5 in "
            "diffusers' layout, or its .ckpt"
        )
    tokenizer = open_tokenizer(source / "tokenizer")
    with one_line(source, "cannot be opened as Stable Diffusion"):
        unet, vae, text_encoder = (
            kind.from_pretrained(source / name, use_safetensors=True)
            for name, kind in KINDS.items()
            if name != "tokenizer"
        )
    return unet, vae, text_encoder, tokenizer
