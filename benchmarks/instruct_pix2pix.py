"""Makes a generator that learnt from bare actions a model of diffusers' InstructPix2Pix pipeline.

egoframe train autoencoder configs/kitchen/plain-autoencoder.yaml
egoframe train generator configs/kitchen/instruct-pix2pix.yaml
python -m benchmarks.instruct_pix2pix runs/kitchen/instruct-pix2pix/pipeline runs/kitchen/ip2p
"""

from __future__ import annotations

import argparse
from pathlib import Path

from diffusers import AutoencoderKL, StableDiffusionInstructPix2PixPipeline

import egoframe
from egoframe.errors import UserError
from egoframe.generator.tokenizer import LENGTH


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    parts = egoframe.load(arguments.model, "cpu")
    if parts.conditioner is not None or not isinstance(parts.vae, AutoencoderKL):
        raise UserError(f"{arguments.model}: not the network of an InstructPix2Pix")
    parts.tokenizer.model_max_length = LENGTH
    parts.unet.register_to_config(sample_size=parts.config.sample_size // 8)
    StableDiffusionInstructPix2PixPipeline(
        vae=parts.vae, text_encoder=parts.text_encoder, tokenizer=parts.tokenizer,
        unet=parts.unet, scheduler=parts.scheduler, safety_checker=None, feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(arguments.out)  # fmt: skip


if __name__ == "__main__":
    main()
