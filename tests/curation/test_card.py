import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import DatasetCard

from egoframe.curation.card import card
from egoframe.pairs import features, to_row, write_pairs, write_split
from egoframe.storage import Folder
from tests.finished_dataset import pair, write_finished

USER = """
import json, sys
sys.modules["egoframe"] = None  # cannot be imported
import datasets
folder = sys.argv[1]
whole = datasets.load_dataset(folder)
table = datasets.load_dataset("parquet", data_files={
    split: f"{folder}/{split}/*.parquet" for split in whole
})
flow = datasets.load_dataset(folder, streaming=True)
first = whole["train"][0]
print(json.dumps({
    "whole": {split: rows["pair_id"][:] for split, rows in whole.items()},
    "table": {split: rows["pair_id"][:] for split, rows in table.items()},
    "flow": {split: [row["pair_id"] for row in rows] for split, rows in flow.items()},
    "columns": str(whole["train"].features),
    "picture": [first["action_frame"].size, first["action_frame"].getpixel((0, 0))],
    "boxes": first["input_boxes"],
    "streamed": next(iter(flow["train"]))["input_frame"].size,
}))
"""


def opened(folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a user of `datasets`, who has none of our code, reads of a dataset."""
    monkeypatch.setenv("HF_HOME", str(home))
    done = subprocess.run(
        [sys.executable, "-c", USER, str(folder)], capture_output=True, text=True, cwd=folder.parent
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def told(**kept: int) -> dict[str, Any]:
    """A report of so many pairs."""
    counts = {"train": 0, "validation": 0} | kept
    clips = sum(counts.values()) + 1
    return {"clips": clips, "kept": counts, "rejected": {"blurred": 1}, "settings": {"size": 16}}


def front_of(text: str) -> dict[str, Any]:
    """The front matter as the hub's client reads it, which is as YAML reads it."""
    front = DatasetCard(text).data.to_dict()
    assert front == yaml.safe_load(text.split("---\n")[1])
    return front


def test_datasets_opens_it_with_no_code_of_ours(tmp_path, monkeypatch):
    folder = write_finished(tmp_path / "pairs", [pair(number) for number in range(7)])

    got = opened(folder, tmp_path / "home", monkeypatch)

    ids = {"train": ["p0", "p1", "p3", "p4", "p6"], "validation": ["p2", "p5"]}
    assert got["whole"] == got["table"] == got["flow"] == ids
    assert got["columns"] == str(features())
    size, colour = got["picture"]
    assert size == got["streamed"] == [16, 16]
    assert max(abs(a - b) for a, b in zip(colour, (255, 255, 7), strict=True)) < 5
    assert [box["label"] for box in got["boxes"]] == ["left hand", "mug"]
    assert [box["in_contact"] for box in got["boxes"]] == ["tasse à café", None]


def test_one_split_may_be_empty(tmp_path, monkeypatch):
    folder = write_finished(tmp_path / "pairs", [pair(number, split="train") for number in (0, 1)])

    got = opened(folder, tmp_path / "home", monkeypatch)

    assert got["whole"] == got["table"] == got["flow"] == {"train": ["p0", "p1"]}
    text = (folder / "README.md").read_text(encoding="utf-8")
    (config,) = front_of(text)["configs"]
    assert config["data_files"] == [{"split": "train", "path": "train/*.parquet"}]
    assert "2 train, 0 validation" in text


def test_only_a_validation_split_is_what_the_example_opens(tmp_path):
    folder = write_finished(tmp_path / "pairs", [pair(2)])

    text = (folder / "README.md").read_text(encoding="utf-8")

    assert 'split="validation")' in text
    assert [file["split"] for file in front_of(text)["configs"][0]["data_files"]] == ["validation"]


def test_every_shard_is_of_its_split(tmp_path, monkeypatch):
    """A split of more rows than one shard holds."""
    folder = write_finished(tmp_path / "pairs", [pair(0), pair(2)])
    monkeypatch.setattr("egoframe.pairs.SHARD_ROWS", 2)
    rows = [to_row(pair(number, split="train")) for number in range(5)]
    write_split(Folder(folder), "train", iter(rows))

    got = opened(folder, tmp_path / "home", monkeypatch)

    assert got["whole"] == got["flow"] == {"train": [f"p{n}" for n in range(5)],
                                           "validation": ["p2"]}  # fmt: skip


def test_the_front_matter_says_what_it_is(tmp_path):
    folder = write_finished(tmp_path / "pairs", [pair(number) for number in range(7)])

    front = front_of((folder / "README.md").read_text(encoding="utf-8"))

    assert front["license"] == "apache-2.0"
    assert front["task_categories"] == ["image-to-image"]
    assert front["size_categories"] == ["n<1K"]
    files = [{"split": s, "path": f"{s}/*.parquet"} for s in ("train", "validation")]
    assert front["configs"] == [{"config_name": "default", "data_files": files}]


@pytest.mark.parametrize(
    ("count", "category"),
    [(1, "n<1K"), (999, "n<1K"), (1_000, "1K<n<10K"), (9_999, "1K<n<10K"),
     (10_000, "10K<n<100K"), (1_000_000, "1M<n<10M")],
)  # fmt: skip
def test_its_size_is_told_in_the_words_of_the_hub(tmp_path, count, category):
    write_pairs(Folder(tmp_path), [pair(0)])

    text = card(Folder(tmp_path), told(train=count - 1, validation=1))

    assert front_of(text)["size_categories"] == [category]
    assert f"Of {count + 1:,} annotated actions, {count:,} are here" in text


@pytest.mark.parametrize(
    ("sources", "licence", "says"),
    [
        (["kitchen"], "apache-2.0", ["Apache-2.0: rendered"]),
        (["epic-kitchens-100"], "cc-by-nc-4.0", ["CC BY-NC 4.0", "Damen", "VISOR"]),
        (["hd-epic"], "cc-by-nc-4.0", ["as HD-EPIC is", "Perrett"]),
        (["ego4d"], "other", ["does not let frames be passed on", "Grauman"]),
        (["lego-ego4d", "ego4d"], "other", ["| lego-ego4d | 1 |", "Grauman"]),
        (["kitchen", "ego4d"], ["apache-2.0", "other"], ["| kitchen | 1 |", "| ego4d | 1 |"]),
        (["robots-of-mine"], "other", ["| robots-of-mine | 1 | as of the recordings |"]),
    ],
)
def test_its_licence_is_that_of_its_sources(tmp_path, sources, licence, says):
    write_pairs(Folder(tmp_path), [pair(3 * n, source=name) for n, name in enumerate(sources)])

    text = card(Folder(tmp_path), told(train=len(sources)))

    assert front_of(text)["license"] == licence
    for words in ["lai2024lego", *says]:
        assert words in text
    assert text.count("Grauman") <= 1
    assert ("hands and homes" in text) == (sources != ["kitchen"])


def test_a_source_in_many_words_harms_no_yaml(tmp_path):
    write_pairs(Folder(tmp_path), [pair(0, source="mine: 100 % {x} – #1")])

    text = card(Folder(tmp_path), told(train=1) | {"rejected": {"- no: yes": 1}})

    assert front_of(text)["license"] == "other"
    assert "| - no: yes | 1 |" in text


def test_where_nothing_was_kept_the_card_says_so(tmp_path):
    text = card(Folder(tmp_path), told())

    front = front_of(text)
    assert "license" not in front
    assert "configs" not in front
    assert "Of 1 annotated actions, 0 are here (0 train, 0 validation)" in text
