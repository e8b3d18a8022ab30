"""How long the metrics take that need no network: PSNR, SSIM and PSNR by region.

Of a thousand pairs and as many PNG files, worker processes and all reading counted.

    python -m benchmarks.cheap_metrics runs/kitchen/pairs-128 --out docs/results/cheap-metrics.json
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch

from egoframe import machine
from egoframe.evaluation.measuring import Measuring, Subject, measure
from egoframe.evaluation.metrics import MetricSpec
from egoframe.pictures import choose_pairs, picture_path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--out", type=Path, help="a JSON file with every figure")
    arguments = parser.parse_args()

    pairs = choose_pairs(arguments.dataset, "validation", arguments.pairs)
    with tempfile.TemporaryDirectory() as folder:
        drawn = Path(folder) / "drawn"
        drawn.mkdir()
        for row in pairs:
            row["input_frame"].convert("RGB").save(picture_path(drawn, row["pair_id"]))
        config = Measuring(
            str(arguments.dataset), (MetricSpec("pixels", "corrected"),), Path(folder) / "measured",
            pairs=arguments.pairs,
        )  # fmt: skip
        started = time.perf_counter()
        measure(config, [Subject("drawn", place=drawn)])
        seconds = time.perf_counter() - started
    report = {
        "command": f"python -m benchmarks.cheap_metrics {arguments.dataset.name}",
        "machine": machine.describe(torch.device("cpu")),
        "pairs": len(pairs),
        "size": pairs[0]["action_frame"].size,
        "seconds": seconds,
    }
    print(json.dumps(report, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
