"""`--dry-run`: whether a training of the generator, or a distillation, can start, and what it will
take; nothing is trained or written."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from egoframe.enhancer.model import Enhancer
from egoframe.errors import UserError
from egoframe.frames import to_tensor
from egoframe.generator.autoencoder import encode, open_autoencoder
from egoframe.generator.distillation import (
    DistillationConfig,
    asked_parts,
    new_student,
)
from egoframe.generator.features import FRAMES, check_sizes
from egoframe.generator.generator_training import GeneratorConfig, start_networks
from egoframe.generator.memory import Work, advice
from egoframe.generator.tokenizer import LENGTH, new_tokenizer
from egoframe.generator.trajectories import trajectory_of
from egoframe.models import load
from egoframe.pairs import open_described, open_pairs
from egoframe.training.config import check_same_run
from egoframe.training.processes import start_processes

LOOKED_AT = 64  # pairs, spread over the dataset


@torch.inference_mode()
def plan_generator(config: GeneratorConfig) -> dict[str, Any]:
    """What a training will learn from and take.

    Raises:
        UserError: it could not start.
    """
    accelerator = start_processes(config)
    needs_words = config.start_from is None or config.written_by == "dataset"
    dataset, photo = _look(config, needs_words)
    vae, enhancer = open_autoencoder(config.vae), Enhancer.from_pretrained(config.enhancer)
    latent = encode(vae, to_tensor([photo])).shape[1:]
    tokenizer = new_tokenizer(dataset["action"][:1000]) if config.start_from is None else None
    with torch.inference_mode(False):
        networks, _ = start_networks(config, latent[0], enhancer, tokenizer)
    work = Work(latent, _context_tokens(enhancer, photo, "conditioner" in networks))
    return _told(accelerator, config, len(dataset), networks, work)


@torch.inference_mode()
def plan_distillation(config: DistillationConfig) -> dict[str, Any]:
    """As `plan_generator`, of a distillation."""
    accelerator = start_processes(config)
    dataset, photo = _look(config, config.written_by == "dataset")
    with torch.inference_mode(False):
        teacher = load(config.model, "cpu")
        trajectory_of(teacher, config.teacher_steps, config.steps)
        networks = nn.ModuleDict({"unet": new_student(teacher, config)})
    latent = encode(teacher.vae, to_tensor([photo])).shape[1:]
    enhancer = Enhancer(teacher.enhancer, teacher.processor)
    work = Work(latent, _context_tokens(enhancer, photo, teacher.conditioner is not None))
    beside = sum(p.numel() for part in asked_parts(teacher) for p in part.parameters())
    return _told(accelerator, config, len(dataset), networks, work, beside)


def _look(config: GeneratorConfig | DistillationConfig, needs_words: bool) -> tuple[Any, Any]:
    """The pairs that will be learnt from, of which some are looked at, and a photo."""
    dataset = (open_described if needs_words else open_pairs)(config.dataset, "train")
    check_same_run(config, len(dataset), write=False)
    some = range(0, len(dataset), max(1, len(dataset) // LOOKED_AT))
    pairs = dataset[list(some)]
    check_sizes(config.dataset, pairs["pair_id"], {name: pairs[name] for name in FRAMES})
    return dataset, pairs[FRAMES[0]][0].convert("RGB")


def _context_tokens(enhancer: Enhancer, photo: Any, conditioned: bool) -> int:
    """Tokens of the cross-attention context."""
    return LENGTH + (enhancer.embed_images([photo]).shape[1] + LENGTH if conditioned else 0)


def _told(
    accelerator: Any,
    config: GeneratorConfig | DistillationConfig,
    pairs: int,
    networks: nn.ModuleDict,
    work: Work,
    beside: int = 0,
) -> dict[str, Any]:
    """Raises:
    UserError: the memory is too small.
    """
    with torch.inference_mode(False):
        memory, fits, line = advice(
            networks, config.loop, work, accelerator.device, accelerator.num_processes, beside
        )
    if not fits:
        raise UserError(line)
    return {
        "pairs": pairs,
        "epochs": round(config.loop.steps * config.loop.batch_size / pairs, 2),
        "parameters_learnt": sum(p.numel() for p in networks.parameters() if p.requires_grad),
        "parameters": sum(p.numel() for p in networks.parameters()) + beside,
        "memory_gb": memory.told(),
        "memory": line,
    }
