"""Every settings file that ships can be read."""

from pathlib import Path

import pytest

from egoframe.config import load_config
from egoframe.enhancer.pretraining import PretrainingConfig
from egoframe.evaluation.recogniser_training import RecogniserConfig
from egoframe.generator.autoencoder_training import AutoencoderConfig
from egoframe.generator.generator_training import GeneratorConfig

FOLDER = Path(__file__).resolve().parents[1] / "configs"
STAGES = {
    "autoencoder": AutoencoderConfig,
    "small-enhancer": PretrainingConfig,
    "generator": GeneratorConfig,
    "generator-longer": GeneratorConfig,
    "recogniser": RecogniserConfig,
}


@pytest.mark.parametrize(
    "path", sorted(FOLDER.rglob("*.yaml")), ids=lambda p: str(p.relative_to(FOLDER))
)
def test_it_is_of_its_stage(path):
    config = load_config(STAGES[path.stem], path)
    assert config.loop.bf16
    assert (config.loop.device == "cuda") == ("256" in path.parent.name)
