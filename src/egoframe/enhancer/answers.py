"""The likeliest answers to a question about a picture, each with its probability.

Shape suffixes: B pictures, K answers, T tokens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from egoframe.enhancer.model import Enhancer
from egoframe.enhancer.prompts import check_marks


@dataclass(frozen=True)
class Answer:
    """What a model may say, and how likely it is to say just that."""

    text: str
    log_probability: float  # nats, of all its tokens, the end token included


@torch.inference_mode()
def likeliest_answers(
    enhancer: Enhancer,
    images: Sequence[Image.Image],
    questions: Sequence[str],
    count: int,
    tokens: int = 16,
) -> list[list[Answer]]:
    """The K likeliest answers for each of B pictures, the likeliest first.

    They are found by beam search of that width, so a better one may be missed. Answers that differ
    in nothing but their tokens are one; those that come to no end are none.

    Arguments:
        images: B RGB pictures.
        questions: B, in plain words.
        count: K.
        tokens: of an answer, at most.
    Raises:
        UserError: a question holds one of the model's own marks.
    """
    check_marks(enhancer.processor.tokenizer, questions)
    inputs = enhancer.inputs(images, questions)
    found = enhancer.model.generate(
        **inputs,
        do_sample=False,
        num_beams=count,
        num_return_sequences=count,
        length_penalty=0.0,  # the score is the probability, not that of each token
        max_new_tokens=tokens,
        eos_token_id=enhancer.ends,
        pad_token_id=enhancer.processor.tokenizer.pad_token_id,
        output_scores=True,
        return_dict_in_generate=True,
    )
    said = found.sequences[:, inputs["input_ids"].shape[1] :]
    ended = torch.isin(said, torch.tensor(enhancer.ends, device=said.device)).any(1).tolist()
    texts, scores = enhancer.decode(said), found.sequences_scores.tolist()
    answers = []
    for start in range(0, len(texts), count):
        mine: dict[str, float] = {}
        for row in range(start, start + count):
            if ended[row]:
                known = mine.get(texts[row], -math.inf)
                mine[texts[row]] = float(np.logaddexp(known, scores[row]))
        answers.append(sorted((Answer(*one) for one in mine.items()), key=_unlikely))
    return answers


def _unlikely(answer: Answer) -> float:
    return -answer.log_probability
