"""Trains U-Net, text encoder and conditioner together: by flow matching, or with LEGO's loss.

What is diffused is the action frame's latent, or its change from the input's: most of a frame does
not change, and a network that predicts the clean change need only be silent there.

By flow matching, how the action changes the frame is learnt where there is nothing but noise
(t = 1), many times faster than from a mixture of all t; so the training begins there.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image
from torch import nn
from transformers import CLIPTokenizer

from egoframe.enhancer.model import Enhancer
from egoframe.enhancer.prompts import mirrored
from egoframe.errors import UserError
from egoframe.generator.assembly import assemble, drawn_as, sample_sheet, samples, write_pipeline
from egoframe.generator.autoencoder import latent_scale, open_autoencoder
from egoframe.generator.features import (
    CachedFeatures,
    FreshFeatures,
    Mirror,
    Recipe,
    fetcher,
    open_features,
)
from egoframe.generator.memory import Work, advice
from egoframe.generator.networks import NetworkConfig, build_networks, open_networks
from egoframe.generator.objective import (
    GeneratorObjective,
    ObjectiveConfig,
    Scales,
    change_weight,
)
from egoframe.generator.pipeline import ActionFramePipeline
from egoframe.generator.sampling import paper_scheduler, scaled_linear_alphas
from egoframe.generator.tokenizer import LENGTH, new_tokenizer
from egoframe.pairs import open_described, open_pairs
from egoframe.training import LoopConfig, fit
from egoframe.training.processes import start_processes

MEASURED = 2000  # pairs that scales are measured on, at most


@dataclass(frozen=True)
class GeneratorConfig:
    """One run of `egoframe train generator`."""

    dataset: Path
    vae: Path  # a trained autoencoder
    enhancer: Path  # a tuned enhancer
    out: Path
    start_from: Path | None = None  # a model: its networks, tokenizer and scale go on
    written_by: Literal["dataset", "enhancer"] = "enhancer"  # whose descriptions are learnt from
    mirror: Mirror = "all"  # learn from mirror images too; "frames": as the release, words stay
    name_action: bool = True  # the action's own words before its description; not the paper
    features: Literal["cached", "fresh"] = "cached"  # worked out once, or whenever they are needed
    embeds: Literal["float16", "int8"] = "float16"  # how the enhancer's embeddings are kept
    features_folder: Path | None = None  # runs may share one; `out/features` if not given
    train_text_encoder: bool = True
    train_conditioner: bool = True  # the release does not
    gradient_checkpointing: bool = False  # less memory, about a third more time
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)  # without start_from
    loop: LoopConfig = field(default_factory=LoopConfig)


def train_generator(config: GeneratorConfig) -> ActionFramePipeline:
    """Train, and write the whole pipeline to `out/pipeline`; resumable.

    Returns:
        That pipeline; in processes other than the main one, without its enhancer.
    Raises:
        UserError: a dataset or model that the settings name is missing, or does not fit.
    """
    accelerator = start_processes(config)
    dataset = open_pairs(config.dataset, "train")
    folder = config.features_folder or config.out / "features"
    vae, enhancer = open_autoencoder(config.vae), Enhancer.from_pretrained(config.enhancer)
    with accelerator.main_process_first():
        tokenizer = open_tokenizer(config, dataset)
        recipe = Recipe(
            config.dataset, config.vae, config.enhancer, tokenizer, config.mirror,
            config.written_by, config.name_action, config.embeds, str(accelerator.device),
        )  # fmt: skip
        features = open_features(config.features, folder, recipe)
    row = features.rows([0], [False])
    channels, height, width = row["input_latents"].shape[1:]
    networks, begun = start_networks(config, channels, enhancer, tokenizer)
    scales = measure_scales(config, features, vae, begun.get("change_scale"))
    kept = {name: begun[name] for name in ("squeeze", "enhancer_sees") if name in begun}
    objective = GeneratorObjective(
        networks,
        config.objective,
        scales,
        enhancer.projector,
        tokenizer([""], padding="max_length", max_length=LENGTH, return_tensors="pt").input_ids,
        scaled_linear_alphas(paper_scheduler()),
        accelerator.device,
    )
    del enhancer  # a large one would stand in the way
    if accelerator.is_main_process:
        seen = row["image_states"].shape[1] + LENGTH if "conditioner" in networks else 0
        work = Work((channels, height, width), LENGTH + seen)
        print(advice(networks, config.loop, work, accelerator.device, accelerator.num_processes)[2],
              file=sys.stderr)  # fmt: skip

    shown = samples(dataset, features)

    def pipeline(own: Enhancer | None) -> ActionFramePipeline:
        return assemble(
            networks.eval(), vae, own, tokenizer, dataset,
            name_action=config.name_action, predict=config.objective.predict,
            change_scale=scales.change, sample_size=round(8 * math.sqrt(height * width)),
            **kept, **drawn_as(config.objective.kind),
        )  # fmt: skip

    def draw() -> Mapping[str, Image.Image]:
        return {"sheet": sample_sheet(pipeline(None), objective.contexts, shown)}

    fetch = fetcher(features, config.mirror)
    weights = fit(networks, objective, dataset["pair_id"], config, fetch, draw)
    if not accelerator.is_main_process:
        return pipeline(None)
    enhancer = Enhancer.from_pretrained(config.enhancer)
    if config.loop.shard:  # what was sharded stays so; the averaged weights are whole
        networks, _ = start_networks(config, channels, enhancer, tokenizer)
    networks.load_state_dict(weights)
    done = pipeline(enhancer)
    write_pipeline(done, dataset, config.out / "pipeline", folder)
    return done


def start_networks(
    config: GeneratorConfig, latent_channels: int, enhancer: Enhancer, tokenizer: Any
) -> tuple[nn.ModuleDict, dict[str, Any]]:
    """The networks as training begins, and the configuration of the model that they come from.

    Raises:
        UserError: that model does not fit these settings.
    """
    torch.manual_seed(config.loop.seed)
    begun: dict[str, Any] = {}
    if config.start_from is None:
        networks = build_networks(config.network, latent_channels, enhancer, tokenizer)
    else:
        expected = {
            "predict": config.objective.predict,
            "prediction": drawn_as(config.objective.kind)["prediction"],
            "in_channels": 2 * latent_channels,
        }
        networks, begun = open_networks(config.start_from, expected, enhancer)
    networks["text_encoder"].requires_grad_(config.train_text_encoder)
    if "conditioner" in networks:
        networks["conditioner"].requires_grad_(config.train_conditioner)
    if config.gradient_checkpointing:
        unet: Any = networks["unet"]
        unet.enable_gradient_checkpointing()
    return networks, begun


def measure_scales(
    config: GeneratorConfig,
    features: CachedFeatures | FreshFeatures,
    vae: Any,
    change: float | None,
) -> Scales:
    """The scales of the data, measured on pairs that are spread over it.

    Arguments:
        change: that of a model to go on from, which stays.
    """
    size = len(open_pairs(config.dataset, "train"))
    some = list(range(0, size, max(1, size // MEASURED)))[:MEASURED]
    rows = features.rows(some, [False] * len(some), latents_only=True)
    before, action = rows["input_latents"].float(), rows["action_latents"].float()
    if change is None:
        change = float((action - before).std()) if config.objective.predict == "change" else 1.0
    weight = change_weight(before, action, change, config.objective.changed_weight)
    return Scales(latent_scale(vae), change, float(weight.mean()))


def open_tokenizer(config: GeneratorConfig, dataset: Any) -> Any:
    """The run's own tokenizer, trained once on its words and kept; or that of the model it goes on
    from."""
    folder = config.out / "tokenizer"
    if config.start_from is not None:
        folder = config.start_from / "tokenizer"
        if not folder.is_dir():
            raise UserError(f"{config.start_from}: no trained pipeline here")
    elif not folder.exists():
        texts = list(open_described(config.dataset, "train")["description"])
        words = [*texts, *map(mirrored, texts), *sorted(set(dataset["action"]))]
        temporary = folder.with_suffix(".writing")
        new_tokenizer(words).save_pretrained(temporary)
        temporary.rename(folder)
    return CLIPTokenizer.from_pretrained(folder)
