"""Trains the state recogniser on true frames, and measures it on those of unseen kitchens."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from egoframe.errors import UserError
from egoframe.evaluation.state import (
    QUESTIONS,
    SIDE,
    Asked,
    Moment,
    StateRecogniser,
    asked,
    asked_of_both,
    surroundings,
)
from egoframe.frames import load_frames, to_signed
from egoframe.pairs import open_pairs
from egoframe.training import Batch, LoopConfig, fit
from egoframe.training.processes import start_whole

SHIFT = 6  # pixels, by which what is seen moves at most while training
MOMENTS: tuple[Moment, Moment] = ("pre", "pnr")  # of input and action frames
TOGETHER = 256  # frames cut at once


@dataclass(frozen=True)
class StateConfig:
    """One run of `egoframe train state-recogniser`."""

    dataset: Path
    out: Path
    loop: LoopConfig = field(default_factory=LoopConfig)


class _Seen(NamedTuple):
    names: list[str]
    pictures: Tensor  # uint8 (N, 6, side, side)
    questions: Tensor  # (N,)
    answers: Tensor  # (N,) of 0 and 1


def train_state_recogniser(config: StateConfig) -> dict[str, float]:
    """Train, write the model to `out/state-recogniser`, and return `accuracy`; resumable.

    Raises:
        UserError: the dataset does not know the facts that only a simulator does.
    """
    accelerator = start_whole(config)
    seen = _seen(config.dataset, "train", SIDE + 2 * SHIFT)
    torch.manual_seed(config.loop.seed)
    model = StateRecogniser()

    def loss(batch: Batch) -> Tensor:
        pictures = to_signed(seen.pictures[batch.indices])
        flipped = batch.chance(0.5)[:, None, None, None]
        pictures = torch.where(flipped, pictures.flip(-1), pictures)
        top, left = torch.randint(0, 2 * SHIFT + 1, (2,), generator=batch.shared).tolist()
        pictures = pictures[..., top : top + SIDE, left : left + SIDE]
        gain = (1 + 0.15 * batch.normal(3, 1, 1)).repeat(1, 2, 1, 1)
        pictures = pictures * gain + 0.1 * batch.normal(1, 1, 1)
        rows = torch.arange(len(batch.indices))
        odds = model.forward(pictures.to(accelerator.device)).float()
        told = odds[rows, seen.questions[batch.indices].to(odds.device)]
        wanted = seen.answers[batch.indices].to(odds.device)
        return torch.nn.functional.binary_cross_entropy_with_logits(told, wanted)

    model.load_state_dict(fit(model, loss, seen.names, config))
    main = accelerator.is_main_process
    model.save_pretrained(config.out / "state-recogniser", is_main_process=main)
    return accuracy(model, config.dataset)


@torch.no_grad()
def accuracy(model: StateRecogniser, dataset: Path) -> dict[str, float]:
    """The share of right answers about true frames of the validation split, by question and in
    all; input frames are also asked about where the thing will be."""
    seen = _seen(dataset, "validation", SIDE)
    model.eval()
    odds = torch.cat([model.forward(to_signed(part)) for part in seen.pictures.split(TOGETHER)])
    told = odds[torch.arange(len(odds)), seen.questions] > 0
    right = (told == (seen.answers > 0.5)).double()
    shares = {name: float(right[seen.questions == k].mean()) for k, name in enumerate(QUESTIONS)}
    return {**shares, "all": float(right.mean())}


def _seen(folder: Path, split: str, side: int) -> _Seen:
    dataset = open_pairs(folder, split)
    frames = load_frames(dataset)
    found: list[tuple[int, int, Asked]] = []
    for k, facts in enumerate(dataset["facts"]):
        own = ((moment, asked(facts, name)) for moment, name in enumerate(MOMENTS))
        found += [(k, moment, one) for moment, one in own if one is not None]
        if (both := asked_of_both(facts)) is not None:  # as one asks of a picture that copies it
            found.append((k, 0, both[1]._replace(answer=both[0].answer)))
    if not found:
        raise UserError(f"{folder}: knows no facts; only recordings of the built-in kitchen do")
    pictures = []
    for start in range(0, len(found), TOGETHER):
        some = found[start : start + TOGETHER]
        whole = torch.stack([frames[k, moment] for k, moment, _ in some]).float()
        boxes = torch.tensor([one.box for *_, one in some])
        pictures.append(surroundings(whole, boxes, side).round().byte())
    ids = dataset["pair_id"]
    return _Seen(
        [f"{ids[k]} {MOMENTS[moment]} {one.box}" for k, moment, one in found],
        torch.cat(pictures),
        torch.tensor([one.question for *_, one in found]),
        torch.tensor([float(one.answer) for *_, one in found]),
    )
