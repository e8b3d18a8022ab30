import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from egoframe.cli import app
from egoframe.errors import UserError
from tests.evaluation.drawn import write_dataset, write_pictures


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("evaluate")
    write_dataset(place / "pairs")
    write_pictures(place / "ours")
    return place


def refused(*arguments: str | Path) -> str:
    error = CliRunner().invoke(app, ["evaluate", *map(str, arguments)]).exception
    assert isinstance(error, UserError), error
    return str(error)


def test_folders_are_measured_and_reported(folder):
    out = folder / "out"
    command = ["evaluate", str(folder / "pairs"), str(out), str(folder / "ours")]
    done = CliRunner().invoke(app, [*command, "--metrics", "pixels", "--workers", "1"])
    assert done.exit_code == 0, done.output
    assert "copy of the input: PSNR where it changes" in done.stdout
    assert (out / "report.html").exists()
    told = (
        CliRunner()
        .invoke(app, [*command, "--metrics", "pixels", "--workers", "1", "--json"])
        .stdout
    )
    assert json.loads(told)["rows"]["ours"]["psnr"]["pairs"] == 12


def test_what_cannot_be_asked_is_refused(folder):
    pairs, ours = folder / "pairs", folder / "ours"
    assert "give each another name" in refused(pairs, folder / "x", ours, f"ours={ours}")
    assert "has the form NAME=FILE" in refused(pairs, folder / "x", ours, "--weights", "clip")
    assert "--stretch: protocol corrected" in refused(pairs, folder / "x", ours, "--stretch")
    assert "protocol 'old'" in refused(pairs, folder / "x", ours, "--protocol", "old")
    assert "no dataset" in refused(folder, folder / "x", ours, "--metrics", "pixels")
    (folder / "file").touch()
    assert "cannot be made" in refused(pairs, folder / "file" / "x", ours, "--metrics", "pixels")
