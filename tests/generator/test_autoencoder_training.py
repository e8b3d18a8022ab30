"""A trained autoencoder whose decoder goes on learning: its latents are what they were."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from egoframe.errors import UserError
from egoframe.frames import to_tensor
from egoframe.generator.autoencoder import encode, open_autoencoder
from egoframe.generator.autoencoder_training import AutoencoderConfig, train_autoencoder
from egoframe.training import LoopConfig
from tests.little_dataset import photo, write_dataset

LOOP = LoopConfig(steps=2, batch_size=4, lr=1e-2, warmup=0, ema=0.0)
FRAMES = to_tensor([photo("red"), photo("blue", taken=True)])


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("pairs"))


@pytest.mark.parametrize("decoder", ["plain", "input-aware"])
def test_the_decoder_alone_learns(decoder, pairs, tmp_path):
    config = AutoencoderConfig(pairs, tmp_path / "first", decoder, latent_channels=4, loop=LOOP)
    train_autoencoder(config)
    first = open_autoencoder(tmp_path / "first" / "vae")
    more = replace(config, out=tmp_path / "more", start_from=tmp_path / "first" / "vae")
    train_autoencoder(more)
    again = open_autoencoder(tmp_path / "more" / "vae")
    with torch.inference_mode():
        assert torch.equal(encode(first, FRAMES), encode(again, FRAMES))
    before, after = first.state_dict(), again.state_dict()
    changed = {
        name.partition(".")[0] for name in before if not torch.equal(before[name], after[name])
    }
    assert changed
    assert not changed & {"encoder", "quant_conv"}
    other = "plain" if decoder == "input-aware" else "input-aware"
    with pytest.raises(UserError, match="its decoder is of the other kind"):
        train_autoencoder(replace(more, out=tmp_path / "other", decoder=other))
