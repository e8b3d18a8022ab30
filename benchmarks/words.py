"""What the words of a description change in the pictures: what the default model draws of unseen
pairs told the bare action, the true description, the same with left and right swapped, and that of
another pair of the same action.

    python -m benchmarks.words runs/kitchen/pairs-128 --out docs/results/words.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image

import egoframe
from benchmarks.unseen import UnseenPairs, print_table, with_intervals
from egoframe.enhancer.prompts import mirrored


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--model", default="kitchen", help="a model folder or name")
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--out", type=Path, help="a JSON file with every figure")
    arguments = parser.parse_args()

    unseen = UnseenPairs(arguments.dataset, arguments.pairs)
    pipe = egoframe.load(arguments.model)
    true = list(unseen.pairs["description"])
    draw = np.random.default_rng(0)
    alike = [
        [j for j, other in enumerate(unseen.actions) if other == action and j != k] or [k]
        for k, action in enumerate(unseen.actions)
    ]
    told = {
        "the true description": true,
        "left and right swapped": list(map(mirrored, true)),
        "another pair's, same action": [true[draw.choice(others)] for others in alike],
        "the bare action": None,
    }
    rows, pictures = {}, {}
    for name, texts in told.items():

        def make(part: slice, texts=texts) -> list[Image.Image]:
            words = {"enhance": False} if texts is None else {"description": texts[part]}
            names = unseen.names[part]
            return pipe(unseen.inputs[part], unseen.actions[part], pair_ids=names, **words).images

        pictures[name] = unseen.draw(make)[0]
        rows[name] = with_intervals(unseen.figures(pictures[name]))
    first = pictures["the true description"].astype(float)
    apart = {name: float(np.abs(drawn - first).mean()) for name, drawn in pictures.items()}
    report = {
        "command": f"python -m benchmarks.words {arguments.dataset.name}",
        "pairs": len(unseen),
        "rows": rows,
        "levels_from_the_first": apart,  # mean over pixels, of 255
    }
    print_table(rows)
    print(json.dumps(apart, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
