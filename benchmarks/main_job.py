"""The main job on unseen kitchens: does the picture show the action, and does the kitchen stay?

Draws action frames for pairs of the validation split, taken at random, and reports, with 95 %
bootstrap intervals: PSNR inside the region that really changes and outside it, and the share of
frames in which the action recogniser names the asked action. Rows: the truth, copying the input,
the generator given only the action label, and the whole path (the enhancer writes the description)
at the model's own number of steps, and at one. `distilled.py` has its teacher in 50 steps.

    python -m benchmarks.main_job DATASET --out docs/results/main-job.json
"""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import egoframe
from benchmarks.unseen import UnseenPairs, print_table, with_intervals
from egoframe.evaluation.recogniser import PACKAGED


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

    unseen = UnseenPairs(arguments.dataset, arguments.pairs, arguments.seed, arguments.recogniser)
    pipe = egoframe.load(arguments.model)

    def draw(enhance: bool, steps: int | None = None) -> tuple[np.ndarray, float]:
        def make(part: slice) -> list[Image.Image]:
            return pipe(
                unseen.inputs[part],
                unseen.actions[part],
                enhance=enhance,
                steps=steps,
                seed=arguments.seed,
                pair_ids=unseen.names[part],
            ).images

        return unseen.draw(make, arguments.batch_size)

    full, seconds = draw(enhance=True)
    pictures = {
        "truth": unseen.truth,
        "copy the input": unseen.before,
        "bare action label": draw(enhance=False)[0],
        "enhanced description": full,
        "the same, 1 step": draw(enhance=True, steps=1)[0],
    }
    rows = {name: with_intervals(unseen.figures(drawn)) for name, drawn in pictures.items()}
    report = {
        "command": f"python -m benchmarks.main_job {arguments.dataset.name} --pairs {len(unseen)}",
        "pairs": len(unseen),
        "pairs_that_change": int(unseen.region.any((1, 2)).sum()),
        "changed_share_of_picture": float(unseen.region.mean()),
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
        arguments.sheet.parent.mkdir(parents=True, exist_ok=True)
        unseen.sheet(full).save(arguments.sheet, quality=88)


if __name__ == "__main__":
    main()
