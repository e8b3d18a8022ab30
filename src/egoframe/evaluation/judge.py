"""A vision-language model as judge of drawn frames of real data, by a fixed list of questions.

Each is answered with yes or no, whichever the model finds likelier as its next token. What boxes
tell of hands is compared with its answers; whether the action is shown, it alone says.

Shapes: B pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image

from egoframe.enhancer.opening import open_model, open_processor, parts
from egoframe.enhancer.prompts import asked, check_marks
from egoframe.errors import UserError
from egoframe.evaluation.batch import Batch, to_bytes
from egoframe.evaluation.pair_metrics import is_hand

ACTION = "Does this first-person picture show the person doing this: {action}? Answer yes or no."
HAND = "Is a hand of the person to be seen in this picture? Answer yes or no."
LEFT = "Is a hand to be seen in the left half of this picture? Answer yes or no."
RIGHT = "Is a hand to be seen in the right half of this picture? Answer yes or no."
TOGETHER = 8  # pictures asked about at once
YES, NO = ("yes", "Yes", " yes", " Yes"), ("no", "No", " no", " No")


class Judge:
    """Figures of each pair: `judge action`, whether it says that the action is shown; `judge hands`
    and `judge places`, whether its answers about hands, and the halves they are in, agree with the
    annotated boxes; nan where none are annotated.

    Arguments:
        folder: of a vision-language model with its processor, or a hub id.
    Raises:
        UserError: there is none, or its words for yes and no are the same.
    """

    def __init__(self, folder: str, device: str = "cpu") -> None:
        model, processor = parts(folder)
        dtype = torch.float32 if device == "cpu" else None
        self.model, self.processor = (
            open_model(model, dtype, None, device),
            open_processor(processor),
        )
        yes, no = (self._begin(words) for words in (YES, NO))
        self.yes, self.no = sorted(yes - no), sorted(no - yes)  # a space may be a token of its own
        if not self.yes or not self.no:
            raise UserError(f"{folder}: its tokens tell yes from no only later; give another judge")

    def __call__(self, batch: Batch) -> dict[str, np.ndarray]:
        pictures = [Image.fromarray(drawn) for drawn in to_bytes(batch.drawn)]
        check_marks(self.processor.tokenizer, batch.actions)
        shown = self.ask(pictures, [ACTION.format(action=action) for action in batch.actions])
        hands = [[box for box in boxes if is_hand(box)] for boxes in batch.boxes]
        known = np.array([bool(boxes) for boxes in batch.boxes])
        halves = np.array([[_in_half(own, right) for right in (False, True)] for own in hands])
        seen = self.ask(pictures, [HAND] * len(batch)) == halves.any(1)
        sides = np.stack([self.ask(pictures, [words] * len(batch)) for words in (LEFT, RIGHT)], 1)
        return {
            "judge action": shown.astype(float),
            "judge hands": np.where(known, seen, np.nan),
            "judge places": np.where(known, (sides == halves).mean(1), np.nan),
        }

    @torch.inference_mode()
    def ask(self, pictures: Sequence[Image.Image], questions: Sequence[str]) -> np.ndarray:
        """Whether each question (B) about its picture is answered with yes: bool (B,)."""
        answers = []
        for start in range(0, len(pictures), TOGETHER):
            part = slice(start, start + TOGETHER)
            inputs = self.processor(
                images=[[picture] for picture in pictures[part]],
                text=[asked(self.processor, words) for words in questions[part]],
                return_tensors="pt",
                padding=True,
                padding_side="left",
            ).to(self.model.device)
            odds: Any = self.model(**inputs, logits_to_keep=1).logits[:, -1].float()
            yes, no = (odds[:, ids].logsumexp(1) for ids in (self.yes, self.no))
            answers.append((yes > no).cpu().numpy())
        return np.concatenate(answers)

    def _begin(self, words: Sequence[str]) -> set[int]:
        """The tokens that these words begin with."""
        tokenizer = self.processor.tokenizer
        return {tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in words}


def _in_half(hands: Sequence[dict[str, Any]], right: bool) -> bool:
    """Whether a hand's middle is in that half of the picture."""
    return any(((box["x0"] + box["x1"]) / 2 >= 0.5) == right for box in hands)
