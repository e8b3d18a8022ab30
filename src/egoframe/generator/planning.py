"""`--dry-run`: whether a training of the generator can start, and what it will take; nothing is
trained or written."""

from __future__ import annotations

from typing import Any

import torch

from egoframe.enhancer.model import Enhancer
from egoframe.errors import UserError
from egoframe.frames import to_tensor
from egoframe.generator.autoencoder import encode, open_autoencoder
from egoframe.generator.features import FRAMES, check_sizes
from egoframe.generator.generator_training import GeneratorConfig, start_networks
from egoframe.generator.memory import Work, advice
from egoframe.generator.tokenizer import LENGTH, new_tokenizer
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
    dataset = (open_described if needs_words else open_pairs)(config.dataset, "train")
    check_same_run(config, len(dataset), write=False)
    some = range(0, len(dataset), max(1, len(dataset) // LOOKED_AT))
    pairs = dataset[list(some)]
    check_sizes(config.dataset, pairs["pair_id"], {name: pairs[name] for name in FRAMES})
    vae, enhancer = open_autoencoder(config.vae), Enhancer.from_pretrained(config.enhancer)
    photo = pairs[FRAMES[0]][0].convert("RGB")
    latent = encode(vae, to_tensor([photo])).shape[1:]
    tokenizer = new_tokenizer(dataset["action"][:1000]) if config.start_from is None else None
    with torch.inference_mode(False):
        networks, _ = start_networks(config, latent[0], enhancer, tokenizer)
        seen = enhancer.embed_images([photo]).shape[1] if "conditioner" in networks else 0
        work = Work((latent[0], latent[1], latent[2]), LENGTH + seen + LENGTH * (seen > 0))
        memory, fits, line = advice(
            networks, config.loop, work, accelerator.device, accelerator.num_processes
        )
    if not fits:
        raise UserError(line)
    return {
        "pairs": len(dataset),
        "epochs": round(config.loop.steps * config.loop.batch_size / len(dataset), 2),
        "parameters_learnt": sum(p.numel() for p in networks.parameters() if p.requires_grad),
        "parameters": sum(p.numel() for p in networks.parameters()),
        "memory_gb": memory.told(),
        "memory": line,
    }
