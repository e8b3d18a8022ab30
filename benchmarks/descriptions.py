"""How true the enhancer's descriptions are, on unseen kitchens.

Describes pairs of the validation split, taken at random, and reports for each kind of fact how
often it is told and how often it is right. Rows: the teacher, the enhancer, and the enhancer shown
the picture of another pair, which tells what can be guessed from the action alone.

    python benchmarks/descriptions.py DATASET --enhancer runs/kitchen/enhancer/enhancer
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from egoframe.enhancer.model import Enhancer
from egoframe.evaluation.descriptions import DescriptionScore, score_descriptions
from egoframe.pairs import open_pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--enhancer", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=300)
    parser.add_argument("--batch-size", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="a JSON file with every figure")
    arguments = parser.parse_args()

    dataset = open_pairs(arguments.dataset, "validation")
    chosen = np.random.default_rng(arguments.seed).permutation(len(dataset))[: arguments.pairs]
    pairs = dataset.select(chosen)
    records = [json.loads(facts) for facts in pairs["facts"]]
    actions = list(pairs["action"])
    photos = [frame.convert("RGB") for frame in pairs["input_frame"]]
    enhancer = Enhancer.from_pretrained(arguments.enhancer)

    def described(pictures: list) -> list[str]:
        texts: list[str] = []
        for start in range(0, len(pairs), arguments.batch_size):
            part = slice(start, start + arguments.batch_size)
            texts += enhancer(pictures[part], actions[part]).descriptions
        return texts

    started = time.perf_counter()
    said = described(photos)
    seconds = (time.perf_counter() - started) / len(pairs)
    rows = {
        "teacher": score_descriptions(list(pairs["description"]), records),
        "enhancer": score_descriptions(said, records),
        "another picture": score_descriptions(described(photos[1:] + photos[:1]), records),
    }
    print_table(rows)
    print(f"{len(pairs)} pairs, {seconds:.2f} s a description")
    for action, text in list(zip(actions, said, strict=True))[:8]:
        print(f"  {action}: {text}")
    if arguments.out:
        report = {
            "command": f"python benchmarks/descriptions.py {arguments.dataset.name} "
            f"--pairs {len(pairs)} --seed {arguments.seed}",
            "seconds_per_description": seconds,
            "rows": {
                row: {kind: {**asdict(s), "accuracy": s.accuracy} for kind, s in scores.items()}
                for row, scores in rows.items()
            },
        }
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def print_table(rows: dict[str, dict[str, DescriptionScore]]) -> None:
    kinds = list(rows["teacher"])
    print("".join([f"{'':18}", *(f"{kind:>14}" for kind in kinds)]))
    for row, scores in rows.items():
        told = [scores.get(kind, DescriptionScore(0, 0)) for kind in kinds]
        print("".join([f"{row:18}", *(f"{s.accuracy:>7.1%} of{s.told:>4}" for s in told)]))


if __name__ == "__main__":
    main()
