"""Distils a generator's guidance and steps: a few steps without guidance draw what many with it do.

Phased consistency distillation (Wang et al., 2024) of latents (Luo et al., 2023): the path from
noise to picture falls into a phase for each of the student's steps, and from any of the guided
teacher's steps within a phase the student learns to jump to the phase's end. Its target is its own
jump from one teacher's step further on, without gradient and without averaging (Song & Dhariwal,
2024); at the end of a phase, the teacher. With as many teacher's steps as its own, it learns the
guidance alone (Meng et al., 2023). It begins as the teacher, whose text encoder and conditioner it
keeps.

Shape suffixes: B pairs, C channels, H height, W width, T tokens, D width.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
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
from egoframe.generator.trajectories import lcm_scheduler, trajectory_of
from egoframe.models import load, resolve
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
    model: str  # the teacher: a name or a folder
    steps: int = 4  # of the student
    teacher_steps: int = 50  # as `steps`: distil the guidance alone
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
    whole = load(config.model, "cpu")
    student = as_student(whole, own, config)
    student.familiarity = whole.familiarity
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
        self.trajectory = trajectory_of(teacher, config.teacher_steps, config.steps)

    def __call__(self, batch: Batch) -> Tensor:
        data = {name: value.to(self.device) for name, value in batch.data.items()}
        before_BCHW, action_BCHW = (
            data[name].float() for name in ("input_latents", "action_latents")
        )
        label_B = batch.chance(self.inner.config.label_share).to(self.device)
        never_B = torch.zeros_like(label_B)
        # What stays as it is, is not worth bfloat16; and torch's fused encoder layer, which no
        # gradient needs, fails in a CPU's autocast.
        with torch.no_grad(), torch.autocast(torch.device(self.device).type, enabled=False):
            full_BTD = self.inner.context(data, label_B, never_B)
            empty_BTD = self.inner.context(data, label_B, ~never_B)
        clean_BCHW = self.inner.clean(before_BCHW, action_BCHW)
        noise_BCHW = batch.normal(*clean_BCHW.shape[1:]).to(self.device)
        way = self.trajectory
        place_B = batch.integers(way.steps)
        end_B = way.ends[place_B]
        noisy_BCHW = way.mix(clean_BCHW, noise_BCHW, place_B)

        def student(x_BCHW: Tensor, at_B: Tensor) -> Tensor:
            inputs = torch.cat((x_BCHW, before_BCHW), 1)
            times = way.times(at_B).to(self.device)
            out = self.unet(inputs, times, encoder_hidden_states=full_BTD).sample.float()
            return way.step(x_BCHW, out, at_B, end_B)

        with torch.no_grad():
            text, image = self.guidance
            guided = GuidedUNet(self.teacher, full_BTD, empty_BTD, before_BCHW, text, image)
            out = guided(noisy_BCHW, way.times(place_B).to(self.device))
            target_BCHW = way.step(noisy_BCHW, out, place_B, place_B + 1)
            within_B = place_B + 1 < end_B
            if within_B.any():
                jumped_BCHW = student(target_BCHW, torch.where(within_B, place_B + 1, place_B))
                within_B111 = within_B.view(-1, 1, 1, 1).to(self.device)
                target_BCHW = torch.where(within_B111, jumped_BCHW, target_BCHW)
        error = (student(noisy_BCHW, place_B) - target_BCHW) / way.gain(place_B, end_B, out)
        return ((error**2 + HUBER**2).sqrt() - HUBER).mean((1, 2, 3))


def as_student(
    teacher: ActionFramePipeline, unet: Any, config: DistillationConfig
) -> ActionFramePipeline:
    """The teacher's pipeline with another U-Net, drawing in a few steps without guidance."""
    parts = {**teacher.components, "unet": unet}
    if teacher.config.prediction != "sample":
        parts["scheduler"] = lcm_scheduler(teacher.scheduler, config.teacher_steps)
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
