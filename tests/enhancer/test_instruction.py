"""What the enhancer learns from is what it is given when it answers."""

import io
import random
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageOps
from torch.nn.functional import log_softmax

from egoframe.enhancer.instruction import LessonBatches, answer_loss
from egoframe.enhancer.lessons import Lesson, describing
from egoframe.enhancer.model import IGNORED, Enhancer
from egoframe.enhancer.prompts import question
from egoframe.errors import UserError
from egoframe.pairs import open_described
from tests.enhancer.families import FAMILIES, WORDS
from tests.little_dataset import photo, write_dataset

ACTIONS = ["open drawer", "take the big red mug"]  # of different lengths: one prompt is padded
QUESTIONS = [question(action) for action in ACTIONS]
ANSWERS = [WORDS[0], "The left hand opens it."]  # so are the answers
PHOTOS = [photo("red"), photo("blue")]


@pytest.fixture(scope="module", params=FAMILIES)
def enhancer(request: pytest.FixtureRequest) -> Enhancer:
    if request.param == "smolvlm":
        pytest.importorskip("num2words")
    return FAMILIES[request.param]()


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("pairs"))


def test_the_question_is_that_of_describing_token_for_token(enhancer, monkeypatch):
    asked = {}
    generate = enhancer.model.generate
    monkeypatch.setattr(
        enhancer.model, "generate", lambda **given: asked.update(given) or generate(**given)
    )
    enhancer.describe(PHOTOS, ACTIONS)
    lesson = enhancer.lesson(PHOTOS, QUESTIONS, ANSWERS)
    start = asked["input_ids"].shape[1]
    for name in ("input_ids", "attention_mask"):
        assert torch.equal(lesson[name][:, :start], asked[name])
    assert torch.equal(lesson["pixel_values"], asked["pixel_values"])
    assert (lesson["labels"][:, :start] == IGNORED).all()


def test_the_answer_is_that_of_a_given_description_token_for_token(enhancer):
    seen = {}
    hook = enhancer.model.base_model.register_forward_pre_hook(
        lambda _, __, given: seen.update(given), with_kwargs=True
    )
    enhancer(PHOTOS, ACTIONS, ANSWERS)
    hook.remove()
    lesson = enhancer.lesson(PHOTOS, QUESTIONS, ANSWERS)
    labels = lesson.pop("labels")
    assert set(lesson) == set(seen) - {"use_cache"}
    for name, value in lesson.items():
        assert torch.equal(value, seen[name]), name
    decode = enhancer.processor.tokenizer.decode
    for row, ids, answer in zip(labels, lesson["input_ids"], ANSWERS, strict=True):
        told = row[row != IGNORED]
        assert torch.equal(told, ids[row != IGNORED])
        assert decode(told, skip_special_tokens=True).strip() == answer
        assert told[-1] == enhancer.processor.tokenizer.eos_token_id


def test_the_loss_is_the_cross_entropy_of_the_answers_tokens_alone(enhancer, dataset):
    pairs = open_described(dataset, "train").select(range(3))
    total, count = 0.0, 0
    with torch.inference_mode():
        for pair in pairs:  # one by one, without padding
            given = enhancer.inputs([pair["input_frame"]], [question(pair["action"])])
            answer = enhancer._answer_tokens(question(pair["action"]), pair["description"])
            inputs = enhancer._answered(given, [answer])
            logits = enhancer.model(**inputs).logits[0, -len(answer) - 1 : -1]
            total -= log_softmax(logits, -1)[range(len(answer)), answer].sum().item()
            count += len(answer)
    assert answer_loss(enhancer, pairs, batch_size=2) == pytest.approx(total / count, rel=1e-5)


def test_mirror_images_follow_from_seed_pair_and_epoch():
    enhancer, frame = FAMILIES["llava"](), photo("red")
    pairs = [{"pair_id": str(number), "input_frame": frame} for number in range(40)]
    asked = [Lesson(number, "input_frame", "Which left?", "It is left.") for number in range(40)]

    def told(seed: int, epoch: int) -> list[str]:
        lessons = LessonBatches(enhancer, pairs, asked, mirror=True, seed=seed)
        shown = []
        for number in random.Random(1).sample(range(len(pairs)), len(pairs)):
            image, words, answer = lessons._told(asked[number], epoch)
            side = "left" if "left" in answer else "right"
            assert words == f"Which {side}?"
            assert answer == f"It is {side}."
            expected = frame if side == "left" else ImageOps.mirror(frame)
            assert image.tobytes() == expected.tobytes()
            shown.append(side)
        return shown

    first = told(0, 0)
    assert 10 < first.count("right") < 30
    assert first == told(0, 0)
    assert first not in (told(0, 1), told(1, 0))
    plain = LessonBatches(enhancer, pairs, asked)
    assert {plain._told(lesson, 0)[2] for lesson in asked} == {"It is left."}


def test_a_damaged_photo_is_named(dataset):
    pairs = open_described(dataset, "train").select(range(2))
    file = io.BytesIO()
    Image.effect_noise((64, 64), 90).save(file, "PNG")
    table = pairs.data.table.to_pylist()
    table[1]["input_frame"] = {"bytes": file.getvalue()[:2000], "path": None}
    damaged = type(pairs).from_list(table, features=pairs.features)
    with pytest.raises(UserError, match="pair 1: its input frame is damaged"):
        LessonBatches(FAMILIES["llava"](), damaged, describing(damaged))(
            [{"lesson": 1, "epoch": 0}]
        )


def test_room_is_made_for_the_longest_answer_and_no_further(dataset):
    enhancer = FAMILIES["llava"]()
    settings = enhancer.model.generation_config
    settings.max_new_tokens = None
    enhancer.make_room(QUESTIONS, ANSWERS)
    assert settings.max_new_tokens is None
    long = " ".join(WORDS[:2] * 6)
    enhancer.make_room(QUESTIONS[:1], [long])
    answer = enhancer._answer_tokens(QUESTIONS[0], long)
    assert settings.max_new_tokens == len(answer) > 77
    assert enhancer.processor.tokenizer.decode(answer[:-1]).strip() == long
    with pytest.raises(UserError, match="is a mark of the model"):
        enhancer.make_room(QUESTIONS[:1], ["The </s> hand."])
