"""Autoencoder, enhancer and generator, trained a little on little, one after the other."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from egoframe.enhancer.tuning import EnhancerConfig, train_enhancer
from egoframe.generator.autoencoder_training import AutoencoderConfig, train_autoencoder
from egoframe.generator.features import Recipe, load_features
from egoframe.generator.generator_training import GeneratorConfig, NetworkConfig, train_generator
from egoframe.generator.pipeline import ActionFramePipeline
from egoframe.training import LoopConfig
from tests.little_dataset import photo, write_dataset

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    pairs = write_dataset(folder / "pairs")
    loop = LoopConfig(steps=60, batch_size=8, lr=3e-3, warmup=5, ema=0.9)
    longer = replace(loop, steps=150, lr=5e-3)
    train_autoencoder(AutoencoderConfig(pairs, folder / "autoencoder", loop=longer))
    train_enhancer(
        EnhancerConfig(pairs, folder / "enhancer", vision_dim=48, text_dim=64, loop=loop)
    )
    train_generator(generator_config(folder))
    return folder


def generator_config(folder: Path, out: str = "generator", **changes) -> GeneratorConfig:
    network = NetworkConfig(unet_channels=(32, 64), context_dim=32, text_layers=1)
    loop = LoopConfig(steps=250, batch_size=8, lr=3e-3, warmup=5, ema=0.95)
    return GeneratorConfig(
        dataset=folder / "pairs",
        vae=folder / "autoencoder" / "vae",
        enhancer=folder / "enhancer" / "enhancer",
        out=folder / out,
        network=network,
        loop=loop,
        **changes,
    )


def test_it_learns_what_the_action_does(runs):
    """The white mug is gone from where it stood, and the table keeps its colour."""
    pipe = ActionFramePipeline.from_pretrained(runs / "generator" / "pipeline")
    for color in ("red", "blue"):
        before, truth = (np.asarray(photo(color, taken), float) for taken in (False, True))
        drawn = np.asarray(pipe(photo(color), "take mug", steps=8).images[0], float)
        mug = (slice(24, 40), slice(40, 56))
        assert np.abs(drawn - truth)[mug].mean() < 0.4 * np.abs(before - truth)[mug].mean()
        assert np.abs(drawn - truth)[:, :32].mean() < 12


def test_mirror_images_have_mirrored_features(runs):
    config = generator_config(runs)
    tokenizer = ActionFramePipeline.from_pretrained(config.out / "pipeline").tokenizer
    recipe = Recipe(config.dataset, config.vae, config.enhancer, tokenizer, True, "dataset")
    features = load_features(runs / "features", recipe)
    assert len(features.tokens) == 80
    pair, mirror = features.input_latents[0], features.input_latents[1]
    assert not torch.equal(pair, mirror)
    assert torch.equal(features.tokens[0], features.tokens[1])  # no side is named in these
    assert features.text_embeds.shape[:2] == (80, 77)
    assert features.image_embeds.shape[:2] == (80, 64)


def test_features_that_lack_are_made_again(runs):
    config = generator_config(runs)
    path = config.out / "features" / "00000.safetensors"
    before = load_file(path)
    path.unlink()
    tokenizer = ActionFramePipeline.from_pretrained(config.out / "pipeline").tokenizer
    recipe = Recipe(config.dataset, config.vae, config.enhancer, tokenizer, True, "enhancer")
    again = load_features(config.out / "features", recipe)
    assert torch.equal(again.input_latents, before["input_latents"])
    assert torch.equal(again.tokens, before["tokens"])
