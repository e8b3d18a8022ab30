"""`egoframe train`: one command for each stage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from egoframe.cli.output import finish

app = typer.Typer(no_args_is_help=True, help="Train a stage of the model; resumable.")

ConfigFile = Annotated[Path, typer.Argument(help="A YAML file of settings.")]
Preset = Annotated[str, typer.Argument(help="A YAML file of settings, or the name of a preset.")]
Settings = Annotated[list[str] | None, typer.Argument(help="Such as loop.steps=1000.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Check settings, data, models and memory; train nothing.")
]


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
def enhancer(
    config: Preset,
    settings: Settings = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Tune a vision-language model on described pairs, and judge it against the untuned one.

    Adapters (LoRA, QLoRA) or all weights; several GPUs under torchrun. The same command again goes
    on from the last checkpoint.

    Examples:

        egoframe train enhancer kitchen

        egoframe train enhancer 24gb dataset=pairs base=Qwen/Qwen2.5-VL-7B-Instruct --dry-run

        torchrun --nproc-per-node 4 -m egoframe train enhancer paper dataset=pairs
    """
    from transformers.utils import logging

    from egoframe.cli.output import note
    from egoframe.config import load_config, preset
    from egoframe.enhancer.tuning import TuningConfig, plan_tuning, tune_enhancer
    from egoframe.evaluation.descriptions import judge_tuning, summary

    logging.disable_progress_bar()
    chosen = load_config(TuningConfig, preset("enhancer", config), settings or [])
    if dry_run:
        finish(plan_tuning(chosen).told(), json)
        return
    model = tune_enhancer(chosen, note)
    if model is not None:  # the main process of several
        report = judge_tuning(chosen, model)
        finish({"model": str(model), **(report if json else summary(report))}, json)


@app.command()
def generator(
    config: Preset,
    settings: Settings = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Train U-Net, text encoder and conditioner, and put the whole model together.

    Example:

        egoframe train generator configs/kitchen/generator.yaml objective.predict=latent

        egoframe train generator paper dataset=pairs vae=sd/vae enhancer=vllm start_from=sd out=run
    """
    from egoframe.config import load_config, preset
    from egoframe.generator.generator_training import GeneratorConfig, train_generator

    chosen = load_config(GeneratorConfig, preset("generator", config), settings or [])
    if dry_run:
        from egoframe.generator.planning import plan_generator

        finish(plan_generator(chosen), json)
        return
    train_generator(chosen)
    finish({"model": str(chosen.out / "pipeline")}, json)


@app.command()
def distill(
    config: Preset,
    settings: Settings = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Distil a generator: few steps without guidance draw what many with it do.

    Example:

        egoframe train distill kitchen model=runs/kitchen/generator/pipeline dataset=pairs out=runs
    """
    from egoframe.config import load_config, preset
    from egoframe.generator.distillation import DistillationConfig, distil

    chosen = load_config(DistillationConfig, preset("distill", config), settings or [])
    if dry_run:
        from egoframe.generator.planning import plan_distillation

        finish(plan_distillation(chosen), json)
        return
    distil(chosen)
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


@app.command()
def state_recogniser(config: ConfigFile, settings: Settings = None, json: Json = False) -> None:
    """Train the recogniser of states, such as open and held, that judges drawn frames.

    Example:

        egoframe train state-recogniser configs/kitchen/state-recogniser.yaml
    """
    from egoframe.config import load_config
    from egoframe.evaluation.state_training import StateConfig, train_state_recogniser

    chosen = load_config(StateConfig, config, settings or [])
    accuracy = train_state_recogniser(chosen)
    finish({"model": str(chosen.out / "state-recogniser"), "accuracy_on_unseen": accuracy}, json)
