"""Trains the action recogniser on true pairs, and measures it on unseen ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from egoframe.evaluation.recogniser import ActionRecogniser
from egoframe.frames import load_frames, to_signed
from egoframe.pairs import open_pairs
from egoframe.training import Batch, LoopConfig, fit
from egoframe.training.processes import start_whole


@dataclass(frozen=True)
class RecogniserConfig:
    """One run of `egoframe train recogniser`."""

    dataset: Path
    out: Path
    shift: int = 6  # pixels; pairs are moved by up to this much while training
    loop: LoopConfig = field(default_factory=LoopConfig)


def train_recogniser(config: RecogniserConfig) -> float:
    """Train, write the model to `out/recogniser`, and return its accuracy on the validation split;
    resumable. Mirror images are learnt from too: no action is left- or right-handed.
    """
    accelerator = start_whole(config)
    dataset = open_pairs(config.dataset, "train")
    frames = load_frames(dataset)
    actions = tuple(sorted(set(dataset["action"])))
    labels = torch.tensor([actions.index(action) for action in dataset["action"]])
    torch.manual_seed(config.loop.seed)
    model = ActionRecogniser(actions)

    def loss(batch: Batch) -> Tensor:
        pairs = to_signed(frames[batch.indices])
        flipped = batch.chance(0.5)
        pairs = torch.where(flipped[:, None, None, None, None], pairs.flip(-1), pairs)
        limits = -config.shift, config.shift + 1
        shift = torch.randint(*limits, (2,), generator=batch.shared).tolist()
        pairs = pairs.roll(shift, (-2, -1))
        gain = 1 + 0.15 * batch.normal(1, 3, 1, 1)
        pairs = pairs * gain + 0.1 * batch.normal(1, 1, 1, 1)
        pairs, wanted = (x.to(accelerator.device) for x in (pairs, labels[batch.indices]))
        logits = model(pairs[:, 0], pairs[:, 1]).float()
        return torch.nn.functional.cross_entropy(logits, wanted, label_smoothing=0.05)

    model.load_state_dict(fit(model, loss, dataset["pair_id"], config))
    main = accelerator.is_main_process
    model.save_pretrained(config.out / "recogniser", is_main_process=main)
    return accuracy(model, config.dataset)


def accuracy(model: ActionRecogniser, dataset: Path) -> float:
    """The share of true pairs of the validation split whose action is named."""
    unseen = open_pairs(dataset, "validation")
    pictures = load_frames(unseen).permute(0, 1, 3, 4, 2)
    named = model.recognise(pictures[:, 0], pictures[:, 1])
    return sum(n == a for n, a in zip(named, unseen["action"], strict=True)) / len(unseen)
