"""The main job on unseen kitchens: does the picture show the action, and does the kitchen stay?

Draws action frames for pairs of the validation split, taken at random, and reports, with 95 %
bootstrap intervals: PSNR inside the region that really changes and outside it, and the share of
frames in which the action recogniser names the asked action. Rows: the truth, copying the input,
the generator given only the action label, and the whole path (the enhancer writes the description)
at the model's own number of steps, at 50, and at one.

    python benchmarks/main_job.py DATASET --out docs/results/main-job.json
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import egoframe
from egoframe.contact_sheet import contact_sheet
from egoframe.evaluation.recogniser import PACKAGED, load_recogniser
from egoframe.evaluation.regions import bootstrap_interval, changed_region, region_psnr
from egoframe.pairs import open_pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--model", default="kitchen", help="a model folder or name")
    parser.add_argument("--recogniser", type=Path, default=PACKAGED, help="a recogniser's folder")
    parser.add_argument("--pairs", type=int, default=300)
    parser.add_argument("--batch-size", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="a JSON file with every figure")
    parser.add_argument("--sheet", type=Path, help="a contact sheet of 24 of the pairs")
    arguments = parser.parse_args()

    dataset = open_pairs(arguments.dataset, "validation")
    chosen = np.random.default_rng(arguments.seed).permutation(len(dataset))[: arguments.pairs]
    pairs = dataset.select(chosen)
    actions = list(pairs["action"])
    inputs = [frame.convert("RGB") for frame in pairs["input_frame"]]
    truth = stack([frame.convert("RGB") for frame in pairs["action_frame"]])
    before = stack(inputs)

    pipe = egoframe.load(arguments.model)
    recogniser = load_recogniser(arguments.recogniser)
    region = changed_region(before, truth)
    changes = region.any((1, 2))

    def draw(enhance: bool, steps: int | None = None) -> tuple[list[Image.Image], float]:
        drawn: list[Image.Image] = []
        started = time.perf_counter()
        for start in range(0, len(pairs), arguments.batch_size):
            part = slice(start, start + arguments.batch_size)
            out = pipe(
                inputs[part],
                actions[part],
                enhance=enhance,
                steps=steps,
                seed=arguments.seed,
                pair_ids=list(pairs["pair_id"])[part],
            )
            drawn += out.images
        return drawn, (time.perf_counter() - started) / len(pairs)

    def measure(pictures: np.ndarray) -> dict[str, dict[str, object]]:
        named = recogniser.recognise(torch.from_numpy(before), torch.from_numpy(pictures))
        figures = {
            "psnr_changed": region_psnr(truth, pictures, region),
            "psnr_unchanged": region_psnr(truth, pictures, ~region),
            "recognised": np.array([n == a for n, a in zip(named, actions, strict=True)], float),
        }
        return {
            name: {"mean": float(np.nanmean(v)), "interval": bootstrap_interval(v)}
            for name, v in figures.items()
        }

    full, seconds = draw(enhance=True)
    label_only, _ = draw(enhance=False)
    rows = {
        "truth": measure(truth),
        "copy the input": measure(before),
        "bare action label": measure(stack(label_only)),
        "enhanced description": measure(stack(full)),
        "the same, 50 steps": measure(stack(draw(enhance=True, steps=50)[0])),
        "the same, 1 step": measure(stack(draw(enhance=True, steps=1)[0])),
    }
    report = {
        "command": f"python benchmarks/main_job.py {arguments.dataset.name} --pairs {len(pairs)}",
        "pairs": len(pairs),
        "pairs_that_change": int(changes.sum()),
        "changed_share_of_picture": float(region.mean()),
        "seed": arguments.seed,
        "steps": pipe.config.steps,
        "text_guidance": pipe.config.text_guidance,
        "seconds_per_picture": seconds,
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "rows": rows,
    }
    print_table(rows)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if arguments.sheet:
        entries = [
            (actions[i], (inputs[i], full[i], Image.fromarray(truth[i])))
            for i in range(min(24, len(pairs)))
        ]
        arguments.sheet.parent.mkdir(parents=True, exist_ok=True)
        sheet = contact_sheet(entries, ("input", "generated", "truth"), columns=3)
        sheet.save(arguments.sheet, quality=88)


def stack(pictures: list[Image.Image]) -> np.ndarray:
    return np.stack([np.asarray(picture) for picture in pictures])


def print_table(rows: dict[str, dict[str, dict[str, object]]]) -> None:
    names = list(next(iter(rows.values())))
    print("".join([f"{'':24}", *(f"{name:>28}" for name in names)]))
    for row, figures in rows.items():
        cells = [
            f"{figures[name]['mean']:.2f} [{figures[name]['interval'][0]:.2f}, "
            f"{figures[name]['interval'][1]:.2f}]"
            for name in names
        ]
        print("".join([f"{row:24}", *(f"{cell:>28}" for cell in cells)]))


if __name__ == "__main__":
    main()
