"""Our training loop beside a plain one in the manner of diffusers' InstructPix2Pix example.

Same networks, pairs, batch, loss (LEGO's) and precision; the two take turns, and the best turn of
each counts. The plain loop decodes, encodes with autoencoder and text encoder, adds noise, steps
AdamW and diffusers' `EMAModel`. It runs twice: working out the frozen models' features anew in each
step, as the example does, and reading them from memory, which leaves the loop itself.

    python -m benchmarks.training runs/kitchen/pairs-128 --out docs/results/training.json
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from diffusers import DDPMScheduler
from diffusers.optimization import get_scheduler
from diffusers.training_utils import EMAModel
from torch.utils.data import DataLoader, Dataset
from transformers import CLIPTokenizer

from egoframe import machine
from egoframe.enhancer.model import Enhancer
from egoframe.generator.autoencoder import open_autoencoder
from egoframe.generator.features import CachedFeatures, Recipe, fetcher, make, make_features, unpack
from egoframe.generator.generator_training import GeneratorConfig, measure_scales, start_networks
from egoframe.generator.objective import GeneratorObjective, ObjectiveConfig
from egoframe.generator.sampling import paper_scheduler, scaled_linear_alphas
from egoframe.generator.tokenizer import LENGTH
from egoframe.models import packaged
from egoframe.pairs import open_pairs
from egoframe.training import LoopConfig, fit


class Pairs(Dataset):
    """A pair at a time: its features, or what they are made of."""

    def __init__(self, features: CachedFeatures | None, pairs) -> None:
        self.features, self.pairs = features, pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int):
        if self.features is None:
            return self.pairs[index]
        return {name: value[0] for name, value in self.features.rows([index], [False]).items()}


def plain(config: GeneratorConfig, features: CachedFeatures | None, recipe: Recipe, parts) -> float:
    """Samples per second of the plain loop."""
    _, enhancer, tokenizer, some = parts
    loop, device = config.loop, torch.device("cpu")
    channels = some.rows([0], [False])["input_latents"].shape[1]
    networks, _ = start_networks(config, channels, enhancer, tokenizer)
    networks.train()
    optimiser = torch.optim.AdamW(
        networks.parameters(), lr=loop.lr, betas=(0.9, loop.beta2), weight_decay=loop.weight_decay
    )
    rate = get_scheduler(
        "cosine", optimiser, num_warmup_steps=loop.warmup, num_training_steps=loop.steps
    )
    ema = EMAModel(networks.parameters(), decay=loop.ema)
    told = paper_scheduler().config
    noises = DDPMScheduler(
        beta_start=told.beta_start, beta_end=told.beta_end, beta_schedule=told.beta_schedule
    )
    data = Pairs(features, open_pairs(config.dataset, "train"))
    collate = None if features else lambda rows: {k: [r[k] for r in rows] for k in rows[0]}
    loader = DataLoader(data, loop.batch_size, shuffle=True, collate_fn=collate)
    empty = tokenizer([""], padding="max_length", max_length=LENGTH, return_tensors="pt").input_ids
    started = 0.0
    for step, batch in enumerate(loader):
        if step == 1:  # the first one warms up
            started = time.perf_counter()
        if features is None:
            batch = unpack(make(recipe, batch))
        with torch.autocast(device.type, torch.bfloat16, enabled=loop.bf16):
            clean = batch["action_latents"].float()
            before = batch["input_latents"].float()
            noise = torch.randn_like(clean)
            t = torch.randint(0, 1000, (len(clean),))
            noisy = noises.add_noise(clean, noise, t)
            draw = torch.rand(len(clean))
            no_text, no_image = draw < 0.1, (draw >= 0.05) & (draw < 0.15)
            tokens = torch.where(no_text[:, None], empty, batch["tokens"])
            text = networks["text_encoder"](tokens).last_hidden_state
            with torch.no_grad():
                seen = enhancer.projector(batch["image_states"].float())
            said = batch["text_embeds"].float()
            context = networks["conditioner"](text, seen, said, ~no_text)
            before = torch.where(no_image.view(-1, 1, 1, 1), 0.0, before)
            out = networks["unet"](torch.cat((noisy, before), 1), t, context).sample
            loss = torch.nn.functional.mse_loss(out.float(), noise)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(networks.parameters(), loop.grad_clip)
        optimiser.step()
        rate.step()
        optimiser.zero_grad()
        ema.step(networks.parameters())
        loss.item()
        if step == loop.steps:
            break
    return loop.steps * loop.batch_size / (time.perf_counter() - started)


def ours(config: GeneratorConfig, features: CachedFeatures, parts, out: Path) -> dict[str, float]:
    """The last line of our loop's log, of as many steps; those before warm up."""
    vae, enhancer, tokenizer, some = parts
    channels = some.rows([0], [False])["input_latents"].shape[1]
    networks, _ = start_networks(config, channels, enhancer, tokenizer)
    scales = measure_scales(config, some, vae, None)
    empty = tokenizer([""], padding="max_length", max_length=LENGTH, return_tensors="pt").input_ids
    objective = GeneratorObjective(
        networks, config.objective, scales, enhancer.projector, empty,
        scaled_linear_alphas(paper_scheduler()), "cpu",
    )  # fmt: skip
    loop = replace(config.loop, steps=2 * config.loop.steps)
    stage = GeneratorConfig(config.dataset, config.vae, config.enhancer, out, loop=loop)
    names = open_pairs(config.dataset, "train")["pair_id"]
    fit(networks, objective, names, stage, fetcher(features, "none"))
    return json.loads((out / "log.jsonl").read_text(encoding="utf-8").splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--features", type=Path, default=Path("runs/benchmark-features"))
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--float32", action="store_true", help="in place of bfloat16")
    parser.add_argument("--out", type=Path, help="a JSON file with every figure")
    arguments = parser.parse_args()

    folder = packaged()
    assert folder is not None
    loop = LoopConfig(
        steps=arguments.steps, batch_size=32, warmup=0, trackers=(),
        bf16=machine.has_bfloat16(torch.device("cpu")) and not arguments.float32,
        log_every=arguments.steps, checkpoint_minutes=1e9,
    )  # fmt: skip
    config = GeneratorConfig(
        arguments.dataset, folder / "vae", folder, Path("unused"), mirror="none",
        objective=ObjectiveConfig(kind="noise", predict="latent", label_share=0.0), loop=loop,
    )  # fmt: skip
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    recipe = Recipe(config.dataset, config.vae, config.enhancer, tokenizer, "none", "enhancer")
    features = make_features(arguments.features, recipe)
    vae = open_autoencoder(config.vae)
    enhancer = Enhancer.from_pretrained(config.enhancer, torch.float32)
    parts = (vae, enhancer, tokenizer, features)
    best: dict[str, float] = {}
    told: dict[str, float] = {}
    for _ in range(arguments.turns):
        turn = {"plain, features anew": plain(config, None, recipe, parts),
                "plain, features cached": plain(config, features, recipe, parts)}  # fmt: skip
        with tempfile.TemporaryDirectory() as name:
            line = ours(config, features, parts, Path(name))
        turn["ours, features cached"] = line["samples_per_s"]
        if line["samples_per_s"] > best.get("ours, features cached", 0.0):
            told = {key: line[key] for key in ("waiting_for_data", "share_of_peak")}
        best = {key: max(value, best.get(key, 0.0)) for key, value in turn.items()}
        print(json.dumps(turn), flush=True)
    report = {
        "command": f"python -m benchmarks.training {arguments.dataset.name}",
        "machine": machine.describe(torch.device("cpu")),
        "precision": "bfloat16" if loop.bf16 else "float32",
        "samples_per_s": best,
        "ours_against_plain_cached": best["ours, features cached"] / best["plain, features cached"],
        "ours_against_plain_anew": best["ours, features cached"] / best["plain, features anew"],
        **told,
    }
    print(json.dumps(report, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
