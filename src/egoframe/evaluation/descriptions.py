"""How true descriptions are: their checkable facts against what the built-in scenes know."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egoframe.errors import UserError
from egoframe.scenes import check

if TYPE_CHECKING:
    import datasets

    from egoframe.enhancer.model import Enhancer
    from egoframe.enhancer.tuning import TuningConfig

TOGETHER = 16  # pairs described at once


@dataclass(frozen=True)
class DescriptionScore:
    """Facts that some descriptions tell of one kind, or of all kinds."""

    told: int
    right: int

    @property
    def accuracy(self) -> float:
        """The share of the facts told that are right; 1 where none is told."""
        return self.right / self.told if self.told else 1.0


def score_descriptions(
    descriptions: Sequence[str], records: Sequence[dict[str, Any]]
) -> dict[str, DescriptionScore]:
    """The facts of descriptions, by kind and, under "all", together.

    Arguments:
        descriptions: N texts.
        records: N records of the actions they describe, as `simulator.jsonl` holds them.
    """
    facts = [
        fact
        for text, record in zip(descriptions, records, strict=True)
        for fact in check(text, record)
    ]
    kinds = {kind: [f for f in facts if f.kind == kind] for kind in sorted({f.kind for f in facts})}
    return {
        kind: DescriptionScore(told=len(group), right=sum(fact.right for fact in group))
        for kind, group in {**kinds, "all": facts}.items()
    }


def judge_enhancer(
    enhancer: Enhancer, pairs: datasets.Dataset, batch_size: int = TOGETHER
) -> dict[str, Any]:
    """How well an enhancer knows the answers of described pairs, and how true its own are.

    Returns:
        `loss`, the mean cross entropy of the answers' tokens in nats; and, where every pair has its
        `facts`, `accuracy` by kind of fact: told, right, and the share of these in those.
    """
    from egoframe.enhancer.instruction import answer_loss
    from egoframe.enhancer.lessons import describing, make_room

    actions = list(pairs["action"])
    make_room(enhancer, describing(pairs))
    told: dict[str, Any] = {"loss": answer_loss(enhancer, pairs, batch_size)}
    records = list(pairs["facts"])
    if all(records):
        said: list[str] = []
        for start in range(0, len(pairs), batch_size):
            stop = start + batch_size
            images = [image.convert("RGB") for image in pairs[start:stop]["input_frame"]]
            said += enhancer.describe(images, actions[start:stop])
        scores = score_descriptions(said, [json.loads(record) for record in records])
        told["accuracy"] = {
            kind: {
                "told": score.told,
                "right": score.right,
                "share": score.accuracy if score.told else None,
            }
            for kind, score in scores.items()
        }
    return told


def judge_tuning(config: TuningConfig, model: Path) -> dict[str, Any]:
    """The tuned model against its base, on the same pairs of the validation split.

    Writes `report.json` into the run's folder; what could not be judged, and why, is among its
    `notes`.
    """
    import torch

    from egoframe.enhancer.model import Enhancer
    from egoframe.enhancer.opening import open_model, open_processor
    from egoframe.enhancer.tuning import base_parts
    from egoframe.pairs import open_described
    from egoframe.training.checkpoints import write_whole

    report: dict[str, Any] = {"base": config.base, "seed": config.loop.seed, "notes": []}
    try:
        pairs = open_described(config.dataset, "validation", config.described_by)
    except UserError as error:
        report["notes"].append(f"not judged: {error}")
    else:
        chosen = pairs.shuffle(seed=config.loop.seed).select(range(min(config.judged, len(pairs))))
        if not all(chosen["facts"]):
            report["notes"].append("no accuracy: the dataset does not know the facts")
        dtype = torch.float32 if config.loop.device == "cpu" else torch.bfloat16
        for name, parts in (("untuned", base_parts(config)), ("tuned", (model, model))):
            bits: Any = 4 if config.method == "qlora" else None
            opened = open_model(parts[0], dtype, bits, config.loop.device)
            enhancer = Enhancer(opened, open_processor(parts[1]))
            report[name] = judge_enhancer(enhancer, chosen)
        report["pairs"] = len(chosen)
    write_whole(config.out / "report.json", json.dumps(report, indent=1) + "\n")
    return report


def summary(report: dict[str, Any]) -> dict[str, Any]:
    """What `judge_tuning` found, in a few lines for people."""
    lines: dict[str, Any] = {}
    if "tuned" in report:
        before, after = report["untuned"], report["tuned"]
        lines["held-out pairs"] = report["pairs"]
        lines["held-out loss"] = f"{after['loss']:.4f}; untuned {before['loss']:.4f}"
        for kind, score in after.get("accuracy", {}).items():
            was = before["accuracy"].get(kind, {"told": 0, "right": 0})
            lines[f"right of {kind} facts"] = (
                f"{score['right']} of {score['told']}; untuned {was['right']} of {was['told']}"
            )
    return lines | ({"note": "; ".join(report["notes"])} if report["notes"] else {})
