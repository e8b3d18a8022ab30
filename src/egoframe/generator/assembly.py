"""Puts what was learnt together as a pipeline, and writes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor, nn

from egoframe.contact_sheet import contact_sheet
from egoframe.enhancer.lessons import tasks_of
from egoframe.enhancer.model import Enhancer
from egoframe.errors import UserError, first_line
from egoframe.frames import to_pictures, to_tensor
from egoframe.generator import familiarity
from egoframe.generator.autoencoder import decode
from egoframe.generator.card import CARD, Learnt, model_card
from egoframe.generator.pipeline import ActionFramePipeline
from egoframe.generator.sampling import Noise, Sampling, paper_scheduler
from egoframe.images import write_bytes
from egoframe.pairs import ARTICLES

FAMILIAR = 4000  # training frames, or a few more, that say what a familiar photo is
SHOWN = 6  # pairs of the sample pictures
Context = Callable[[dict[str, Tensor]], tuple[Tensor, Tensor]]


def assemble(
    networks: nn.ModuleDict,
    vae: Any,
    enhancer: Enhancer | None,
    tokenizer: Any,
    dataset: Any,
    **settings: Any,
) -> ActionFramePipeline:
    """A pipeline of these parts, in the precision they have.

    Arguments:
        dataset: what was learnt from; it tells whether actions have articles.
        settings: of `ActionFramePipeline`.
    """
    return ActionFramePipeline(
        vae=vae,
        unet=networks["unet"],
        text_encoder=networks["text_encoder"],
        tokenizer=tokenizer,
        conditioner=getattr(networks, "conditioner", None),
        enhancer=enhancer and enhancer.model,
        processor=enhancer and enhancer.processor,
        articles=any(set(action.split()) & set(ARTICLES) for action in set(dataset["action"])),
        **settings,
    )


def write_pipeline(
    pipeline: ActionFramePipeline, dataset: Any, folder: Path, features: Path | None = None
) -> None:
    """Write a pipeline in half precision, with what it knows and a card, unless one is there, and
    without paths of this machine.

    Arguments:
        features: a folder that keeps what is familiar, which takes minutes to learn and depends on
            the dataset and the enhancer alone, as the features in it do.
    Raises:
        UserError: it cannot be written.
    """
    known = pipeline.familiarity or (features and familiarity.load(features))
    if known is None and pipeline.enhancer is not None:
        enhancer = Enhancer(pipeline.enhancer, pipeline.processor)
        some = range(0, len(dataset), max(1, len(dataset) // FAMILIAR))
        photos = [dataset[k]["input_frame"] for k in some]
        actions, tasks = set(dataset["action"]), tasks_of(dataset)
        known = familiarity.fit(photos, actions, enhancer.embed_images, tasks)
        if features is not None:
            features.mkdir(parents=True, exist_ok=True)
            familiarity.save(known, features)
    for part in pipeline.components.values():
        if isinstance(part, nn.Module):
            part.eval().half()
    try:
        pipeline.save_pretrained(folder)
        if known:
            familiarity.save(known, folder)
        for path in folder.rglob("*.json"):
            told = json.loads(path.read_text(encoding="utf-8"))
            if told.keys() & {"_name_or_path", "name_or_path"}:
                kept = {k: v for k, v in told.items() if not k.endswith("name_or_path")}
                path.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
        if not (folder / CARD).exists():
            card = model_card(folder, learnt=Learnt.of(dataset, folder.parent))
            write_bytes(folder / CARD, card.encode())
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{folder}: cannot be written ({first_line(error)}); make room, and the same command "
            "goes on"
        ) from None


def drawn_as(kind: str) -> dict[str, Any]:
    """The settings of drawing that fit what was learnt."""
    if kind == "flow":
        return {
            "scheduler": new_scheduler(), "prediction": "sample", "sampler": "scheduler",
            "steps": 4, "text_guidance": 1.3, "image_guidance": 1.0,
        }  # fmt: skip
    paper = {"prediction": "scheduler", "steps": 100, "text_guidance": 7.5, "image_guidance": 1.5}
    if kind == "noise":
        return {"scheduler": paper_scheduler(), "sampler": "euler_ancestral", **paper}
    scheduler: Any = paper_scheduler()
    scheduler.register_to_config(prediction_type="v_prediction")
    return {"scheduler": scheduler, "sampler": "scheduler", **paper}


def new_scheduler() -> FlowMatchEulerDiscreteScheduler:
    """The sampler that draws best with a network that predicts x (docs/results.md).

    Every step draws new noise, so that its errors do not add up along one path; most steps are
    spent near t = 1, where the action is decided; and none below t = 0.4, where the network has
    little left to say.
    """
    return FlowMatchEulerDiscreteScheduler(shift=6.0, shift_terminal=0.4, stochastic_sampling=True)


def samples(dataset: Any, features: Any) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """A few pairs, spread over a dataset, and their features."""
    some = list(range(0, len(dataset), max(1, len(dataset) // SHOWN)))[:SHOWN]
    return dataset[some], features.rows(some, [False] * len(some))


@torch.inference_mode()
def sample_sheet(
    pipeline: ActionFramePipeline,
    context: Context,
    shown: tuple[dict[str, Any], dict[str, Tensor]],
) -> Image.Image:
    """A few pairs as input, generated and truth, drawn from the features that are learnt from.

    Arguments:
        pipeline: needs no enhancer; its U-Net's device is used.
        context: from features to the cross-attention context, and that of dropped text.
        shown: by `samples`.
    """
    pairs, features = shown
    device, config = pipeline.unet.device, pipeline.config
    rows = {name: value.to(device) for name, value in features.items()}
    inputs = [frame.convert("RGB") for frame in pairs["input_frame"]]
    noise = Noise([torch.Generator().manual_seed(k) for k in range(len(inputs))])
    settings = Sampling(config.sampler, config.steps, config.text_guidance, config.image_guidance)
    before_BCHW = rows["input_latents"].float()
    latents_BCHW = pipeline.sample_latents(before_BCHW, *context(rows), noise, settings)
    pipeline.vae.to(device)
    drawn = to_pictures(decode(pipeline.vae, latents_BCHW, to_tensor(inputs).to(device)).cpu())
    pipeline.vae.cpu()
    entries = [
        (action, (before, picture, truth.convert("RGB")))
        for action, before, picture, truth in zip(
            pairs["action"], inputs, drawn, pairs["action_frame"], strict=True
        )
    ]
    return contact_sheet(entries, ("input", "generated", "truth"), columns=2)
