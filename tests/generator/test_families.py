"""Every family of vision-language models enhances, and the generator draws from it."""

import pytest
import torch
from diffusers.pipelines.pipeline_utils import DiffusionPipeline

import egoframe
from egoframe.generator.conditioner import Conditioner
from egoframe.generator.pipeline import ActionFramePipeline
from tests.enhancer.families import FAMILIES
from tests.generator.test_pipeline import apart, photo
from tests.generator.tiny import tiny_pipeline


@pytest.fixture(scope="module")
def drawer() -> DiffusionPipeline:
    return tiny_pipeline(paper=True)


@pytest.mark.parametrize("family", FAMILIES)
def test_it_draws_from_what_they_see_and_say(drawer, family, tmp_path):
    if family == "smolvlm":
        pytest.importorskip("num2words")
    enhancer = FAMILIES[family]()
    torch.manual_seed(0)
    parts = {
        **drawer.components,
        "enhancer": enhancer.model,
        "processor": enhancer.processor,
        "conditioner": Conditioner(
            32, enhancer.image_embed_dim, enhancer.text_embed_dim, num_heads=4, feed_forward_dim=64
        ).eval(),
    }
    pipe = ActionFramePipeline(
        **parts, sampler="euler_ancestral", sample_size=64, steps=2, text_guidance=2.0
    )
    photos, actions = [photo(0), photo(1)], ["open drawer", "cut bread"]
    together = pipe(photos, actions, pair_ids=["a", "b"])
    alone = pipe(photos[1], actions[1], pair_ids=["b"])
    assert together.descriptions[1] == alone.descriptions[0]
    assert apart(together.images[1], alone.images[0]) <= 1
    other = pipe(photos[1], actions[1], "the left hand lifts the mug up", pair_ids=["b"])
    assert apart(other.images[0], alone.images[0]) > 0
    pipe.save_pretrained(tmp_path)
    again = egoframe.load(tmp_path)(photos[1], actions[1], pair_ids=["b"])
    assert again.descriptions == alone.descriptions
    assert apart(again.images[0], alone.images[0]) <= 1
