"""`egoframe enhance`, in this process."""

import json
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner, Result

from egoframe.cli.enhance import enhance
from egoframe.enhancer.model import Enhancer
from egoframe.errors import UserError
from egoframe.models import packaged
from egoframe.pairs import open_pairs
from tests.enhancer.families import FAMILIES
from tests.little_dataset import COLORS, photo, write_dataset

app = typer.Typer()
app.command()(enhance)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "pairs", described=False)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def refused(*arguments: object) -> str:
    """The line of a command that was refused."""
    error = run(*arguments).exception
    assert isinstance(error, UserError)
    return str(error)


def test_the_packaged_model_describes_a_dataset_once(dataset):
    done = run(dataset, "--model", "kitchen", "--batch-size", 20, "--json")
    told = json.loads(done.stdout)
    assert told == {"described": 40, "description_source": "kitchen"}
    rows = open_pairs(dataset, "train")
    assert set(rows["description_source"]) == {"kitchen"}
    kitchen = Enhancer.from_pretrained(packaged(), torch.float32)
    own = kitchen.describe([photo(color) for color in COLORS], ["take mug"] * 2)
    assert rows["description"][:2] == own
    again = run(dataset, "--model", "kitchen")
    assert "described: 0" in again.stdout


def test_any_models_folder_and_one_split(dataset, tmp_path):
    folder = tmp_path / "model"
    FAMILIES["qwen2_5_vl"]().save_pretrained(folder)
    done = run(dataset, "--model", f"{folder}/", "--split", "train", "--dtype", "bfloat16")
    assert done.exit_code == 0, done.output
    assert f"description source: {folder}\n" in done.stdout
    assert set(open_pairs(dataset, "train")["description_source"]) == {str(folder)}
    assert "with a validation split" in refused(dataset, "--model", folder, "--split", "validation")


def test_what_cannot_be_done_is_said_in_one_line(dataset, tmp_path):
    model = ("--model", tmp_path / "absent")
    assert "no dataset of action pairs" in refused(tmp_path, *model)
    assert "not a vision-language model" in refused(dataset, *model)
    assert "device 'abacus'" in refused(dataset, *model, "--device", "abacus")
    assert "--bits is for --engine transformers" in refused(
        dataset, *model, "--bits", 4, "--engine", "vllm"
    )
    assert 'pip install "egoframe[vllm]"' in refused(dataset, *model, "--engine", "vllm")
    for option, value in (
        ("--engine", "abacus"), ("--batch-size", 0), ("--bits", 3), ("--dtype", "int8"),
    ):  # fmt: skip
        done = run(dataset, *model, option, value)
        assert done.exit_code == 2
        assert option in done.output


def test_options_are_checked_before_a_model_is_fetched(dataset, monkeypatch):
    monkeypatch.setattr("egoframe.models.resolve", lambda _: pytest.fail("fetched"))
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    model = ("--model", "lego-ego4d")
    assert "device 'abacus'" in refused(dataset, *model, "--device", "abacus")
    assert "4 bits need bitsandbytes" in refused(dataset, *model, "--bits", 4)
