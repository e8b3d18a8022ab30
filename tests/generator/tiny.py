"""A tiny untrained pipeline for tests."""

import torch
from diffusers import AutoencoderKL

from egoframe.enhancer.model import Enhancer
from egoframe.enhancer.small import new_model, new_processor
from egoframe.generator.assembly import new_scheduler
from egoframe.generator.autoencoder import InputAwareAutoencoder
from egoframe.generator.networks import NetworkConfig, build_networks
from egoframe.generator.pipeline import ActionFramePipeline
from egoframe.generator.sampling import paper_scheduler
from egoframe.generator.tokenizer import new_tokenizer

TEXTS = ["open drawer", "the right hand opens the red drawer", "take mug", "cut bread"]


def tiny_pipeline(paper: bool = False) -> ActionFramePipeline:
    """The kitchen's kind of model, or with `paper` the paper's: plain decoder, latent, Euler a."""
    torch.manual_seed(0)
    processor = new_processor(TEXTS * 20, vocab_size=380)
    enhancer = Enhancer(new_model(processor, vision_dim=48, text_dim=64), processor)
    enhancer.model.generation_config.max_new_tokens = 5
    tokenizer = new_tokenizer(TEXTS * 20, vocab_size=300)
    config = NetworkConfig(unet_channels=(32, 64), heads=4, context_dim=32, text_layers=1)
    networks = build_networks(config, 4, enhancer, tokenizer).eval()
    vae: torch.nn.Module = InputAwareAutoencoder(latent_channels=4, widths=(16, 32), detail=8)
    scheduler: object = new_scheduler()
    if paper:
        vae = AutoencoderKL(
            block_out_channels=(8, 8, 8, 8), norm_num_groups=4, latent_channels=4,
            down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        )  # fmt: skip
        scheduler = paper_scheduler()
    return ActionFramePipeline(
        vae=vae.eval(),
        unet=networks["unet"],
        text_encoder=networks["text_encoder"],
        tokenizer=tokenizer,
        scheduler=scheduler,
        conditioner=networks["conditioner"],
        enhancer=enhancer.model,
        processor=processor,
        predict="latent" if paper else "change",
        prediction="scheduler" if paper else "sample",
        sampler="euler_ancestral" if paper else "scheduler",
        articles=False,
        sample_size=64,
        steps=3,
        text_guidance=2.0,
        image_guidance=1.5,
    )
