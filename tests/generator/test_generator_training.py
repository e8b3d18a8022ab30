"""Autoencoder, enhancer and generator, trained a little on little, one after the other."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from PIL import Image
from safetensors.torch import load_file

import egoframe
from egoframe.convert.stable_diffusion import convert_stable_diffusion
from egoframe.enhancer.model import Enhancer
from egoframe.enhancer.pretraining import PretrainingConfig, pretrain_enhancer
from egoframe.errors import UserError
from egoframe.frames import to_pictures, to_tensor
from egoframe.generator.autoencoder import decode, open_autoencoder
from egoframe.generator.autoencoder_training import AutoencoderConfig, train_autoencoder
from egoframe.generator.features import FreshFeatures, Recipe, make_features
from egoframe.generator.generator_training import GeneratorConfig, train_generator
from egoframe.generator.networks import NetworkConfig, open_networks
from egoframe.generator.objective import ObjectiveConfig
from egoframe.generator.pipeline import ActionFramePipeline
from egoframe.training import LoopConfig
from tests.convert import lego_release
from tests.little_dataset import photo, write_dataset

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    pairs = write_dataset(folder / "pairs")
    loop = LoopConfig(steps=60, batch_size=8, lr=3e-3, warmup=5, ema=0.9)
    longer = replace(loop, steps=150, lr=5e-3)
    train_autoencoder(AutoencoderConfig(pairs, folder / "autoencoder", loop=longer))
    pretrain_enhancer(
        PretrainingConfig(pairs, folder / "enhancer", vision_dim=48, text_dim=64, loop=loop)
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
    """The mug vanishes from where it stood, as far as the autoencoder can show that."""
    pipe = egoframe.load(runs / "generator" / "pipeline")
    for color in ("red", "blue"):
        before, after = photo(color), photo(color, taken=True)
        with torch.inference_mode():
            latents = pipe.encode_frames(to_tensor([after]))
            frames = decode(pipe.vae, latents, to_tensor([before]))
            shown = np.asarray(to_pictures(frames)[0], float)
        drawn = np.asarray(pipe(before, "take mug", steps=8).images[0], float)
        mug = (slice(24, 40), slice(40, 56))
        change = np.abs(shown - np.asarray(before, float))
        assert change[mug].mean() > 20
        assert np.abs(drawn - shown)[mug].mean() < 0.3 * change[mug].mean()
        assert np.abs(drawn - shown)[:, :32].mean() < 5


def test_the_papers_switches_train_too(runs):
    """A decoder that sees the latent alone, diffusion of the action frame's own latent, and noise
    that is predicted from the text alone."""
    loop = LoopConfig(steps=30, batch_size=8, lr=3e-3, warmup=5, ema=0.9, log_every=5)
    config = AutoencoderConfig(runs / "pairs", runs / "plain", "plain", loop=loop)
    train_autoencoder(config)
    assert isinstance(open_autoencoder(runs / "plain" / "vae"), AutoencoderKL)
    lines = (runs / "plain" / "log.jsonl").read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in lines]
    assert losses[-1] < 0.5 * losses[0]
    config = generator_config(
        runs, "latent", objective=ObjectiveConfig(predict="latent", kind="noise")
    )
    network = replace(config.network, use_image_embeds=False, use_text_embeds=False)
    loop = replace(config.loop, steps=3)
    train_generator(replace(config, vae=runs / "plain" / "vae", network=network, loop=loop))
    pipe = egoframe.load(runs / "latent" / "pipeline")
    assert pipe.config.predict == "latent"
    assert pipe.config.sampler == "euler_ancestral"
    assert pipe.conditioner is None
    assert pipe(photo("red"), "take mug", steps=2).images[0].size == (64, 64)


def test_mirror_images_have_mirrored_features(runs):
    config = generator_config(runs)
    tokenizer = ActionFramePipeline.from_pretrained(config.out / "pipeline").tokenizer
    recipe = Recipe(config.dataset, config.vae, config.enhancer, tokenizer, "all", "dataset")
    features = make_features(runs / "features", recipe)
    rows = features.rows([0, 0, 39], [False, True, True])
    vae = open_autoencoder(config.vae)
    enhancer = Enhancer.from_pretrained(config.enhancer)
    turned = photo("red").transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for row, picture in enumerate((photo("red"), turned)):
        with torch.inference_mode():
            expected = vae.encode(to_tensor([picture]))[0].half()
            seen = enhancer.projector(rows["image_states"][row].float())
            embeds = enhancer.embed_images([picture])[0]
        torch.testing.assert_close(rows["input_latents"][row], expected, atol=5e-3, rtol=1e-2)
        torch.testing.assert_close(seen, embeds, atol=5e-3, rtol=1e-2)
    assert torch.equal(rows["tokens"][0], rows["tokens"][1])  # no side is named in these
    assert rows["text_embeds"].shape == (3, 77, 64)
    assert rows["image_states"].shape == (3, 64, 48)  # the vision tower's width
    fresh = FreshFeatures(recipe).rows([0, 0, 39], [False, True, True])
    for name, value in rows.items():
        torch.testing.assert_close(fresh[name], value, atol=1e-2, rtol=1e-2)


def test_features_that_lack_are_made_again(runs):
    config = generator_config(runs)
    path = config.out / "features" / "00000.safetensors"
    before = load_file(path)
    path.unlink()
    tokenizer = ActionFramePipeline.from_pretrained(config.out / "pipeline").tokenizer
    recipe = Recipe(config.dataset, config.vae, config.enhancer, tokenizer, "all", "enhancer")
    again = make_features(config.out / "features", recipe)
    assert all(torch.equal(again.parts[0][name], value) for name, value in before.items())


def test_features_of_another_recipe_are_refused(runs):
    config = generator_config(runs)
    tokenizer = ActionFramePipeline.from_pretrained(config.out / "pipeline").tokenizer
    recipe = Recipe(config.dataset, config.vae, config.enhancer, tokenizer, "none", "dataset")
    with pytest.raises(UserError, match="features of another mirror, written_by"):
        make_features(config.out / "features", recipe)


def test_training_may_start_from_a_trained_model(runs):
    config = generator_config(runs, "further", start_from=runs / "generator" / "pipeline")
    config = replace(config, loop=replace(config.loop, steps=1, lr=0.0))
    train_generator(config)
    first, second = (
        egoframe.load(runs / name / "pipeline")(photo("red"), "take mug", steps=2).images[0]
        for name in ("generator", "further")
    )
    assert np.abs(np.asarray(first, int) - np.asarray(second, int)).max() <= 1
    enhancer = Enhancer.from_pretrained(config.enhancer)
    networks, index = open_networks(config.start_from, {}, enhancer)
    assert {p.dtype for p in networks.parameters()} == {torch.float32}  # on disk they are halves
    assert index["change_scale"] == egoframe.load(config.start_from).config.change_scale
    for changes, words in (
        ({"predict": "latent"}, "its predict is change, and these settings take latent"),
        ({"kind": "noise"}, "its prediction is sample, and these settings take scheduler"),
    ):
        other = replace(config, out=runs / "other", objective=ObjectiveConfig(**changes))
        with pytest.raises(UserError, match=words):
            train_generator(other)
    with pytest.raises(UserError, match="no trained pipeline here"):
        train_generator(replace(config, out=runs / "nowhere", start_from=runs / "absent"))


def test_a_model_does_not_tell_where_it_was_made(runs):
    pipeline = runs / "generator" / "pipeline"
    told = [path.read_text(encoding="utf-8") for path in pipeline.rglob("*.json")]
    assert len(told) > 5
    assert not any(str(runs) in text for text in told)


def test_stable_diffusion_is_trained_further_with_legos_loss(runs, tmp_path):
    """In miniature: convert, train two steps, draw."""
    state = {key: v for key, v in lego_release.mini_state().items() if "_ema" not in key}
    first = "model.diffusion_model.input_blocks.0.0.weight"
    state[first] = state[first][:, :4].clone()
    lego_release.write_checkpoint(tmp_path / "sd.ckpt", state)
    lego_release.write_clip(tmp_path / "clip")
    enhancer = runs / "enhancer" / "enhancer"
    start = tmp_path / "start"
    convert_stable_diffusion(tmp_path / "sd.ckpt", start, enhancer, tmp_path / "clip")
    config = generator_config(
        runs, "sd", start_from=start, mirror="none", train_text_encoder=False,
        objective=ObjectiveConfig(predict="latent", kind="noise"),
    )  # fmt: skip
    loop = replace(config.loop, steps=2, lr=1e-4)
    train_generator(replace(config, vae=start / "vae", loop=loop))
    before, after = (
        ActionFramePipeline.from_pretrained(folder) for folder in (start, runs / "sd" / "pipeline")
    )
    assert after.vae.config.scaling_factor == before.vae.config.scaling_factor == 0.18215
    assert (after.unet.conv_in.weight[:, 4:] != 0).any()  # it begins to read the photo
    texts = [model.text_encoder.final_layer_norm.weight.float() for model in (before, after)]
    torch.testing.assert_close(*texts, atol=1e-3, rtol=1e-3)  # LEGO's stays as it was
    assert after(photo("red"), "take mug", steps=2).images[0].size == (64, 64)
