"""Trains U-Net, text encoder and conditioner together: by flow matching, or with LEGO's loss.

What is diffused is the action frame's latent, or its change from the input's: most of a frame does
not change, and a network that predicts the clean change need only be silent there.

By flow matching, how the action changes the frame is learnt where there is nothing but noise
(t = 1), many times faster than from a mixture of all t; so the training begins there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from egoframe.enhancer.model import Enhancer
from egoframe.enhancer.prompts import mirrored
from egoframe.errors import UserError
from egoframe.generator import familiarity
from egoframe.generator.autoencoder import latent_scale, open_autoencoder
from egoframe.generator.conditioner import Conditioner
from egoframe.generator.features import Recipe, load_features
from egoframe.generator.losses import flow_loss, noise_loss
from egoframe.generator.pipeline import ActionFramePipeline
from egoframe.generator.sampling import paper_scheduler, scaled_linear_alphas
from egoframe.generator.tokenizer import LENGTH, new_tokenizer
from egoframe.pairs import ARTICLES, open_described, open_pairs
from egoframe.training import Batch, LoopConfig, fit

FAMILIAR = 4000  # training frames, or a few more, that say what a familiar photo is


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


@dataclass(frozen=True)
class GeneratorConfig:
    """One run of `egoframe train generator`."""

    dataset: Path
    vae: Path  # a trained autoencoder
    enhancer: Path  # a tuned enhancer
    out: Path
    start_from: Path | None = None  # a model: its networks, tokenizer and scale go on
    objective: Literal["flow", "noise"] = "flow"  # "noise": the paper's
    predict: Literal["latent", "change"] = "change"
    text: Literal["description", "label"] = "description"
    written_by: Literal["dataset", "enhancer"] = "enhancer"  # whose descriptions are learnt from
    label_share: float = 0.2  # of the samples that get the bare action for a description
    mirror: bool = True  # learn from mirror images too, with left and right swapped in the words
    drop_text: float = 0.05  # LEGO: text alone, image alone, both
    drop_image: float = 0.05
    drop_both: float = 0.05
    # by flow matching alone:
    changed_weight: float = 3.0  # more weight on latents that change
    time_shift: float = 0.5  # mean of the logit of t: above 0 learns more from strong noise
    noise_only: float = 0.65  # share of the training, at its beginning, at t = 1
    noise_only_after: float = 0.3  # and the share of samples at t = 1 after that
    network: NetworkConfig = field(default_factory=NetworkConfig)  # without start_from
    loop: LoopConfig = field(default_factory=LoopConfig)


def train_generator(config: GeneratorConfig) -> ActionFramePipeline:
    """Train, and write the whole pipeline to `out/pipeline`; resumable.

    Raises:
        UserError: a dataset or model that the settings name is missing, or does not fit.
    """
    if config.start_from is not None and not (config.start_from / "model_index.json").exists():
        raise UserError(f"start_from={config.start_from}: no trained pipeline here")
    dataset = open_pairs(config.dataset, "train")
    vae = open_autoencoder(config.vae)
    enhancer = Enhancer.from_pretrained(config.enhancer)
    tokenizer = _tokenizer(config, dataset)
    recipe = Recipe(
        config.dataset, config.vae, config.enhancer, tokenizer, config.mirror, config.written_by
    )
    features = load_features(config.out / "features", recipe)
    torch.manual_seed(config.loop.seed)
    scale = change_scale(features) if config.predict == "change" else 1.0
    if config.start_from is None:
        networks = build_networks(
            config.network, features.input_latents.shape[1], enhancer, tokenizer
        )
    else:
        networks, scale = _start_from(config, enhancer, features.input_latents.shape[1])
        if config.objective == "noise":  # LEGO's text encoder stays as it was
            networks["text_encoder"].requires_grad_(False)
    scaled = latent_scale(vae)
    alphas = scaled_linear_alphas(paper_scheduler())
    empty = tokenizer([""], padding="max_length", max_length=LENGTH, return_tensors="pt").input_ids
    device = config.loop.device

    def loss(batch: Batch) -> Tensor:
        rows, generator = batch.indices, batch.generator
        count = len(rows)
        if config.mirror:
            rows = 2 * rows + torch.randint(0, 2, (count,), generator=generator)
        before, action = (
            x[rows].float() for x in (features.input_latents, features.action_latents)
        )
        before, action = before.to(device), action.to(device)
        clean = (action - before) / scale if config.predict == "change" else action * scaled
        t = torch.sigmoid(config.time_shift + torch.randn(count, generator=generator))
        share = 1.0 if batch.progress < config.noise_only else config.noise_only_after
        t = torch.where(torch.rand(count, generator=generator) < share, 1.0, t).to(device)
        noise = torch.randn(clean.shape, generator=generator).to(device)

        draw = torch.rand(count, generator=generator)
        both = config.drop_text + config.drop_image + config.drop_both
        no_text = (draw < config.drop_text) | ((draw > both - config.drop_both) & (draw < both))
        no_image = (draw > config.drop_text) & (draw < both)
        label = torch.rand(count, generator=generator) < config.label_share
        if config.text == "label":
            label[:] = True
        tokens = torch.where(label[:, None], features.label_tokens[rows], features.tokens[rows])
        tokens = torch.where(no_text[:, None], empty, tokens)
        condition = torch.where(no_image.view(-1, 1, 1, 1).to(device), 0.0, before)

        text = networks["text_encoder"](tokens.to(device)).last_hidden_state
        said = (features.text_embeds[rows].float() * ~label[:, None, None]).to(device)
        seen = features.image_embeds[rows].float().to(device)
        context = text
        if "conditioner" in networks:
            context = networks["conditioner"](text, seen, said, ~no_text.to(device))
        if config.objective == "noise":
            times = torch.randint(0, len(alphas), (count,), generator=generator).to(device)
            return noise_loss(
                networks["unet"], clean, condition, context, times, noise, alphas.to(device)
            )
        changed = ((action - before).abs().mean(1, keepdim=True) / scale).clamp(max=1.0)
        weight = 1 + config.changed_weight * changed
        return flow_loss(networks["unet"], clean, condition, context, t, noise, weight)

    networks.load_state_dict(fit(networks, loss, len(dataset), config))
    known = _familiar(dataset, enhancer)
    for part in (networks.eval(), vae, enhancer.model):
        part.half()  # as they are kept on disk
    pipeline = ActionFramePipeline(
        vae=vae,
        unet=networks["unet"],
        text_encoder=networks["text_encoder"],
        tokenizer=tokenizer,
        conditioner=getattr(networks, "conditioner", None),
        enhancer=enhancer.model,
        processor=enhancer.processor,
        predict=config.predict,
        change_scale=scale,
        name_action=True,
        articles=any(set(action.split()) & set(ARTICLES) for action in dataset["action"]),
        sample_size=8 * features.input_latents.shape[-1],
        **_drawn_as(config.objective),
    )
    pipeline.save_pretrained(config.out / "pipeline")
    familiarity.save(known, config.out / "pipeline")
    _forget_paths(config.out / "pipeline")
    return pipeline


def _familiar(dataset: Any, enhancer: Enhancer) -> familiarity.Familiarity:
    some = range(0, len(dataset), max(1, len(dataset) // FAMILIAR))
    photos = [dataset[k]["input_frame"] for k in some]
    return familiarity.fit(photos, set(dataset["action"]), enhancer.embed_images)


def _forget_paths(folder: Path) -> None:
    """Take out of a saved model where its parts once lay on this machine."""
    for path in folder.rglob("*.json"):
        told = json.loads(path.read_text(encoding="utf-8"))
        if told.keys() & {"_name_or_path", "name_or_path"}:
            kept = {k: v for k, v in told.items() if not k.endswith("name_or_path")}
            path.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def _drawn_as(objective: str) -> dict[str, Any]:
    """The settings of drawing that fit what was learnt."""
    if objective == "noise":
        return {
            "scheduler": paper_scheduler(), "prediction": "scheduler",
            "sampler": "euler_ancestral", "steps": 100, "text_guidance": 7.5,
            "image_guidance": 1.5,
        }  # fmt: skip
    return {
        "scheduler": new_scheduler(), "prediction": "sample", "sampler": "scheduler", "steps": 4,
        "text_guidance": 1.3, "image_guidance": 1.0,
    }  # fmt: skip


def _start_from(
    config: GeneratorConfig, enhancer: Enhancer, latent_channels: int
) -> tuple[nn.ModuleDict, float]:
    """The networks of a model, in float32, and its `change_scale`.

    Raises:
        UserError: they were made for other latents, embeddings, or to predict something else.
    """
    folder = config.start_from
    assert folder is not None
    kinds: dict[str, Any] = {
        "unet": UNet2DConditionModel, "text_encoder": CLIPTextModel, "conditioner": Conditioner,
    }  # fmt: skip
    try:
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
        networks: dict[str, Any] = {
            name: kind.from_pretrained(folder / name, use_safetensors=True).float()
            for name, kind in kinds.items()
            if index.get(name, [None])[0] is not None
        }
    except (OSError, ValueError) as error:
        line = " ".join(str(error).split())[:200]
        raise UserError(f"{folder}: cannot be opened as a model ({line})") from None
    expected = {
        "predict": (index.get("predict"), config.predict),
        "prediction": (index.get("prediction"), _drawn_as(config.objective)["prediction"]),
        "channels of the U-Net": (networks["unet"].config.in_channels, 2 * latent_channels),
    }
    if "conditioner" in networks:
        told, widths = networks["conditioner"].config, (enhancer.image_embed_dim,) * 2
        expected["widths of embeddings"] = ((told.image_embed_dim, told.text_embed_dim), widths)
    for name, (has, wanted) in expected.items():
        if has != wanted:
            raise UserError(
                f"start_from={folder}: its {name} is {has}, and these settings take {wanted}"
            )
    return nn.ModuleDict(networks), float(index["change_scale"])


def _tokenizer(config: GeneratorConfig, dataset: Any) -> Any:
    """The run's own tokenizer, kept: training one again may number its tokens differently."""
    folder = config.out / "tokenizer"
    if config.start_from is not None:
        folder = config.start_from / "tokenizer"
    elif not folder.exists():
        texts = list(open_described(config.dataset, "train")["description"])
        words = [*texts, *map(mirrored, texts), *sorted(set(dataset["action"]))]
        temporary = folder.with_suffix(".writing")
        new_tokenizer(words).save_pretrained(temporary)
        temporary.rename(folder)
    return CLIPTokenizer.from_pretrained(folder)


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


def new_scheduler() -> FlowMatchEulerDiscreteScheduler:
    """The sampler that draws best with a network that predicts x (docs/results.md).

    Every step draws new noise, so that its errors do not add up along one path; most steps are
    spent near t = 1, where the action is decided; and none below t = 0.4, where the network has
    little left to say.
    """
    return FlowMatchEulerDiscreteScheduler(shift=6.0, shift_terminal=0.4, stochastic_sampling=True)


def change_scale(features: object) -> float:
    """The deviation of the latents' change, over all pairs."""
    before, action = features.input_latents, features.action_latents  # type: ignore[attr-defined]
    part = slice(0, None, max(1, len(before) // 2000))
    return float((action[part].float() - before[part].float()).std())
