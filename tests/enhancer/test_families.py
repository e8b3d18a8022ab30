"""Every family of vision-language models as the enhancer."""

import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from egoframe.enhancer.model import MAX_TOKENS, Enhancer
from egoframe.enhancer.opening import open_processor
from egoframe.enhancer.prompts import question
from egoframe.errors import UserError
from tests.enhancer.families import ANSWER_TOKENS, FAMILIES, WIDTH, WORDS

ACTIONS = ["open drawer", "take the big red mug"]  # of different lengths: one prompt is padded
IMAGE_TOKENS = {"llava": 16, "qwen2_5_vl": 20, "qwen3_vl": 20, "idefics3": 20, "smolvlm": 20}
FIRST_WORD = {"llava": "▁The", "qwen2_5_vl": "The", "qwen3_vl": "The", "idefics3": "ĠThe",
              "smolvlm": "ĠThe"}  # fmt: skip


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    if request.param == "smolvlm":
        pytest.importorskip("num2words")
    return request.param


@pytest.fixture(scope="module")
def enhancer(family: str) -> Enhancer:
    return FAMILIES[family]()


def photos(*sizes: tuple[int, int]) -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (h, w, 3), dtype=np.uint8)) for w, h in sizes]


TWO = photos((64, 48), (64, 48))


def test_it_sees_and_describes(family, enhancer):
    out = enhancer(TWO, ACTIONS)
    assert out.image_embeds.shape == (2, IMAGE_TOKENS[family], enhancer.image_embed_dim)
    assert out.text_embeds.shape == (2, MAX_TOKENS, enhancer.text_embed_dim)
    assert enhancer.image_embed_dim == enhancer.text_embed_dim == WIDTH
    assert out.text_mask.sum(1).tolist() == [ANSWER_TOKENS] * 2
    assert enhancer.describe(TWO, ACTIONS) == out.descriptions
    torch.testing.assert_close(enhancer.embed_images(TWO), out.image_embeds)


def test_image_embeddings_are_what_stands_at_the_image_tokens(enhancer):
    """Against what enters the language model itself."""
    inputs, seen = enhancer.inputs(TWO, list(map(question, ACTIONS))), []
    base = enhancer.model.base_model
    language = getattr(base, "language_model", None) or base.text_model
    hook = language.register_forward_pre_hook(
        lambda _, __, given: seen.append(given["inputs_embeds"]), with_kwargs=True
    )
    enhancer.model(**inputs)
    hook.remove()
    there = seen[0][inputs["input_ids"] == enhancer.model.config.image_token_id]
    embeds = enhancer.embed_images(TWO)
    torch.testing.assert_close(embeds.flatten(0, 1), there)
    assert (embeds[0] - embeds[1]).abs().max() > 0.01


def test_a_given_answer_has_the_states_of_generating_it(enhancer):
    """Against transformers' own states of every step; one answer ends before the other."""
    settings = enhancer.model.generation_config
    inputs = enhancer.inputs(TWO, list(map(question, ACTIONS)))
    assert len(set(inputs["attention_mask"].sum(1).tolist())) == 2
    length, end = inputs["input_ids"].shape[1], settings.eos_token_id
    try:
        free = enhancer.model.generate(**inputs, do_sample=False)[:, length:]
        early = next(k for k in range(2, 9) if free[0, k] not in (*free[0, :k], *free[1]))
        settings.eos_token_id = [end, int(free[0, early])]
        told = enhancer.model.generate(
            **inputs, do_sample=False, output_hidden_states=True, return_dict_in_generate=True
        )
        out = enhancer(TWO, ACTIONS)
    finally:
        settings.eos_token_id = end
    steps = torch.stack([step[-1][:, -1] for step in told.hidden_states], 1)
    lengths = out.text_mask.sum(1).tolist()
    assert lengths == [early + 1, ANSWER_TOKENS]
    answers = [row[:count] for row, count in zip(free, lengths, strict=True)]
    forced = enhancer._states(inputs, answers)
    for row, count in enumerate(lengths):
        torch.testing.assert_close(out.text_embeds[row, :count], steps[row, :count])
        torch.testing.assert_close(forced[row, :count], steps[row, :count], atol=2e-5, rtol=2e-5)


def test_a_given_text_is_told_as_the_model_would_tell_it(family, enhancer):
    tokenizer = enhancer.processor.tokenizer
    tokens = enhancer._answer_tokens(question(ACTIONS[0]), WORDS[0])
    assert tokenizer.convert_ids_to_tokens(tokens)[0] == FIRST_WORD[family]
    assert tokens[-1] == tokenizer.eos_token_id
    out = enhancer(TWO, ACTIONS, WORDS[:2])
    assert out.descriptions == WORDS[:2]
    predicted = out.text_mask.sum(1).tolist()
    assert predicted[0] == len(tokens) <= MAX_TOKENS
    alone = enhancer(TWO[:1], ACTIONS[:1], WORDS[:1])
    torch.testing.assert_close(alone.text_embeds[0], out.text_embeds[0], atol=2e-5, rtol=2e-5)
    torch.testing.assert_close(alone.image_embeds[0], out.image_embeds[0], atol=2e-5, rtol=2e-5)


def test_it_is_the_same_once_saved(enhancer, tmp_path):
    enhancer.save_pretrained(tmp_path)
    again = Enhancer.from_pretrained(tmp_path)
    first, second = (e(TWO, ACTIONS) for e in (enhancer, again))
    assert first.descriptions == second.descriptions
    assert torch.equal(first.image_embeds, second.image_embeds)
    assert torch.equal(first.text_embeds, second.text_embeds)


def test_sampling_follows_its_seed_alone(enhancer):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    told = [enhancer.describe(TWO, ACTIONS, temperature=5.0, seed=seed) for seed in (1, 1, 2)]
    assert told[0] == told[1] != told[2]
    assert enhancer(TWO, ACTIONS, temperature=5.0, seed=1).descriptions == told[0]
    assert torch.equal(torch.get_rng_state(), before)


def test_pictures_of_two_sizes_can_be_described_together_but_not_embedded():
    enhancer, pictures = FAMILIES["qwen2_5_vl"](), photos((64, 48), (32, 32))
    told = enhancer.describe(pictures, ACTIONS)
    assert told[1] == enhancer.describe(pictures[1:], ACTIONS[1:])[0]
    with pytest.raises(UserError, match="give 16 and 20 image tokens each; give pictures of one"):
        enhancer(pictures, ACTIONS)


def test_a_description_may_be_longer_than_its_embeddings():
    enhancer = FAMILIES["llava"]()
    enhancer.model.generation_config.max_new_tokens = 100
    out = enhancer(TWO, ACTIONS)
    assert out.text_mask.all()
    assert len(enhancer.processor.tokenizer(out.descriptions[0])["input_ids"]) > 90
    long = " ".join(WORDS[:2] * 6)
    given = enhancer(TWO[:1], ACTIONS[:1], [long])
    assert given.descriptions == [long]
    other = enhancer(TWO[:1], ACTIONS[:1], [long.removesuffix(WORDS[1])])
    torch.testing.assert_close(given.text_embeds, other.text_embeds)


def test_llamas_space_before_its_end_token_is_kept():
    """Llama-2's template ends answers in " </s>", so that is how its models end them."""
    enhancer = FAMILIES["llava"]()
    enhancer.processor.chat_template = (
        "{% for m in messages %}{% if m.role == 'user' %}[INST] <image>{{ m.content[1].text }} "
        "[/INST]{% else %} {{ m.content[0].text }} </s>{% endif %}{% endfor %}"
    )
    tokens = enhancer._answer_tokens(question("open drawer"), "The hand.")
    named = enhancer.processor.tokenizer.convert_ids_to_tokens(tokens)
    assert named == ["▁The", "▁hand", ".", "▁", "</s>"]


def test_a_prompt_that_ends_in_a_space_takes_no_second_one():
    enhancer = FAMILIES["llava"]()
    enhancer.processor.chat_template = "<image>{{ messages[0].content[1].text }} Answer: "
    tokens = enhancer._answer_tokens(question("open drawer"), "The hand.")
    named = enhancer.processor.tokenizer.convert_ids_to_tokens(tokens)
    assert named == ["The", "▁hand", ".", "</s>"]


def test_a_template_that_writes_the_first_token_gets_no_second_one():
    enhancer = FAMILIES["llava"]()
    enhancer.processor.chat_template = "<s><image>{{ messages[0].content[1].text }}"
    assert (enhancer.inputs(TWO[:1], [question(ACTIONS[0])])["input_ids"] == 1).sum() == 1
    enhancer.processor.chat_template = "<image>{{ messages[0].content[1].text }}"
    assert (enhancer.inputs(TWO[:1], [question(ACTIONS[0])])["input_ids"] == 1).sum() == 1


def test_a_picture_token_in_an_action_is_refused(enhancer):
    mark = enhancer.processor.image_token
    with pytest.raises(UserError, match="is a mark of the model, not a word"):
        enhancer.describe(TWO[:1], [f"open {mark}"])


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    FAMILIES["qwen2_5_vl"]().save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("removed", "told"),
    [
        ("config.json", "no model: config.json is missing"),
        ("tokenizer.json", "no tokenizer: tokenizer.json or tokenizer.model is missing"),
        ("processor_config.json", "no image processor: processor_config.json or preprocessor_"),
        ("model.safetensors", "no file named model.safetensors"),
    ],
)
def test_what_a_folder_lacks_is_named(saved, tmp_path, removed, told):
    folder = shutil.copytree(saved, tmp_path / "model")
    (folder / removed).unlink()
    with pytest.raises(UserError, match=told) as refused:
        Enhancer.from_pretrained(folder)
    assert str(folder) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_damaged_weights_are_refused(saved, tmp_path):
    folder = shutil.copytree(saved, tmp_path / "model")
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(UserError, match=f"{folder}: not a vision-language model"):
        Enhancer.from_pretrained(folder)


def test_the_hubs_layout_of_a_processor_opens_without_torchvision(saved, tmp_path):
    """The pictures' settings in a file of their own, the class told by the model's type alone."""
    folder = shutil.copytree(saved, tmp_path / "model")
    settings = json.loads((folder / "processor_config.json").read_text())["image_processor"]
    (folder / "processor_config.json").unlink()
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    (folder / "video_preprocessor_config.json").write_text(
        json.dumps(settings | {"video_processor_type": "Qwen2VLVideoProcessor"})
    )
    processor = open_processor(folder)
    assert isinstance(processor, transformers.Qwen2_5_VLProcessor)
    assert processor.image_processor.patch_size == 4


def test_a_pipelines_folder_has_its_enhancer(saved, tmp_path):
    for part in ("enhancer", "processor"):
        shutil.copytree(saved, tmp_path / part)
    (tmp_path / "processor" / "config.json").unlink()
    (tmp_path / "model_index.json").write_text("{}")
    again = Enhancer.from_pretrained(tmp_path)
    assert again.describe(TWO, ACTIONS) == Enhancer.from_pretrained(saved).describe(TWO, ACTIONS)


@pytest.mark.parametrize("bits", [4, 8])
def test_a_quantised_enhancer_sees_the_same_and_speaks_nearly_so(bits, saved):
    pytest.importorskip("bitsandbytes")
    exact = Enhancer.from_pretrained(saved)(TWO, ACTIONS, WORDS[:2])
    quantised = Enhancer.from_pretrained(saved, bits=bits)
    kinds = {type(layer).__name__ for layer in quantised.model.modules()}
    assert f"Linear{bits}bit" in kinds or "Linear8bitLt" in kinds
    near = quantised(TWO, ACTIONS, WORDS[:2])
    torch.testing.assert_close(near.image_embeds, exact.image_embeds, atol=1e-4, rtol=1e-4)
    error = (near.text_embeds - exact.text_embeds).norm() / exact.text_embeds.norm()
    assert 1e-4 < error < {8: 0.05, 4: 0.5}[bits]
    assert len(quantised.describe(TWO, ACTIONS)) == 2


def test_quantising_without_bitsandbytes_says_what_to_install(saved, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r'4 bits need bitsandbytes: pip install "egoframe\[quan'):
        Enhancer.from_pretrained(saved, bits=4)
