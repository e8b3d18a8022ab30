"""What is left of a scene after several steps: storyboards of tasks in scenes that training never
saw, drawn as `egoframe storyboard` does, beside the naive chain, in which the model draws each
frame from the picture before. The steps are the true ones; how many of them the enhancer plans
itself is told too. The dataset is of recordings before an eye that does not move, so that the truth
of every step has the photo's view:

    egoframe kitchen record runs/kitchen/still --kitchens 200 --still --frames-only
    egoframe data build epic runs/kitchen/still runs/kitchen/still-128 size=128
    python -m benchmarks.storyboards runs/kitchen/still-128 --out docs/results/storyboards.json
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import egoframe
from egoframe.apps.storyboard import draw_steps, plan_steps
from egoframe.contact_sheet import contact_sheet
from egoframe.enhancer.lessons import planning
from egoframe.errors import UserError
from egoframe.evaluation.recogniser import PACKAGED, load_recogniser
from egoframe.evaluation.regions import changed_region, region_psnr
from egoframe.evaluation.statistics import bootstrap_interval
from egoframe.pairs import open_pairs

Draw = Callable[[Image.Image, list[str]], Iterator[Image.Image]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--model", default="kitchen", help="a model folder or name")
    parser.add_argument("--recogniser", type=Path, default=PACKAGED)
    parser.add_argument("--tasks", type=int, default=60, help="how many, drawn at random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="a JSON file with every figure")
    parser.add_argument(
        "--sheet", type=Path, help="the first storyboard of each task, and its truth"
    )
    arguments = parser.parse_args()

    split = open_pairs(arguments.dataset, "validation")
    begun = planning(split)
    chosen = np.random.default_rng(arguments.seed).permutation(len(begun))[: arguments.tasks]
    boards = [_truth(split, begun[k]) for k in sorted(chosen)]
    pipe = egoframe.load(arguments.model)
    recogniser = load_recogniser(arguments.recogniser)
    ways: dict[str, Draw] = {
        "storyboard": lambda photo, actions: draw_steps(pipe, photo, actions, arguments.seed),
        "naive chain": lambda photo, actions: _naive(pipe, photo, actions, arguments.seed),
    }
    rows: dict[str, Any] = {}
    ours: list[list[Image.Image]] = []
    for name, draw in ways.items():
        drawn = [list(draw(frames[0], actions)) for _, actions, frames in boards]
        rows[name] = _figures(boards, drawn, recogniser)
        ours = ours or drawn
    rows["the truth"] = _figures(boards, [frames[1:] for _, _, frames in boards], recogniser)
    report = {
        "command": f"python -m benchmarks.storyboards {arguments.dataset}",
        "tasks": len(boards),
        "steps": sum(len(actions) for _, actions, _ in boards),
        "planned": _planned(pipe, boards),
        "rows": rows,
    }
    print(json.dumps(report, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if arguments.sheet:
        firsts = {task: k for k, (task, _, _) in reversed(list(enumerate(boards)))}
        shown = []
        for task, k in sorted(firsts.items()):
            shown += [(task, [boards[k][2][0], *ours[k]]), ("truth", boards[k][2])]
        _sheet(shown).save(arguments.sheet, quality=85)


def _truth(split: Any, lesson: Any) -> tuple[str, list[str], list[Image.Image]]:
    """A task's words, its actions, and the photo with the true frame of each step."""
    first = split[lesson.pair]
    told = json.loads(first["facts"])["task"]
    video = [k for k, name in enumerate(split["video_id"]) if name == first["video_id"]]
    video.sort(key=split["action_time"].__getitem__)
    rows = video[video.index(lesson.pair) :][: told["steps"]]
    pictures = [first["input_frame"], *(split[row]["action_frame"] for row in rows)]
    actions = [split["action"][row] for row in rows]
    return told["words"], actions, [picture.convert("RGB") for picture in pictures]


def _naive(pipe: Any, photo: Image.Image, actions: list[str], seed: int) -> Iterator[Image.Image]:
    for number, action in enumerate(actions):
        photo = pipe(photo, action, seed=seed, pair_ids=[str(number)]).images[0]
        yield photo


def _planned(pipe: Any, boards: Any) -> dict[str, Any]:
    """How often the enhancer, shown the photo and told the task, plans just the true steps; and of
    all true steps, which share its plans have in their order (longest common subsequence)."""
    same, kept = [], []
    for task, actions, frames in boards:
        try:
            plan = plan_steps(pipe, frames[0], task)
        except UserError:
            plan = []
        same.append(float(plan == actions))
        kept.append(_in_order(plan, actions) / len(actions))
    return {
        name: {"mean": float(np.mean(every)), "interval": bootstrap_interval(np.array(every))}
        for name, every in (("plans_the_same", same), ("steps_found", kept))
    }


def _in_order(one: list[str], other: list[str]) -> int:
    """How long the longest common subsequence is."""
    lengths = [0] * (len(other) + 1)
    for a in one:
        before = 0
        for k, b in enumerate(other):
            before, lengths[k + 1] = (
                lengths[k + 1],
                before + 1 if a == b else max(lengths[k], lengths[k + 1]),
            )
    return lengths[-1]


def _figures(boards: Any, drawn: list[list[Image.Image]], recogniser: Any) -> dict[str, Any]:
    """By step: PSNR in dB where nothing has changed since the photo, and where something has; and
    whether the recogniser names the step, from the frame before it and its own."""
    found: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (_, actions, frames), pictures in zip(boards, drawn, strict=True):
        photo, truth, own = (
            np.stack([np.asarray(picture) for picture in part])
            for part in ([frames[0]] * len(actions), frames[1:], pictures)
        )
        ever = np.logical_or.accumulate(changed_region(photo, truth))
        unchanged, changed = region_psnr(truth, own, ~ever), region_psnr(truth, own, ever)
        before = np.concatenate([photo[:1], own[:-1]])
        named = recogniser.recognise(torch.from_numpy(before), torch.from_numpy(own))
        for step, action in enumerate(actions, 1):
            found["psnr_unchanged"][step].append(float(unchanged[step - 1]))
            found["psnr_changed"][step].append(float(changed[step - 1]))
            found["recognised"][step].append(float(named[step - 1] == action))
    told: dict[str, Any] = {}
    for name, steps in found.items():
        every = np.array([value for values in steps.values() for value in values])
        told[name] = {
            "all": {"mean": float(np.nanmean(every)), "interval": bootstrap_interval(every)},
            "by_step": {step: float(np.nanmean(values)) for step, values in sorted(steps.items())},
            "tasks_by_step": {step: len(values) for step, values in sorted(steps.items())},
        }
    return told


def _sheet(rows: list[tuple[str, list[Image.Image]]], cell: int = 96) -> Image.Image:
    """Rows of any length under each other."""
    longest = max(len(pictures) for _, pictures in rows)
    blank = Image.new("RGB", (cell, cell), (250, 250, 248))
    filled = [(name, [*own, *[blank] * (longest - len(own))]) for name, own in rows]
    return contact_sheet(filled, [""] * longest, cell=cell)


if __name__ == "__main__":
    main()
