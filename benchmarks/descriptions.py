"""How true are the enhancer's descriptions on unseen kitchens?

Reads the checkable facts back out of each description and compares them with the simulator's
record. Rows: the teacher, the tuned enhancer, and the enhancer shown the wrong photo, which says
how much of its knowledge comes from the action alone.

    python benchmarks/descriptions.py DATASET --enhancer runs/kitchen/enhancer/enhancer
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from egoframe.enhancer.model import Enhancer
from egoframe.evaluation.descriptions import score_descriptions
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
    photos = [photo.convert("RGB") for photo in pairs["input_frame"]]
    actions = list(pairs["action"])
    enhancer = Enhancer.from_pretrained(arguments.enhancer)

    def describe(shown: list) -> list[str]:  # type: ignore[type-arg]
        said: list[str] = []
        for start in range(0, len(actions), arguments.batch_size):
            part = slice(start, start + arguments.batch_size)
            said += enhancer(shown[part], actions[part]).descriptions
        return said

    rows = {
        "teacher": list(pairs["description"]),
        "enhancer": describe(photos),
        "enhancer, wrong photo": describe(photos[1:] + photos[:1]),
    }
    report = {
        name: {kind: s.accuracy for kind, s in score_descriptions(texts, records).items()}
        for name, texts in rows.items()
    }
    kinds = sorted({kind for row in report.values() for kind in row})
    print("".join([f"{'':24}", *(f"{kind:>12}" for kind in kinds)]))
    for name, row in report.items():
        print("".join([f"{name:24}", *(f"{row.get(kind, float('nan')):12.3f}" for kind in kinds)]))
    for text in rows["enhancer"][:5]:
        print("·", text)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        told = {"pairs": len(pairs), "seed": arguments.seed, "accuracy": report}
        arguments.out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
