import numpy as np
import pytest
import torch
from PIL import Image

from egoframe.evaluation.batch import Batch
from egoframe.evaluation.judge import ACTION, Judge
from tests.enhancer.families import FAMILIES

HANDS = [
    [{"label": "left hand", "x0": 0.0, "y0": 0.5, "x1": 0.3, "y1": 1.0}],
    [{"label": "red mug", "x0": 0.0, "y0": 0.5, "x1": 0.3, "y1": 1.0}],
    [],
]


@pytest.fixture(scope="module", params=["qwen2_5_vl", "smolvlm"])
def judge(request, tmp_path_factory) -> Judge:
    folder = tmp_path_factory.mktemp("judge")
    torch.manual_seed(0)
    FAMILIES[request.param]().save_pretrained(folder)
    return Judge(str(folder))


def batch() -> Batch:
    drawn = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    return Batch(
        names=list("abc"), actions=["open drawer"] * 3, descriptions=[None] * 3, boxes=HANDS,
        facts=[None] * 3, before=drawn, truth=drawn, drawn=drawn, fitted=drawn,
    )  # fmt: skip


def test_an_answer_is_the_likelier_next_token(judge):
    picture = Image.effect_noise((32, 32), 80).convert("RGB")
    words = ACTION.format(action="open drawer")
    tokenizer = judge.processor.tokenizer
    (answer,) = judge.ask([picture], [words])
    conversation = [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": words}]}
    ]
    text = tokenizer.apply_chat_template(
        conversation, chat_template=judge.processor.chat_template, tokenize=False,
        add_generation_prompt=True,
    )  # fmt: skip
    inputs = judge.processor(images=[[picture]], text=[text], return_tensors="pt")
    with torch.no_grad():
        chance = judge.model(**inputs).logits[0, -1].softmax(-1)

    def first(*spelt: str) -> set[int]:
        return {tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in spelt}

    yes, no = first("yes", "Yes", " yes", " Yes"), first("no", "No", " no", " No")
    assert answer == (chance[list(yes - no)].sum() > chance[list(no - yes)].sum())


def test_answers_do_not_depend_on_the_batch(judge):
    pictures = [Image.effect_noise((32, 32), 20 * k).convert("RGB") for k in range(1, 11)]
    questions = [ACTION.format(action=f"take mug {k}") for k in range(10)]
    together = judge.ask(pictures, questions)
    alone = [judge.ask([one], [words])[0] for one, words in zip(pictures, questions, strict=True)]
    assert together.tolist() == alone


def test_answers_about_hands_are_compared_with_the_boxes(judge, monkeypatch):
    said = {"action": [True, False, True], "seen in this": [True, True, True],
            "left half": [True, True, False], "right half": [False, True, False]}  # fmt: skip

    def by_kind(pictures, questions):
        for key in ("left half", "right half"):
            if key in questions[0]:
                return np.array(said[key])
        return np.array(said["action" if "doing this" in questions[0] else "seen in this"])

    monkeypatch.setattr(judge, "ask", by_kind)
    told = judge(batch())
    assert told["judge action"].tolist() == [1, 0, 1]
    assert np.array_equal(told["judge hands"], [1, 0, np.nan], equal_nan=True)
    assert np.array_equal(told["judge places"], [1, 0, np.nan], equal_nan=True)
