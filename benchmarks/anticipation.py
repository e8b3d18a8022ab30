"""How well an enhancer says what is done next in kitchens that it never saw: the first, and the
first five guesses right of verb, noun and action, as in EPIC-KITCHENS-100's anticipation challenge
(Damen et al., 2022, Sec. 4.3), beside the commonest actions and what usually follows the action
before. Asked of each pair's input frame, as the hand sets out, and of the frame of the action
before, about two seconds earlier.

    python -m benchmarks.anticipation runs/kitchen/pairs-128 --out docs/results/anticipation.json
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from egoframe.enhancer.anticipation import next_actions_of
from egoframe.enhancer.lessons import next_pairs
from egoframe.enhancer.model import Enhancer
from egoframe.models import DEFAULT, resolve
from egoframe.pairs import FRAMES, open_pairs

PARTS = ("verb", "noun", "action")
Guess = dict[str, float]  # how likely each action is


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--habits", type=Path, help="learn what is common from another dataset")
    parser.add_argument("--enhancer", default=DEFAULT, help="its folder, or a model's")
    parser.add_argument("--pairs", type=int, help="of the split, drawn at random")
    parser.add_argument("--out", type=Path, help="a JSON file with every figure")
    arguments = parser.parse_args()

    train = open_pairs(arguments.habits or arguments.dataset, "train")
    unseen = open_pairs(arguments.dataset, "validation")
    words = {
        row["action"]: (row["verb"], row["noun"])
        for split in (train, unseen)
        for row in split.select_columns(["action", "verb", "noun"])
    }
    given = Path(arguments.enhancer)
    enhancer = Enhancer.from_pretrained(given if given.is_dir() else resolve(arguments.enhancer))
    usual, after = _habits(train)
    report: dict[str, Any] = {"command": f"python -m benchmarks.anticipation {arguments.dataset}"}
    for frame in FRAMES:
        rows, wanted, before = _asked(unseen, frame, arguments.pairs)
        guesses: dict[str, list[Guess]] = {
            "the commonest": [usual] * len(rows),
            "what usually follows": [after(action) for action in before],
            "the enhancer": next_actions_of(
                enhancer, [image.convert("RGB") for image in unseen.select(rows)[frame]]
            ),
        }
        videos = [unseen["video_id"][row] for row in rows]
        report[frame] = {
            "asked": len(rows),
            "kitchens": len(set(videos)),
            "rows": {name: _scores(told, wanted, words, videos) for name, told in guesses.items()},
            "calibration": _calibration(guesses["the enhancer"], wanted),
        }
        print(json.dumps(report[frame], indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _habits(train: Any) -> tuple[Guess, Callable[[str | None], Guess]]:
    """How common each action is, and how common after a given one (with absolute discounting)."""
    actions = list(train["action"])
    usual = {action: count / len(actions) for action, count in Counter(actions).items()}
    follows: dict[str, Counter[str]] = defaultdict(Counter)
    for row, other in next_pairs(train).items():
        follows[actions[row]][actions[other]] += 1

    def after(action: str | None) -> Guess:
        seen = follows.get(action or "", Counter())
        total = sum(seen.values())
        if not total:
            return usual
        left = 0.5 * len(seen) / total
        return {
            name: max(seen[name] - 0.5, 0) / total + left * share for name, share in usual.items()
        }

    return usual, after


def _asked(
    unseen: Any, frame: str, count: int | None
) -> tuple[list[int], list[str], list[str | None]]:
    """Rows whose frame is shown, the action that follows it, and the one before that."""
    actions, follows = list(unseen["action"]), next_pairs(unseen)
    earlier = {other: row for row, other in follows.items()}
    if frame == "action_frame":
        told = [(row, actions[other], actions[row]) for row, other in follows.items()]
    else:
        told = [
            (row, action, actions[earlier[row]] if row in earlier else None)
            for row, action in enumerate(actions)
        ]
    if count is not None and count < len(told):
        chosen = np.random.default_rng(0).permutation(len(told))[:count]
        told = [told[k] for k in sorted(chosen)]
    rows, wanted, before = zip(*told, strict=True)
    return list(rows), list(wanted), list(before)


def _scores(
    guesses: Sequence[Guess],
    wanted: Sequence[str],
    words: dict[str, tuple[str, str]],
    videos: Sequence[str],
) -> dict[str, Any]:
    """Shares right with 95 % intervals by bootstrap over kitchens, and the class mean of the first
    five, as the challenge ranks by."""
    told: dict[str, Any] = {}
    for part in PARTS:

        def name(action: str, part: str = part) -> str:
            if part == "action":
                return action
            verb, noun = words.get(action, ("", ""))
            return verb if part == "verb" else noun

        ranks, classes = [], []
        for guess, action in zip(guesses, wanted, strict=True):
            shares: dict[str, float] = defaultdict(float)
            for said, share in guess.items():
                shares[name(said)] += share
            order = sorted(shares, key=lambda one: -shares[one])
            true = name(action)
            ranks.append(order.index(true) if true in order else len(order))
            classes.append(true)
        for top in (1, 5):
            right = np.array(ranks) < top
            told[f"{part}_top{top}"] = _by_kitchen(right, videos)
        by_class = defaultdict(list)
        for rank, true in zip(ranks, classes, strict=True):
            by_class[true].append(rank < 5)
        told[f"{part}_mean_top5_recall"] = float(np.mean([np.mean(v) for v in by_class.values()]))
    return told


def _by_kitchen(right: np.ndarray, videos: Sequence[str], resamples: int = 2000) -> dict[str, Any]:
    """The share right, and its 95 % interval: actions of one kitchen are alike, so kitchens are
    drawn again, not actions."""
    names = sorted(set(videos))
    places = np.array([names.index(video) for video in videos])
    counts = np.bincount(places)
    hits = np.bincount(places, right)
    draws = np.random.default_rng(0).integers(len(names), size=(resamples, len(names)))
    shares = hits[draws].sum(1) / counts[draws].sum(1)
    low, high = np.percentile(shares, (2.5, 97.5))
    return {"share": float(right.mean()), "interval": [float(low), float(high)]}


def _calibration(guesses: Sequence[Guess], wanted: Sequence[str], bins: int = 10) -> dict[str, Any]:
    """The expected calibration error of the likeliest action (Guo et al., 2017), and the mean log
    likelihood of the true one in nats."""
    best = [max(guess.items(), key=lambda one: one[1]) for guess in guesses]
    sure = np.array([share for _, share in best])
    right = np.array([said == true for (said, _), true in zip(best, wanted, strict=True)])
    places = np.minimum((sure * bins).astype(int), bins - 1)
    error = sum(
        (places == k).mean() * abs(right[places == k].mean() - sure[places == k].mean())
        for k in range(bins)
        if (places == k).any()
    )
    likely = [
        math.log(max(guess.get(true, 0.0), 1e-6))
        for guess, true in zip(guesses, wanted, strict=True)
    ]
    return {"expected_error": float(error), "log_likelihood": float(np.mean(likely))}


if __name__ == "__main__":
    main()
