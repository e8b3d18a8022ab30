"""The distilled model beside its teacher: what it draws, and how long the generator takes.

On pairs of kitchens that training never saw, with the same descriptions and noise for all rows;
the enhancer's work is done before and not counted. Seconds are the least of several turns, in
which the rows follow each other.

    python -m benchmarks.distilled runs/kitchen/pairs-128 runs/kitchen/distilled/pipeline \\
        TEACHER --out docs/results/distilled.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from PIL import Image

import egoframe
from benchmarks.unseen import UnseenPairs, print_table, with_intervals
from egoframe import machine
from egoframe.enhancer.model import Enhancer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("student", help="a model folder or name")
    parser.add_argument("teacher", help="a model folder or name")
    parser.add_argument("--pairs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch-size", type=int, default=10)
    parser.add_argument("--timed", type=int, default=20, help="pairs that are timed, one by one")
    parser.add_argument("--out", type=Path, help="a JSON file with every figure")
    parser.add_argument("--sheet", type=Path, help="a contact sheet of what the student draws")
    arguments = parser.parse_args()

    unseen = UnseenPairs(arguments.dataset, arguments.pairs, arguments.seed)
    teacher, student = egoframe.load(arguments.teacher), egoframe.load(arguments.student)
    guided = {"text_guidance": teacher.config.text_guidance,
              "image_guidance": teacher.config.image_guidance}  # fmt: skip
    unguided = {"text_guidance": 1.0, "image_guidance": 1.0}
    ways = {
        "teacher, 50 steps": (teacher, {"steps": 50, **guided}),
        "teacher, 4 steps": (teacher, {"steps": 4, **guided}),
        "teacher, 4 steps, unguided": (teacher, {"steps": 4, **unguided}),
        "student, 4 steps": (student, {}),
    }
    enhancer = Enhancer(teacher.enhancer, teacher.processor)
    batches = range(0, len(unseen), arguments.batch_size)
    seen = {
        start: enhancer(
            unseen.inputs[start : start + arguments.batch_size],
            unseen.actions[start : start + arguments.batch_size],
        )
        for start in batches
    }

    rows, sheet = {}, None
    for name, (pipe, settings) in ways.items():

        def make(part: slice, pipe=pipe, settings=settings) -> list[Image.Image]:
            return pipe(
                unseen.inputs[part], unseen.actions[part], enhancement=seen[part.start],
                seed=arguments.seed, pair_ids=unseen.names[part], **settings,
            ).images  # fmt: skip

        drawn, _ = unseen.draw(make, arguments.batch_size)
        rows[name] = with_intervals(unseen.figures(drawn))
        sheet = unseen.sheet(drawn)

    def one(pipe, settings):
        def work() -> None:
            for k in range(arguments.timed):
                part = slice(k, k + 1)
                own = seen[0].rows([k % arguments.batch_size])
                pipe(unseen.inputs[part], unseen.actions[part], enhancement=own, **settings)

        return work

    cpu = torch.device("cpu")
    taken = machine.seconds([one(*way) for way in ways.values()], cpu, repeats=3)
    seconds = {name: each / arguments.timed for name, each in zip(ways, taken, strict=True)}
    report = {
        "command": f"python -m benchmarks.distilled {arguments.dataset.name} STUDENT TEACHER",
        "machine": machine.describe(cpu),
        "pairs": len(unseen),
        "seed": arguments.seed,
        "rows": rows,
        "generator_seconds_per_picture": seconds,
        "times_faster_than_50_steps": seconds["teacher, 50 steps"] / seconds["student, 4 steps"],
    }
    print_table(rows)
    print(json.dumps(seconds, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if arguments.sheet and sheet is not None:
        sheet.save(arguments.sheet, quality=88)


if __name__ == "__main__":
    main()
