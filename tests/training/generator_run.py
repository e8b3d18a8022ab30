"""A tiny training of the generator, for tests that kill it or spread it over processes.

python -m tests.training.generator_run prepare FOLDER
python -m tests.training.generator_run killed FOLDER OUT KILLS
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

from egoframe.enhancer.model import Enhancer
from egoframe.enhancer.small import new_model, new_processor
from egoframe.generator.autoencoder import InputAwareAutoencoder
from egoframe.generator.generator_training import GeneratorConfig, train_generator
from egoframe.generator.networks import NetworkConfig
from egoframe.pairs import open_described
from egoframe.training import LoopConfig
from egoframe.training.checkpoints import checkpoints
from tests.little_dataset import write_dataset

STEPS = 240  # more than a fast machine takes between twenty kills
SETTINGS = """
dataset: {0}/pairs
vae: {0}/vae
enhancer: {0}/enhancer
out: {0}/out
network: {{unet_channels: [32, 64], context_dim: 32, text_layers: 1}}
loop: {{steps: 6, batch_size: 8, lr: 1.0e-3, warmup: 2, ema: 0.9, log_every: 1, trackers: []}}
"""


def prepare(folder: Path) -> None:
    """A dataset, an untrained autoencoder and enhancer, and `settings.yaml`."""
    import torch

    torch.manual_seed(0)
    write_dataset(folder / "pairs")
    InputAwareAutoencoder(latent_channels=4, widths=(16, 32), detail=8).save_pretrained(
        folder / "vae"
    )
    texts = list(open_described(folder / "pairs", "train")["description"])
    processor = new_processor(texts, vocab_size=330)
    model = new_model(processor, vision_dim=48, text_dim=64)
    model.generation_config.max_new_tokens = 5
    Enhancer(model, processor).save_pretrained(folder / "enhancer")
    (folder / "settings.yaml").write_text(SETTINGS.format(folder))


def config(folder: Path, out: Path) -> GeneratorConfig:
    loop = LoopConfig(
        steps=STEPS, batch_size=8, lr=1e-3, warmup=2, ema=0.9, log_every=1, trackers=(),
        checkpoint_minutes=0,
    )  # fmt: skip
    return GeneratorConfig(
        dataset=folder / "pairs",
        vae=folder / "vae",
        enhancer=folder / "enhancer",
        out=out,
        network=NetworkConfig(unet_channels=(32, 64), context_dim=32, text_layers=1),
        loop=loop,
    )


def killed(folder: Path, out: Path, kills: int) -> None:
    """Start the training again and again, killing it at random moments; then let it end.

    Each start is a fork of this process, which has loaded everything and computed nothing. One in
    four is killed at any moment of its beginning, the others soon after a checkpoint.
    """
    draw = random.Random(0)
    for number in range(kills + 1):
        before = checkpoints(out)[-1:]
        child = os.fork()
        if child == 0:
            train_generator(config(folder, out))
            os._exit(0)
        if number == kills:
            break
        if number % 4:
            while checkpoints(out)[-1:] == before and os.waitpid(child, os.WNOHANG) == (0, 0):
                time.sleep(0.01)
        time.sleep(draw.uniform(0.0, 0.4 if number % 4 else 3.0))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), "it ended before it was killed"
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, "it failed after it was killed"


if __name__ == "__main__":
    what, *paths = sys.argv[1:]
    if what == "prepare":
        prepare(Path(paths[0]))
    else:
        killed(Path(paths[0]), Path(paths[1]), int(paths[2]))
