import numpy as np
import pytest
import torch
from PIL import Image

from egoframe.enhancer.model import MAX_TOKENS, Enhancer
from egoframe.enhancer.pretraining import IGNORED, pad, tokenize
from egoframe.enhancer.prompts import question
from egoframe.enhancer.small import new_model, new_processor
from egoframe.errors import UserError

TEXTS = ["The right hand opens the red drawer.", "The left hand lifts the mug up.", "open drawer"]


@pytest.fixture(scope="module")
def enhancer() -> Enhancer:
    torch.manual_seed(0)
    processor = new_processor(TEXTS * 20, vocab_size=400)
    model = new_model(processor, vision_dim=48, text_dim=64)
    model.generation_config.max_new_tokens = 12
    return Enhancer(model, processor)


def photos(count: int) -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [
        Image.fromarray(rng.integers(0, 256, (96, 128, 3), dtype=np.uint8)) for _ in range(count)
    ]


def test_embeddings_have_the_shapes_that_the_conditioner_reads(enhancer):
    out = enhancer(photos(2), ["open drawer", "take mug"], TEXTS[:2])
    assert out.descriptions == TEXTS[:2]
    assert out.image_embeds.shape == (2, 64, enhancer.image_embed_dim)
    assert out.text_embeds.shape == (2, MAX_TOKENS, enhancer.text_embed_dim)
    assert (out.text_embeds[~out.text_mask] == 0).all()
    assert (out.text_embeds[out.text_mask].abs().sum(-1) > 0).all()
    lengths = [len(enhancer.processor.tokenizer(f" {t}")["input_ids"]) + 1 for t in TEXTS[:2]]
    assert out.text_mask.sum(1).tolist() == lengths


def test_a_given_text_has_the_states_that_generating_it_has(enhancer):
    """Against transformers' own generate, which keeps the states of every step."""
    picture, action = photos(1), ["open drawer"]
    inputs = enhancer.inputs(picture, [question(action[0])])
    tokens = enhancer.model.generate(
        **inputs, do_sample=False, max_new_tokens=10, output_hidden_states=True,
        return_dict_in_generate=True,
    )  # fmt: skip
    states = torch.stack([step[-1][0, -1] for step in tokens.hidden_states])
    answer = tokens.sequences[0, inputs["input_ids"].shape[1] :]
    mine = enhancer._states(inputs, [answer])
    torch.testing.assert_close(mine[0], states, rtol=1e-4, atol=1e-4)


def test_what_it_says_does_not_depend_on_the_batch(enhancer):
    pictures, actions = photos(3), ["open drawer", "take the big mug", "cut"]
    together = enhancer(pictures, actions, [*TEXTS])
    for k in range(3):
        alone = enhancer(pictures[k : k + 1], actions[k : k + 1], TEXTS[k : k + 1])
        torch.testing.assert_close(
            alone.text_embeds[0], together.text_embeds[k], atol=1e-4, rtol=1e-4
        )
        torch.testing.assert_close(
            alone.image_embeds[0], together.image_embeds[k], atol=1e-4, rtol=1e-4
        )


def test_a_saved_enhancer_says_the_same(enhancer, tmp_path):
    enhancer.save_pretrained(tmp_path)
    again = Enhancer.from_pretrained(tmp_path)
    first, second = (e(photos(1), ["open drawer"]) for e in (enhancer, again))
    assert first.descriptions == second.descriptions
    torch.testing.assert_close(first.text_embeds, second.text_embeds)


def test_a_mark_of_the_model_in_an_action_is_refused(enhancer):
    with pytest.raises(UserError, match="<image> is a mark of the model"):
        enhancer(photos(1), ["open <image> drawer"])


def test_a_folder_that_is_no_model_is_named(tmp_path):
    with pytest.raises(UserError, match="not a vision-language model"):
        Enhancer.from_pretrained(tmp_path)


def test_the_loss_counts_the_answer_alone(enhancer):
    ids, start = tokenize(enhancer.processor, question("open drawer"), TEXTS[0])
    _, labels = pad([(ids, start), (ids[:-2], start)], 0)
    assert (labels[0, :start] == IGNORED).all()
    assert labels[0, start:].tolist() == ids[start:]
    assert labels[1, -2:].tolist() == [IGNORED, IGNORED]
    said = enhancer.processor.tokenizer.decode(ids[start:], skip_special_tokens=True)
    assert said.strip() == TEXTS[0]
