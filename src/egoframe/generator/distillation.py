"""Distils a generator's guidance and steps: a few steps without guidance draw what many with it do.

Latent consistency distillation (Luo et al., 2023): the student learns to give, from any point of
the guided teacher's path, the clean latent at the path's end. Its target is itself one teacher's
step further on, without gradient and without averaging (Song & Dhariwal, 2024). It begins as the
teacher, whose text encoder and conditioner it keeps.

Shape suffixes: B pairs, C channels, H height, W width, T tokens, D width, S the teacher's steps.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from diffusers import LCMScheduler
from PIL import Image
from torch import Tensor, nn

from egoframe.enhancer.model import Enhancer
from egoframe.errors import UserError
from egoframe.generator.assembly import sample_sheet, samples, write_pipeline
from egoframe.generator.autoencoder import latent_scale
from egoframe.generator.features import Mirror, Recipe, fetcher, open_features
from egoframe.generator.guidance import GuidedUNet
from egoframe.generator.objective import GeneratorObjective, ObjectiveConfig, Scales
from egoframe.generator.pipeline import ActionFramePipeline
from egoframe.generator.tokenizer import LENGTH
from egoframe.models import DEFAULT, load, resolve
from egoframe.pairs import open_pairs
from egoframe.training import Batch, LoopConfig, fit
from egoframe.training.processes import start_processes

HUBER = 0.03  # below it the loss is quadratic; latents deviate by 1
LORA = ("to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2",
        "conv1", "conv2", "conv_shortcut", "time_emb_proj")  # fmt: skip


@dataclass(frozen=True)
class DistillationConfig:
    """One run of `egoframe train distill`."""

    dataset: Path
    out: Path
    model: str = DEFAULT  # the teacher: a name or a folder
    steps: int = 4  # of the student
    teacher_steps: int = 50
    text_guidance: float | None = None  # of the teacher; its own where not given
    image_guidance: float | None = None
    lora_rank: int | None = None  # learn low-rank adapters of this rank; the whole U-Net, if None
    written_by: Literal["dataset", "enhancer"] = "enhancer"  # whose descriptions are learnt from
    mirror: Mirror = "all"
    features: Literal["cached", "fresh"] = "cached"
    embeds: Literal["float16", "int8"] = "float16"
    label_share: float = 0.2  # of the samples that get the bare action for a description
    loop: LoopConfig = field(default_factory=LoopConfig)

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= self.teacher_steps:
            raise UserError(f"steps={self.steps}: from 1 to teacher_steps={self.teacher_steps}")
        if self.lora_rank is not None and self.lora_rank < 1:
            raise UserError(f"lora_rank={self.lora_rank}: at least 1")


def distil(config: DistillationConfig) -> ActionFramePipeline:
    """Distil, and write the student to `out/pipeline`, its adapters too to `out/lora`; resumable.

    Returns:
        The student; in processes other than the main one, as it was trained, without its enhancer.
    Raises:
        UserError: the dataset or the teacher is missing, or the teacher cannot be distilled.
    """
    accelerator = start_processes(config)
    dataset = open_pairs(config.dataset, "train")
    folder = resolve(config.model)
    teacher = load(config.model, "cpu")
    recipe = Recipe(
        config.dataset, folder / "vae", folder, teacher.tokenizer, config.mirror,
        config.written_by, teacher.config.name_action, config.embeds, str(accelerator.device),
    )  # fmt: skip
    projector: nn.Module = nn.Identity()
    if teacher.conditioner is not None:
        projector = Enhancer(teacher.enhancer, teacher.processor).projector
    teacher.register_modules(enhancer=None, processor=None)  # a large one would stand in the way
    with accelerator.main_process_first():
        features = open_features(config.features, config.out / "features", recipe)
    unet = new_student(teacher, config)
    for part in asked_parts(teacher):
        part.requires_grad_(False).eval().to(accelerator.device)
    objective = ConsistencyObjective(unet, teacher, projector, config, accelerator.device)
    shown = samples(dataset, features)

    def draw() -> Mapping[str, Image.Image]:
        student = as_student(teacher, unet.eval(), config)
        return {"sheet": sample_sheet(student, objective.inner.contexts, shown)}

    networks = nn.ModuleDict({"unet": unet})
    fetch = fetcher(features, config.mirror)
    weights = fit(networks, objective, dataset["pair_id"], config, fetch, draw)
    if not accelerator.is_main_process:
        return as_student(teacher, unet, config)
    learnt = nn.ModuleDict({"unet": new_student(teacher, config).cpu()})
    learnt.load_state_dict(weights)
    own: Any = learnt["unet"]
    if config.lora_rank is not None:
        own.save_lora_adapter(config.out / "lora")
        own.fuse_lora()
        own.unload_lora()
    student = as_student(load(config.model, "cpu"), own, config)
    write_pipeline(student, dataset, config.out / "pipeline")
    return student


class ConsistencyObjective:
    """From a batch of features to the consistency loss of each pair (B,).

    Arguments:
        unet: the student; takes and gives what the teacher's does.
        teacher: a pipeline, whose networks stay as they are.
        projector: its enhancer's.
    """

    def __init__(
        self,
        unet: Any,
        teacher: ActionFramePipeline,
        projector: nn.Module,
        config: DistillationConfig,
        device: torch.device | str,
    ) -> None:
        told = teacher.config
        networks = nn.ModuleDict({"text_encoder": teacher.text_encoder})
        if teacher.conditioner is not None:
            networks["conditioner"] = teacher.conditioner
        self.inner = GeneratorObjective(
            networks,
            ObjectiveConfig(predict=told.predict, label_share=config.label_share),
            Scales(latent_scale(teacher.vae), told.change_scale, 1.0),
            projector,
            teacher.tokenizer(
                [""], padding="max_length", max_length=LENGTH, return_tensors="pt"
            ).input_ids,
            torch.ones(1),
            device,
        )
        self.unet, self.teacher, self.device = unet, teacher.unet, device
        own = told.text_guidance, told.image_guidance
        given = config.text_guidance, config.image_guidance
        self.guidance = [mine if one is None else one for one, mine in zip(given, own, strict=True)]
        self.path = path_of(teacher, config.teacher_steps)

    def __call__(self, batch: Batch) -> Tensor:
        data = {name: value.to(self.device) for name, value in batch.data.items()}
        before_BCHW, action_BCHW = (
            data[name].float() for name in ("input_latents", "action_latents")
        )
        count = len(before_BCHW)
        label_B = batch.chance(self.inner.config.label_share).to(self.device)
        never_B = torch.zeros_like(label_B)
        with torch.no_grad():
            full_BTD = self.inner.context(data, label_B, never_B)
            empty_BTD = self.inner.context(data, label_B, ~never_B)
        clean_BCHW = self.inner.clean(before_BCHW, action_BCHW)
        noise_BCHW = batch.normal(*clean_BCHW.shape[1:]).to(self.device)
        path, place_B = self.path, batch.integers(self.path.steps)
        noisy_BCHW = path.mix(clean_BCHW, noise_BCHW, place_B)

        def student(x_BCHW: Tensor, at_B: Tensor) -> Tensor:
            inputs = torch.cat((x_BCHW, before_BCHW), 1)
            times = path.times(at_B).to(self.device)
            out = self.unet(inputs, times, encoder_hidden_states=full_BTD).sample.float()
            return path.consistent(x_BCHW, out, at_B)

        with torch.no_grad():
            text, image = self.guidance
            guided = GuidedUNet(self.teacher, full_BTD, empty_BTD, before_BCHW, text, image)
            out = guided(noisy_BCHW, path.times(place_B).to(self.device))
            further_BCHW = path.step(noisy_BCHW, out, place_B)
            target_BCHW = student(further_BCHW, (place_B + 1).clamp(max=path.steps - 1))
            ends = (place_B + 1 == path.steps).view(count, 1, 1, 1).to(self.device)
            target_BCHW = torch.where(ends, further_BCHW, target_BCHW)
        error = (student(noisy_BCHW, place_B) - target_BCHW) ** 2
        return ((error + HUBER**2).sqrt() - HUBER).mean((1, 2, 3))


class FlowPath:
    """The straight path x_t = (1 − t) x + t ε, of a network that predicts x.

    Arguments:
        t_S: descending times, none of them 0.
    """

    def __init__(self, t_S: Tensor) -> None:
        self.t = torch.cat((t_S, torch.zeros(1)))
        self.steps = len(t_S)

    def times(self, place_B: Tensor) -> Tensor:
        """What the network is told (B,)."""
        return 1000 * self.t[place_B]

    def mix(self, clean: Tensor, noise: Tensor, place_B: Tensor) -> Tensor:
        """The noisy latents at some places of the path."""
        t = self._at(place_B, clean)
        return (1 - t) * clean + t * noise

    def step(self, x: Tensor, out: Tensor, place_B: Tensor) -> Tensor:
        """One step of Euler's along the path that leads to `out`."""
        t, then = self._at(place_B, x), self._at(place_B + 1, x)
        return out + (x - out) * (then / t)

    def consistent(self, x: Tensor, out: Tensor, place_B: Tensor) -> Tensor:
        """The end of the path."""
        return out

    def _at(self, place_B: Tensor, like: Tensor) -> Tensor:
        return self.t[place_B].view(-1, 1, 1, 1).to(like)


class DiffusionPath:
    """DDIM's path x_t = √ᾱ x + √(1−ᾱ) ε, of a network that predicts ε, or the velocity.

    Arguments:
        t_S: descending training times.
        scheduler: of diffusers, with the noise schedule and what is predicted.
    """

    def __init__(self, t_S: Tensor, scheduler: Any) -> None:
        self.t, self.steps = t_S, len(t_S)
        self.alphas = torch.cat((scheduler.alphas_cumprod[t_S], torch.ones(1)))
        self.velocity = scheduler.config.prediction_type == "v_prediction"
        self.student: Any = LCMScheduler.from_config(scheduler.config)

    def times(self, place_B: Tensor) -> Tensor:
        """As `FlowPath.times`."""
        return self.t[place_B]

    def mix(self, clean: Tensor, noise: Tensor, place_B: Tensor) -> Tensor:
        """As `FlowPath.mix`."""
        a, b = self._at(place_B, clean)
        return a * clean + b * noise

    def step(self, x: Tensor, out: Tensor, place_B: Tensor) -> Tensor:
        """One step of DDIM's (Song et al., 2021, eq. 12, σ = 0)."""
        a, b = self._at(place_B + 1, x)
        clean = self._clean(x, out, place_B)
        own_a, own_b = self._at(place_B, x)
        return a * clean + b * (x - own_a * clean) / own_b

    def consistent(self, x: Tensor, out: Tensor, place_B: Tensor) -> Tensor:
        """The end of the path; near it x itself, as `LCMScheduler` takes it (Luo et al., eq. 9)."""
        scalings = self.student.get_scalings_for_boundary_condition_discrete(self.t[place_B])
        skip, own = (scale.view(-1, 1, 1, 1).to(x) for scale in scalings)
        return skip * x + own * self._clean(x, out, place_B)

    def _clean(self, x: Tensor, out: Tensor, place_B: Tensor) -> Tensor:
        a, b = self._at(place_B, x)
        return a * x - b * out if self.velocity else (x - b * out) / a

    def _at(self, place_B: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        alpha = self.alphas[place_B].view(-1, 1, 1, 1).to(like)
        return alpha.sqrt(), (1 - alpha).sqrt()


def path_of(teacher: ActionFramePipeline, steps: int) -> FlowPath | DiffusionPath:
    """The path from noise to picture, without new noise, in so many steps of the teacher's.

    Raises:
        UserError: the teacher predicts something else.
    """
    scheduler = teacher.scheduler
    if teacher.config.prediction == "sample":
        own = type(scheduler).from_config(scheduler.config)
        own.set_timesteps(steps)
        return FlowPath(own.sigmas[:-1].float())
    if scheduler.config.prediction_type not in ("epsilon", "v_prediction"):
        raise UserError(
            f"a model that predicts {scheduler.config.prediction_type} cannot be distilled"
        )
    lcm: Any = LCMScheduler.from_config(scheduler.config)
    every = lcm.config.num_train_timesteps // steps  # as the student's scheduler has them
    return DiffusionPath(torch.arange(steps, 0, -1) * every - 1, lcm)


def as_student(
    teacher: ActionFramePipeline, unet: Any, config: DistillationConfig
) -> ActionFramePipeline:
    """The teacher's pipeline with another U-Net, drawing in a few steps without guidance."""
    parts = {**teacher.components, "unet": unet}
    if teacher.config.prediction != "sample":
        parts["scheduler"] = LCMScheduler.from_config(
            teacher.scheduler.config, original_inference_steps=config.teacher_steps
        )
    settings = {
        name: value
        for name, value in teacher.config.items()
        if name not in parts and not name.startswith("_")
    }
    return ActionFramePipeline(**parts, **settings | {
        "steps": config.steps, "text_guidance": 1.0, "image_guidance": 1.0, "sampler": "scheduler"
    })  # fmt: skip


def asked_parts(teacher: ActionFramePipeline) -> list[nn.Module]:
    """The teacher's networks that training asks, and leaves as they are."""
    parts = (teacher.unet, teacher.text_encoder, teacher.conditioner)
    return [part for part in parts if part is not None]


def new_student(teacher: ActionFramePipeline, config: DistillationConfig) -> Any:
    """A U-Net that begins as the teacher's."""
    unet = copy.deepcopy(teacher.unet).requires_grad_(config.lora_rank is None)
    if config.lora_rank is not None:
        try:
            from peft import LoraConfig
        except ImportError:
            raise UserError('lora_rank: needs PEFT; pip install "egoframe[train]"') from None
        torch.manual_seed(config.loop.seed)
        rank = config.lora_rank
        unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=list(LORA)))
    return unet
