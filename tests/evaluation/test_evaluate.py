import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from egoframe.engine import run_tasks
from egoframe.errors import UserError
from egoframe.evaluation.evaluate import Request, evaluate
from egoframe.evaluation.measuring import Measuring, Subject, measure
from egoframe.evaluation.metrics import MetricSpec
from egoframe.evaluation.regions import changed_region, region_psnr
from tests.evaluation.drawn import noise, truth, write_dataset, write_pictures

METRICS = (MetricSpec("pixels", "corrected"),)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset, and two folders of pictures."""
    place = tmp_path_factory.mktemp("evaluation")
    write_dataset(place / "pairs")
    write_pictures(place / "ours", blur=3)
    write_pictures(place / "theirs", blur=8)
    return place


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """One worker is this process, which has loaded everything."""

    def run(function, tasks, engine="processes", workers=None):
        return enumerate(map(function, tasks)) if workers == 1 else run_tasks(function, tasks)

    monkeypatch.setattr("egoframe.evaluation.measuring.run_tasks", run)


def request(folder: Path, **more) -> Request:
    subjects = {"ours": str(folder / "ours"), "theirs": str(folder / "theirs")}
    told = {"metrics": ("pixels",), "dataset": str(folder / "pairs"), "subjects": subjects}
    return Request(**(told | more))


def test_a_report_has_baselines_intervals_and_the_better_of_two(folder, tmp_path):
    report = evaluate(request(folder), tmp_path, workers=1)
    rows = report["rows"]
    assert list(rows) == ["truth", "copy of the input", "mean frame", "ours", "theirs"]
    assert rows["truth"]["psnr"]["mean"] == 60
    assert rows["truth"]["ssim"]["mean"] == 1
    expected = [
        float(region_psnr(a[None], b[None], changed_region(c[None], a[None]))[0])
        for k in range(12)
        for a, b, c in [[np.asarray(truth(k)), np.asarray(drawn(folder, k)), np.asarray(noise(k))]]
    ]
    assert rows["ours"]["psnr_changed"]["mean"] == pytest.approx(np.mean(expected))
    low, high = rows["ours"]["psnr_changed"]["interval"]
    assert low < np.mean(expected) < high
    told = next(
        c for c in report["comparisons"]
        if (c["first"], c["second"], c["figure"]) == ("ours", "theirs", "psnr")
    )  # fmt: skip
    assert told["interval"][0] > 0
    assert told["p"] < 0.01
    assert {v: t["pairs"] for v, t in report["by_verb"].items()} == {
        "close": 4, "open": 4, "take": 4
    }  # fmt: skip
    assert json.loads((tmp_path / "report.json").read_text()) == report
    with (tmp_path / "pairs.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 5 * 12


def drawn(folder: Path, number: int) -> Image.Image:
    return Image.open(folder / "ours" / f"v{number}.png").convert("RGB")


def test_what_was_measured_is_not_measured_again_but_where_it_changed(folder, tmp_path):
    pictures = shutil.copytree(folder / "theirs", tmp_path / "theirs")
    asked = request(folder, subjects={"theirs": str(pictures)})
    before = evaluate(asked, tmp_path / "out", workers=1)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/measured").iterdir()}
    truth(5).save(pictures / "v5.png")
    after = evaluate(asked, tmp_path / "out", workers=1)
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/measured").iterdir()}
    assert kept.items() < files.items()
    assert len(files) == len(kept) + 1  # the one part of the one subject
    rows = [told["rows"]["theirs"]["psnr"]["mean"] for told in (before, after)]
    assert rows[1] > rows[0] + 1


def test_figures_depend_neither_on_the_order_of_files_nor_on_the_workers(folder, tmp_path):
    """Nor on the format and the name's case."""
    pictures = shutil.copytree(folder / "ours", tmp_path / "ours")
    for number in range(12):  # made anew in another order
        path = pictures / f"v{11 - number}.png"
        picture = Image.open(path).copy()
        path.unlink()
        picture.save(path.with_suffix(".WEBP"), "WEBP", lossless=True)
    told = []
    for name, place, workers in (("a", folder / "ours", 1), ("b", pictures, 2)):
        config = Measuring(str(folder / "pairs"), METRICS, tmp_path / name)
        told.append(measure(config, [Subject("x", place=place)], workers=workers)["x"])
    assert told[0].keys() == told[1].keys()
    for key, values in told[0].items():
        assert np.array_equal(values, told[1][key], equal_nan=True), key


def test_pictures_that_do_not_fit_are_named_and_nothing_is_counted(folder, tmp_path):
    pictures = shutil.copytree(folder / "ours", tmp_path / "ours")
    asked = request(folder, subjects={"ours": str(pictures)})

    def refused() -> str:
        with pytest.raises(UserError) as caught:
            evaluate(asked, tmp_path / "out", workers=1)
        assert not (tmp_path / "out" / "report.json").exists()
        return str(caught.value)

    (pictures / "v3.png").write_bytes((pictures / "v3.png").read_bytes()[:200])
    assert "v3.png: is damaged" in refused()
    noise(3, (96, 48)).save(pictures / "v3.png")
    assert "v3.png: is 96×48, where the true frame of pair v3 is 48×48" in refused()
    (pictures / "v3.png").unlink()
    assert "no picture of 1 of 12 pairs, such as v3" in refused()
    noise(3).save(pictures / "x3.png")
    assert "x3.png: belongs to no pair" in refused()


def test_a_larger_picture_of_the_same_aspect_is_brought_to_the_true_size(folder, tmp_path):
    pictures = shutil.copytree(folder / "ours", tmp_path / "ours")
    large = truth(3).resize((96, 96), Image.Resampling.NEAREST)
    large.save(pictures / "v3.png")
    config = Measuring(str(folder / "pairs"), METRICS, tmp_path / "out")
    told = measure(config, [Subject("x", place=pictures)], workers=1)["x"]
    place = list(config.open()["pair_id"]).index("v3")
    assert told["psnr"][place] > 35


def test_metrics_that_cannot_be_had_are_left_out_or_refused(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("EGOFRAME_HOME", str(tmp_path / "home"))
    absent = str(tmp_path / "absent.pth")
    with pytest.raises(UserError, match=r"absent\.pth"):
        evaluate(
            request(folder, metrics=("pixels", "inception"), weights={"inception": absent}),
            tmp_path,
        )
    with pytest.raises(UserError, match="no such metric or weights"):
        evaluate(request(folder, metrics=("beauty",)), tmp_path)
    for name in ("truth", "copy of the input", "..", "a/b"):
        with pytest.raises(UserError, match="is no name for what is measured"):
            evaluate(request(folder, subjects={name: str(folder / "ours")}), tmp_path)
    with pytest.raises(UserError, match="no folder of pictures, nor a model"):
        evaluate(request(folder, subjects={"a": str(tmp_path / "nobody")}), tmp_path)


def test_a_damaged_file_of_what_was_measured_is_named(folder, tmp_path):
    evaluate(request(folder), tmp_path, workers=1)
    file = next((tmp_path / "measured").iterdir())
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(UserError, match=r"is damaged .* delete it"):
        evaluate(request(folder), tmp_path, workers=1)
    file.unlink()
    evaluate(request(folder), tmp_path, workers=1)


def test_what_is_missing_is_told_before_networks_are_fetched(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("egoframe.evaluation.evaluate.available", None)
    with pytest.raises(UserError, match="no dataset"):
        evaluate(request(folder, dataset=str(tmp_path), metrics=None), tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no picture of 12 of 12 pairs"):
        evaluate(request(folder, subjects={"a": str(tmp_path / "empty")}), tmp_path / "out")


def test_the_pages_words_are_escaped_and_it_asks_nobody(folder, tmp_path):
    evil = '<script>alert("x")<script>'
    asked = request(folder, subjects={evil: str(folder / "ours")})
    evaluate(asked, tmp_path, workers=1)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert evil not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page.replace("http-equiv", "")
