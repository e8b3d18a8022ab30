import json
from pathlib import Path

import pytest

from tests.cli.run import refused, run
from tests.report.made import build, good_clips


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    build(good_clips(tmp_path_factory.mktemp("frames"))[:5], folder)
    return folder


def test_a_report_lies_in_the_dataset_and_its_size_is_told(dataset):
    done = run("data", "report", dataset)
    assert done.returncode == 0, done.stderr
    page = dataset / "report.html"
    assert f"report: {page}" in done.stdout
    assert f"size: {page.stat().st_size / 1e6:.1f} MB" in done.stdout
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_report_goes_where_it_is_wanted(dataset, tmp_path):
    out = tmp_path / "new" / "page.html"
    done = run("data", "report", dataset, "--out", out, "--pairs", "2", "--seed", "1", "--json")
    assert json.loads(done.stdout) == {"report": str(out), "size": out.stat().st_size}
    assert "2 of 5 pairs, drawn evenly over verbs and nouns (seed 1)" in out.read_text("utf-8")


def test_bad_input_is_named(dataset, tmp_path):
    assert "no dataset of action pairs" in refused(run("data", "report", tmp_path / "absent"))
    assert "--pairs" in refused(run("data", "report", dataset, "--pairs", "0"))
    assert "cannot be written" in refused(run("data", "report", dataset, "--out", tmp_path))
    (tmp_path / "file").write_text("", encoding="utf-8")
    line = refused(run("data", "report", dataset, "--out", tmp_path / "file" / "page.html"))
    assert "file/page.html: cannot be written" in line
