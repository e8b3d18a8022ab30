"""How long metrics take, beside the bare forward pass of their networks on prepared pictures.

    python -m benchmarks.extractors --out docs/results/extractors.json

The two take turns in one process, on one core. What is counted is the processor's time, which other
work on the machine disturbs less than the clock's. Weights are random: what they are takes no time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from egoframe.evaluation.extractors import METRICS, PLUS, open_metric
from egoframe.evaluation.protocol import PROTOCOLS
from egoframe.evaluation.published import NETWORKS, open_network
from egoframe.machine import describe

# Of OpenAI's ViT-L/14.
CLIP = CLIPVisionConfig(hidden_size=1024, intermediate_size=4096, num_hidden_layers=24,
                        num_attention_heads=16, patch_size=14, projection_dim=768)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=1, help="measured at once")
    parser.add_argument("--size", type=int, nargs=2, default=(256, 342), help="height and width")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--metrics", nargs="+", default=METRICS, choices=METRICS)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    result: dict[str, Any] = {
        "machine": describe(torch.device("cpu")),
        "pictures": arguments.pictures,
        "size": list(arguments.size),
        "turns": arguments.turns,
    }
    for name in arguments.metrics:
        with tempfile.TemporaryDirectory() as folder:
            weights = write_weights(name, Path(folder))
            pair = torch.rand(2, arguments.pictures, 3, *arguments.size)
            works = {"bare": bare_forward(name, weights, pair)}
            for protocol in PROTOCOLS.values():
                works[protocol.name] = partial(open_metric(name, protocol, weights), *pair)
            result[name] = measure(works, arguments.turns, arguments.pictures)
        print(name, result[name], flush=True)
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def measure(works: dict[str, Callable[[], Any]], turns: int, pictures: int) -> dict[str, float]:
    """Seconds per picture, and how many times the bare forward pass of the same turn: medians over
    the turns, after one that warms up."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(turns + 1):
        for name, work in works.items():
            started = time.process_time()
            work()
            taken[name].append((time.process_time() - started) / pictures)
    told = {f"{name}, s": round(statistics.median(each[1:]), 4) for name, each in taken.items()}
    for name in list(works)[1:]:
        ratios = [a / b for a, b in zip(taken[name][1:], taken["bare"][1:], strict=True)]
        told[f"{name} / bare"] = round(statistics.median(ratios), 3)
    return told


def write_weights(name: str, folder: Path) -> Path:
    """Random weights, as the published ones lie there."""
    if name == "clip":
        CLIPVisionModelWithProjection(CLIP).save_pretrained(folder)
        return folder
    torch.save(NETWORKS[name.replace(PLUS, "")].new().state_dict(), folder / "weights.pth")
    return folder / "weights.pth"


def bare_forward(name: str, weights: Path, pair: torch.Tensor) -> Callable[[], Any]:
    """A network's forward pass of what it is given for true and drawn pictures (2, B, 3, H, W)."""
    count = pair.shape[1]
    if name == "clip":
        network: Any = CLIPVisionModelWithProjection.from_pretrained(weights).eval()
        given = [torch.rand(count, 3, 224, 224)]
    else:
        network, _ = open_network(name.replace(PLUS, ""), weights)
        if name == "inception":
            given = [torch.rand(count, 3, 299, 299)]
        elif name.startswith("lpips"):
            given = list(pair)
        else:
            given = [torch.rand(count, network.frames, 3, 224, 224)]
    return torch.inference_mode()(partial(network, *given))


if __name__ == "__main__":
    main()
