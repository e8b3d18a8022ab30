"""`egoframe train`: one command for each stage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from egoframe.cli.output import finish

app = typer.Typer(no_args_is_help=True, help="Train a stage of the model; resumable.")

ConfigFile = Annotated[Path, typer.Argument(help="A YAML file of settings.")]
Settings = Annotated[list[str] | None, typer.Argument(help="Such as loop.steps=1000.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@app.command()
def autoencoder(config: ConfigFile, settings: Settings = None, json: Json = False) -> None:
    """Train the autoencoder on the frames of a dataset.

    Example:

        egoframe train autoencoder configs/kitchen/autoencoder.yaml loop.steps=1000
    """
    from egoframe.config import load_config
    from egoframe.generator.autoencoder_training import AutoencoderConfig, train_autoencoder

    chosen = load_config(AutoencoderConfig, config, settings or [])
    train_autoencoder(chosen)
    finish({"model": str(chosen.out / "vae")}, json)


@app.command()
def small_enhancer(config: ConfigFile, settings: Settings = None, json: Json = False) -> None:
    """Make the small enhancer from nothing, out of described pairs.

    Example:

        egoframe train small-enhancer configs/kitchen/small-enhancer.yaml
    """
    from egoframe.config import load_config
    from egoframe.enhancer.pretraining import PretrainingConfig, pretrain_enhancer

    chosen = load_config(PretrainingConfig, config, settings or [])
    pretrain_enhancer(chosen)
    finish({"model": str(chosen.out / "enhancer")}, json)


@app.command()
def generator(config: ConfigFile, settings: Settings = None, json: Json = False) -> None:
    """Train U-Net, text encoder and conditioner, and put the whole model together.

    Example:

        egoframe train generator configs/kitchen/generator.yaml predict=latent
    """
    from egoframe.config import load_config
    from egoframe.generator.generator_training import GeneratorConfig, train_generator

    chosen = load_config(GeneratorConfig, config, settings or [])
    train_generator(chosen)
    finish({"model": str(chosen.out / "pipeline")}, json)


@app.command()
def recogniser(config: ConfigFile, settings: Settings = None, json: Json = False) -> None:
    """Train the action recogniser that judges drawn frames, on true pairs.

    Example:

        egoframe train recogniser configs/kitchen/recogniser.yaml
    """
    from egoframe.config import load_config
    from egoframe.evaluation.recogniser_training import RecogniserConfig, train_recogniser

    chosen = load_config(RecogniserConfig, config, settings or [])
    accuracy = train_recogniser(chosen)
    finish({"model": str(chosen.out / "recogniser"), "accuracy_on_unseen": accuracy}, json)
