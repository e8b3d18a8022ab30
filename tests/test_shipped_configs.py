"""Every settings file that ships can be read."""

from pathlib import Path

import pytest

from benchmarks.ablation import AblationConfig
from egoframe.config import PRESETS, load_config
from egoframe.enhancer.pretraining import PretrainingConfig
from egoframe.enhancer.tuning import TuningConfig
from egoframe.evaluation.recogniser_training import RecogniserConfig
from egoframe.evaluation.state_training import StateConfig
from egoframe.generator.autoencoder_training import AutoencoderConfig
from egoframe.generator.distillation import DistillationConfig
from egoframe.generator.generator_training import GeneratorConfig

FOLDER = Path(__file__).resolve().parents[1] / "configs"
STAGES = {
    "ablation": AblationConfig,
    "autoencoder": AutoencoderConfig,
    "small-enhancer": PretrainingConfig,
    "small-enhancer-longer": PretrainingConfig,
    "generator": GeneratorConfig,
    "generator-longer": GeneratorConfig,
    "instruct-pix2pix": GeneratorConfig,
    "plain-autoencoder": AutoencoderConfig,
    "recogniser": RecogniserConfig,
    "state-recogniser": StateConfig,
}


@pytest.mark.parametrize(
    "path", sorted(FOLDER.rglob("*.yaml")), ids=lambda p: str(p.relative_to(FOLDER))
)
def test_it_is_of_its_stage(path):
    config = load_config(STAGES[path.stem], path)
    assert config.loop.bf16
    assert (config.loop.device == "cuda") == ("256" in path.parent.name)


@pytest.mark.parametrize(
    "path", sorted(PRESETS.rglob("*.yaml")), ids=lambda p: str(p.relative_to(PRESETS))
)
def test_a_preset_wants_no_more_than_it_says(path):
    """What it leaves open stands in its first lines, and on the command line."""
    stages = {
        "enhancer": TuningConfig, "generator": GeneratorConfig, "distill": DistillationConfig
    }  # fmt: skip
    wanted = [
        f"{name}=given" for name in ("dataset", "vae", "enhancer", "start_from", "model", "out")
    ]
    stage = stages[path.parent.name]
    open_ones = [given for given in wanted if given.partition("=")[0] in stage.__annotations__]
    load_config(stage, path, open_ones)
    assert path.read_text(encoding="utf-8").startswith("#")
