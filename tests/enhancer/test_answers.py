"""The likeliest answers, against every answer there is."""

import itertools
import math

import pytest
import torch

from egoframe.enhancer.answers import likeliest_answers
from egoframe.enhancer.model import Enhancer
from egoframe.enhancer.prompts import NEXT
from egoframe.errors import UserError
from tests.enhancer.families import FAMILIES
from tests.little_dataset import photo

PHOTOS = [photo("red"), photo("blue", taken=True)]


@pytest.fixture(scope="module")
def enhancer() -> Enhancer:
    """One that comes to an end soon."""
    enhancer = FAMILIES["llava"]()
    head = enhancer.model.get_output_embeddings()
    bias = torch.zeros(len(head.weight))
    bias[enhancer.ends] = 6.0
    head.bias = torch.nn.Parameter(bias)
    return enhancer


@torch.inference_mode()
def every_answer(enhancer: Enhancer, image, length: int) -> dict[tuple[int, ...], float]:
    """The log probability of every answer of at most so many tokens, its end token included."""
    found, begun = {}, {(): 0.0}
    marks = set(enhancer.processor.tokenizer.all_special_ids) - set(enhancer.ends)
    inputs = enhancer.inputs([image], [NEXT])
    for _ in range(length):
        longer = {}
        for tokens, score in begun.items():
            ids = torch.cat((inputs["input_ids"], torch.tensor([tokens], dtype=torch.long)), 1)
            given = {**inputs, "input_ids": ids, "attention_mask": torch.ones_like(ids)}
            odds = enhancer.model(**given).logits[0, -1].double().log_softmax(-1).tolist()
            for token, odd in enumerate(odds):
                if token in marks:
                    continue
                ended = token in enhancer.ends
                (found if ended else longer)[*tokens, token] = score + odd
        best = sorted(longer, key=longer.__getitem__, reverse=True)[:100]
        begun = {tokens: longer[tokens] for tokens in best}
    return found


def test_they_are_the_likeliest_of_all_and_so_likely(enhancer):
    told = likeliest_answers(enhancer, PHOTOS, [NEXT] * 2, count=40, tokens=2)
    for photo_, answers in zip(PHOTOS, told, strict=True):
        true = every_answer(enhancer, photo_, 2)
        by_text: dict[str, float] = {}
        for tokens, score in true.items():
            text = enhancer.decode([torch.tensor(tokens)])[0]
            by_text[text] = math.log(math.exp(by_text.get(text, -math.inf)) + math.exp(score))
        best = sorted(by_text, key=by_text.__getitem__, reverse=True)
        assert [answer.text for answer in answers[:3]] == best[:3]
        for answer in answers[:3]:
            assert answer.log_probability == pytest.approx(by_text[answer.text], abs=0.1)
        for one, other in itertools.pairwise(answers):
            assert one.log_probability >= other.log_probability


def test_they_do_not_depend_on_the_batch(enhancer):
    together = likeliest_answers(enhancer, PHOTOS, [NEXT] * 2, count=5, tokens=3)
    for picture, told in zip(PHOTOS, together, strict=True):
        (alone,) = likeliest_answers(enhancer, [picture], [NEXT], count=5, tokens=3)
        assert [answer.text for answer in alone] == [answer.text for answer in told]
        for one, other in zip(alone, told, strict=True):
            assert one.log_probability == pytest.approx(other.log_probability, abs=1e-4)


def test_a_mark_of_the_model_is_refused(enhancer):
    with pytest.raises(UserError, match="is a mark of the model"):
        likeliest_answers(enhancer, PHOTOS[:1], ["What </s> next?"], count=2)
