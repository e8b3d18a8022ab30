"""The paper's ablation, and its flaws, at equal budget on the built-in kitchen.

Arms: the bare label; the enhancer's description; with its image embeddings, its text embeddings,
both. Both as the release trains them: projections and mixer stay as they began, mirror images keep
the words and embeddings of the frames as they were. And the dataset's own descriptions, whose facts
are all true: what descriptions could bring at most. All arms of a seed begin with the same weights
where they have the same networks, and see the same pairs with the same noise.

Intervals are 95 % bootstraps over seeds and pairs, those of differences from the label paired. Goes
on where it was; each run that is done has its `figures.npz`.

    python -m benchmarks.ablation configs/ablation.yaml --out docs/results/ablation.json
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image

import egoframe
from benchmarks.unseen import Figures, UnseenPairs, print_table
from egoframe import machine
from egoframe.config import load_config
from egoframe.enhancer.model import Enhancement, Enhancer
from egoframe.generator.generator_training import GeneratorConfig, train_generator
from egoframe.generator.networks import NetworkConfig
from egoframe.generator.objective import ObjectiveConfig
from egoframe.models import packaged
from egoframe.training import LoopConfig


@dataclass(frozen=True)
class AblationConfig:
    """What all arms share."""

    dataset: Path
    out: Path
    seeds: tuple[int, ...] = (0, 1, 2)
    pairs: int = 300  # of unseen kitchens
    network: NetworkConfig = field(default_factory=NetworkConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)


@dataclass(frozen=True)
class Arm:
    """What one arm has of its own."""

    folder: str
    image: bool = True
    text: bool = True
    described: bool = True
    written_by: Literal["dataset", "enhancer"] = "enhancer"
    flawed: bool = False


ARMS = {
    "label": Arm("label", image=False, text=False, described=False),
    "description": Arm("description", image=False, text=False),
    "+ image embedding": Arm("image", text=False),
    "+ text embedding": Arm("text", image=False),
    "+ both (corrected)": Arm("both"),
    "+ both, as the release trains (paper)": Arm("paper", flawed=True),
    "the true description": Arm("true", image=False, text=False, written_by="dataset"),
}


def settings_of(arm: Arm, seed: int, config: AblationConfig, out: Path) -> GeneratorConfig:
    """The training of an arm."""
    folder = packaged()
    assert folder is not None
    mirror = "frames" if arm.flawed else "all"
    words = config.objective if arm.described else replace(config.objective, text="label")
    return GeneratorConfig(
        dataset=config.dataset,
        vae=folder / "vae",
        enhancer=folder,
        out=out,
        mirror=mirror,
        features_folder=config.out / f"features-{mirror}-{arm.written_by}",
        written_by=arm.written_by,
        train_conditioner=not arm.flawed,
        objective=words,
        network=replace(config.network, use_image_embeds=arm.image, use_text_embeds=arm.text),
        loop=replace(config.loop, seed=seed),
    )


def measure(
    arm: Arm, folder: Path, unseen: UnseenPairs, seen: list[Enhancement], batch: int
) -> Figures:
    """What a trained arm draws of the unseen pairs."""
    pipe = egoframe.load(folder)

    def make(part: slice) -> list[Image.Image]:
        own = seen[part.start // batch]
        words = {"enhancement": own} if arm.described else {"enhance": False}
        return pipe(
            unseen.inputs[part], unseen.actions[part], pair_ids=unseen.names[part], **words
        ).images

    drawn, _ = unseen.draw(make, batch)
    return unseen.figures(drawn)


def over_both(values: np.ndarray, draws: int = 2000) -> dict[str, object]:
    """The mean of figures (seeds, pairs), and its 95 % interval where both are drawn again."""
    random = np.random.default_rng(0)
    seeds, pairs = values.shape
    again = [
        np.nanmean(values[random.integers(0, seeds, seeds)][:, random.integers(0, pairs, pairs)])
        for _ in range(draws)
    ]
    low, high = np.percentile(again, (2.5, 97.5))
    return {"mean": float(np.nanmean(values)), "interval": [float(low), float(high)]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("settings", nargs="*", help="such as loop.steps=500")
    parser.add_argument("--out", type=Path, help="a JSON file with every figure")
    arguments = parser.parse_args()
    config = load_config(AblationConfig, arguments.config, arguments.settings)
    unseen = UnseenPairs(config.dataset, config.pairs)
    batch = 20
    folder = packaged()
    assert folder is not None
    enhancer = Enhancer.from_pretrained(folder, torch.float32)

    def describe(texts: list[str] | None) -> list[Enhancement]:
        parts = [slice(k, k + batch) for k in range(0, len(unseen), batch)]
        return [
            enhancer(unseen.inputs[part], unseen.actions[part], texts[part] if texts else None)
            for part in parts
        ]

    seen = {"enhancer": describe(None), "dataset": describe(list(unseen.pairs["description"]))}
    figures: dict[str, list[Figures]] = {name: [] for name in ARMS}
    for seed in config.seeds:
        for name, arm in ARMS.items():
            out = config.out / f"{arm.folder}-{seed}"
            done = out / "figures.npz"
            if not done.exists():
                train_generator(settings_of(arm, seed, config, out))
                found = measure(arm, out / "pipeline", unseen, seen[arm.written_by], batch)
                np.savez(done.with_suffix(".writing.npz"), **found)
                done.with_suffix(".writing.npz").rename(done)
            figures[name].append(dict(np.load(done)))
            print(f"seed {seed}, {name}: done", flush=True)
    stacked = {
        name: {key: np.stack([f[key] for f in runs]) for key in runs[0]}
        for name, runs in figures.items()
    }
    rows = {
        name: {key: over_both(values) for key, values in own.items()}
        for name, own in stacked.items()
    }
    apart = {
        name: {key: over_both(values - stacked["label"][key]) for key, values in own.items()}
        for name, own in stacked.items()
        if name != "label"
    }
    spread = {
        name: {key: [float(np.nanmean(f[key])) for f in runs] for key in runs[0]}
        for name, runs in figures.items()
    }
    report = {
        "command": f"python -m benchmarks.ablation {arguments.config.name}",
        "machine": machine.describe(torch.device("cpu")),
        "pairs": len(unseen),
        "seeds": list(config.seeds),
        "steps": config.loop.steps,
        "batch_size": config.loop.batch_size,
        "rows": rows,
        "difference_from_label": apart,
        "mean_of_each_seed": spread,
    }
    print_table(rows)
    print("\ndifference from the label")
    print_table(apart)
    if arguments.out:
        arguments.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
