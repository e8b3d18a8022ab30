"""The state of what is acted upon: is the drawer open, the tap on, the mug in the hand?

At an action frame's moment, half of the way, a drawer that is opened or closed stands open, what is
switched has changed, and what is taken or put down is in the hand (`kitchen/choreography.py`). The
recogniser sees the surroundings of the thing's box, which only a simulator is sure to know.

Shape suffixes: B pictures, 3 colours, 6 those of two squares, H height, W width, Q questions.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from egoframe.errors import UserError, first_line
from egoframe.evaluation.batch import Batch
from egoframe.evaluation.recogniser import Block

PACKAGED = Path(str(files("egoframe"))) / "weights" / "state-recogniser"
QUESTIONS = ("open", "on", "held")
# By verb: the question, and its answer before the action and at the action frame's moment.
STATES = {
    "open": ("open", False, True),
    "close": ("open", True, True),
    "turn-on": ("on", False, True),
    "turn-off": ("on", True, False),
    "press": ("on", False, True),
    "take": ("held", False, True),
    "put-down": ("held", True, True),
}
SIDE = 64  # pixels, of what the recogniser sees
AROUND = (1.6, 4.0)  # times the box's longer side: the thing itself, and what it is part of
LEAST = (0.2, 0.5)  # of the picture's width, which are seen at least
Moment = Literal["pre", "pnr"]


class Asked(NamedTuple):
    """A question about a frame, its place among QUESTIONS, the true answer, and where to look:
    corners x0, y0, x1, y1 in 0..1."""

    question: int
    answer: bool
    box: tuple[float, float, float, float]


def asked(facts: str | None, moment: Moment) -> Asked | None:
    """What can be asked of a pair's input frame ("pre") or action frame ("pnr"): nothing, where
    nobody knows the facts, the action changes no state or the thing is not seen."""
    if facts is None:
        return None
    record: dict[str, Any] = json.loads(facts)
    if record.get("verb") not in STATES:
        return None
    question, before, during = STATES[record["verb"]]
    for box in record["frames"][moment].get("boxes", ()):
        if box["label"] == record["item"]["name"]:
            corners = box["x0"], box["y0"], box["x1"], box["y1"]
            return Asked(QUESTIONS.index(question), during if moment == "pnr" else before, corners)
    return None


def surroundings(frames_B3HW: Tensor, boxes_B4: Tensor, side: int = SIDE) -> Tensor:
    """Two squares (B, 6, side, side) around boxes, a near one and a wide one; what lies beyond a
    frame repeats its border."""
    height, width = frames_B3HW.shape[2:]
    x0, y0, x1, y1 = boxes_B4.T
    longer, zero = torch.maximum(x1 - x0, (y1 - y0) * height / width), torch.zeros_like(x0)
    squares = []
    for around, least in zip(AROUND, LEAST, strict=True):
        extent = (around * longer).clamp(min=least) * side / SIDE
        rows = (
            torch.stack((extent, zero, x0 + x1 - 1), 1),
            torch.stack((zero, extent * width / height, y0 + y1 - 1), 1),
        )
        size = [len(frames_B3HW), 3, side, side]
        grid = F.affine_grid(torch.stack(rows, 1), size, align_corners=False)
        squares.append(F.grid_sample(frames_B3HW, grid, padding_mode="border", align_corners=False))
    return torch.cat(squares, 1)


def asked_of_both(facts: str | None) -> tuple[Asked, Asked] | None:
    """What is asked of a pair's input and action frame, if the action changes the answer."""
    before, during = asked(facts, "pre"), asked(facts, "pnr")
    if before is None or during is None or before.answer == during.answer:
        return None
    return before, during


class StateRecogniser(ModelMixin, ConfigMixin):
    """A small residual network over the surroundings of a thing.

    Arguments:
        widths: channels of each stage; the first works at half of the pictures' size.
    """

    @register_to_config
    def __init__(self, widths: tuple[int, ...] = (32, 64, 96)):
        super().__init__()
        stages = [
            Block(width_in, width, 1 if index == 0 else 2)
            for index, (width_in, width) in enumerate(
                zip((widths[0], *widths), widths, strict=False)
            )
        ]
        self.features = nn.Sequential(
            nn.Conv2d(6, widths[0], 4, 2, 1), *stages, nn.BatchNorm2d(widths[-1]), nn.ReLU()
        )
        self.dropout = nn.Dropout(0.2)
        self.answer = nn.Linear(widths[-1], len(QUESTIONS))

    def forward(self, seen_B6HW: Tensor) -> Tensor:
        """The log odds (B, Q) of a yes to each question, of `surroundings` in −1..1."""
        return self.answer(self.dropout(self.features(seen_B6HW).mean((2, 3))))


def load_state_recogniser(folder: str | Path = PACKAGED) -> StateRecogniser:
    """Open a trained one: that of the built-in kitchen, or another's folder.

    Raises:
        UserError: the folder holds none.
    """
    try:
        return StateRecogniser.from_pretrained(
            folder, torch_dtype=torch.float32, use_safetensors=True
        ).eval()
    except (OSError, ValueError) as error:
        raise UserError(
            f"{folder}: no state recogniser here ({first_line(error)}); train one with `egoframe "
            "train state-recogniser CONFIG`"
        ) from None


class RightState:
    """Whether the thing is in a drawn frame as it is in the true one, of actions that change it
    until then; nan where nothing can be asked."""

    def __init__(self, folder: Path) -> None:
        self.recogniser = load_state_recogniser(folder)

    @torch.inference_mode()
    def __call__(self, batch: Batch) -> dict[str, np.ndarray]:
        both = [asked_of_both(facts) for facts in batch.facts]
        found = [pair and pair[1] for pair in both]
        right = np.full(len(batch), np.nan)
        known = [k for k, one in enumerate(found) if one is not None]
        if known:
            questions = [one for one in found if one is not None]
            boxes = torch.tensor([one.box for one in questions])
            seen = surroundings(batch.fitted[known] * 2 - 1, boxes)
            told = self.recogniser.forward(seen) > 0
            for k, row, one in zip(known, told, questions, strict=True):
                right[k] = float(bool(row[one.question]) == one.answer)
        return {"state": right}
