import json
from pathlib import Path

import pytest

from egoframe.curation.merge import merge_datasets
from egoframe.errors import UserError
from egoframe.pairs import open_pairs, read_rows, shards
from egoframe.report.page import make_page
from egoframe.storage import Folder
from tests.cli.run import refused, run
from tests.finished_dataset import pair, write_finished


@pytest.fixture
def two(tmp_path: Path) -> list[Path]:
    return [
        write_finished(tmp_path / "a", [pair(k) for k in range(6)]),
        write_finished(tmp_path / "b", [pair(k, source="clips") for k in range(10, 14)]),
    ]


def rows(folder: Path) -> list[dict]:
    where = Folder(folder)
    return [row for name in shards(where) for row in read_rows(where, name)]


def test_every_row_comes_along_as_it_is(two, tmp_path):
    done = run("data", "merge", tmp_path / "both", *two, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["kept"] == {"train": 7, "validation": 3}
    by_id = {row["pair_id"]: row for folder in two for row in rows(folder)}
    merged = rows(tmp_path / "both")
    assert {row["pair_id"]: row for row in merged} == by_id
    assert len(merged) == 10
    assert len(open_pairs(tmp_path / "both", "train")) == 7
    rejected = list(read_rows(Folder(tmp_path / "both"), "rejected.parquet"))
    assert [row["source"] for row in rejected] == ["kitchen", "clips"]
    report = json.loads((tmp_path / "both" / "report.json").read_text(encoding="utf-8"))
    assert report["clips"] == 12
    assert report["rejected"] == {"the head turns": 2}
    card = (tmp_path / "both" / "README.md").read_text(encoding="utf-8")
    assert "| clips | 4 |" in card
    assert "| kitchen | 6 |" in card
    assert "clips" in make_page(Folder(tmp_path / "both"))


def test_what_cannot_be_merged_is_refused_and_nothing_written(two, tmp_path):
    a, b = map(Folder, two)
    for parts, told in (
        ([a], "two datasets or more"),
        ([a, a], "pair p0: "),
        ([a, Folder(tmp_path / "none")], "no finished dataset here"),
    ):
        with pytest.raises(UserError, match=told):
            merge_datasets(Folder(tmp_path / "out"), parts)
    assert not (tmp_path / "out").exists()
    again = write_finished(tmp_path / "again", [pair(0)])
    assert "both" in refused(run("data", "merge", tmp_path / "out", two[0], again))
    with pytest.raises(UserError, match="is not empty"):
        merge_datasets(a, [a, b])
    report = json.loads(b.read("report.json"))
    report["settings"]["size"] = 32
    b.write("report.json", json.dumps(report))
    with pytest.raises(UserError, match="was built with other size than"):
        merge_datasets(Folder(tmp_path / "out"), [a, b])
