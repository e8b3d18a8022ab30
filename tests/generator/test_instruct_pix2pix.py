import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionInstructPix2PixPipeline
from PIL import Image

from egoframe.generator.instruct_pix2pix import InstructPix2Pix, is_instruct_pix2pix
from tests.generator.tiny import tiny_pipeline
from tests.little_dataset import photo


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A folder of diffusers' own pipeline, untrained."""
    parts = tiny_pipeline(paper=True)
    parts.unet.register_to_config(sample_size=8)
    parts.tokenizer.model_max_length = 77
    folder = tmp_path_factory.mktemp("model")
    StableDiffusionInstructPix2PixPipeline(
        vae=parts.vae, text_encoder=parts.text_encoder, tokenizer=parts.tokenizer,
        unet=parts.unet, scheduler=DDIMScheduler(), safety_checker=None, feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def test_it_draws_what_diffusers_draws_of_the_bare_action(model):
    assert is_instruct_pix2pix(model)
    draw = InstructPix2Pix(model, "cpu", steps=2)
    drawn = draw([photo("red"), photo("blue")], ["take mug", "open drawer"], 3, ["a", "b"])
    stock = StableDiffusionInstructPix2PixPipeline.from_pretrained(model, safety_checker=None)
    expected = stock(
        "open drawer", photo("blue"), num_inference_steps=2, guidance_scale=7.5,
        image_guidance_scale=1.5, generator=own("b", 3),
    ).images[0]  # fmt: skip
    assert np.abs(np.asarray(drawn[1], int) - np.asarray(expected, int)).max() <= 1
    assert np.abs(np.asarray(drawn[0], int) - np.asarray(drawn[1], int)).max() > 1


def own(name: str, seed: int) -> torch.Generator:
    import hashlib

    number = int(hashlib.sha256(f"{seed}/{name}".encode()).hexdigest()[:16], 16)
    return torch.Generator().manual_seed(number // 2)


def test_pictures_keep_the_photos_aspect(model):
    wide = Image.new("RGB", (96, 48), "green")
    drawn = InstructPix2Pix(model, "cpu", steps=1)([wide], ["take mug"], 0, ["a"])
    assert drawn[0].width == pytest.approx(2 * drawn[0].height, abs=1)
