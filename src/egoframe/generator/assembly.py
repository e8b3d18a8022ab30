"""Puts what was learnt together as a pipeline, and writes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from diffusers import FlowMatchEulerDiscreteScheduler
from PIL import Image
from torch import nn

from egoframe.contact_sheet import contact_sheet
from egoframe.enhancer.model import Enhancer
from egoframe.generator import familiarity
from egoframe.generator.pipeline import ActionFramePipeline
from egoframe.generator.sampling import paper_scheduler
from egoframe.pairs import ARTICLES

FAMILIAR = 4000  # training frames, or a few more, that say what a familiar photo is
SHOWN = 6  # pairs of the sample pictures


def assemble(
    networks: nn.ModuleDict,
    vae: Any,
    enhancer: Enhancer,
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
        enhancer=enhancer.model,
        processor=enhancer.processor,
        name_action=True,
        articles=any(set(action.split()) & set(ARTICLES) for action in set(dataset["action"])),
        **settings,
    )


def write_pipeline(pipeline: ActionFramePipeline, dataset: Any, folder: Path) -> None:
    """Write a pipeline in half precision, with what it knows, and without paths of this machine."""
    enhancer = Enhancer(pipeline.enhancer, pipeline.processor)
    some = range(0, len(dataset), max(1, len(dataset) // FAMILIAR))
    photos = [dataset[k]["input_frame"] for k in some]
    known = familiarity.fit(photos, set(dataset["action"]), enhancer.embed_images)
    for part in pipeline.components.values():
        if isinstance(part, nn.Module):
            part.eval().half()
    pipeline.save_pretrained(folder)
    familiarity.save(known, folder)
    for path in folder.rglob("*.json"):
        told = json.loads(path.read_text(encoding="utf-8"))
        if told.keys() & {"_name_or_path", "name_or_path"}:
            kept = {k: v for k, v in told.items() if not k.endswith("name_or_path")}
            path.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


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


def sample_sheet(pipeline: ActionFramePipeline, dataset: Any) -> Image.Image:
    """A few pairs as input, generated and truth, drawn from the bare actions."""
    pipeline.set_progress_bar_config(disable=True)
    pairs = dataset[list(range(0, len(dataset), max(1, len(dataset) // SHOWN)))[:SHOWN]]
    inputs = [frame.convert("RGB") for frame in pairs["input_frame"]]
    drawn = pipeline(inputs, pairs["action"], enhance=False).images
    entries = [
        (action, (before, picture, truth.convert("RGB")))
        for action, before, picture, truth in zip(
            pairs["action"], inputs, drawn, pairs["action_frame"], strict=True
        )
    ]
    return contact_sheet(entries, ("input", "generated", "truth"), columns=2)
