import hashlib
import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from egoframe.curation.push import push_dataset
from egoframe.errors import UserError
from egoframe.pairs import SPLITS, read_rows
from egoframe.storage import Folder
from tests.cli.run import EGOFRAME, refused, run
from tests.finished_dataset import content, pair, write_finished
from tests.hub_server import Hub, wait_until
from tests.hub_uploads import ATTRIBUTES, environment, upload_hub, visit

REPO = "datasets/me/pairs"


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    return write_finished(tmp_path / "pairs", [pair(number) for number in range(7)])


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub of this process and of those that it starts."""
    with upload_hub("hf_me") as served:
        for name, value in environment(served, tmp_path / "home").items():
            monkeypatch.setenv(name, value)
        visit(served, monkeypatch, tmp_path / "home")
        yield served


def sent(hub: Hub) -> list[str]:
    """SHA-256 of the large files that were sent since the last call."""
    found = [line.removeprefix("PUT /lfs/") for line in hub.asked if line.startswith("PUT")]
    hub.asked.clear()
    return sorted(found)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_hub_holds_what_the_dataset_is_made_of(hub, pairs):
    whole = content(pairs)
    for beside in ("descriptions.jsonl", "descriptions-000000.jsonl", "report.html",
                   "parts/000000.parquet", "train/.00000.parquet.0a.writing"):  # fmt: skip
        (pairs / beside).parent.mkdir(exist_ok=True)
        (pairs / beside).write_text("not of the dataset")

    done = run("data", "push", pairs, "me/pairs", "--json")

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert hub.repos == {REPO: whole | ATTRIBUTES}
    assert json.loads(done.stdout) == {
        "url": f"{hub.url}/{REPO}", "private": False, "commit": hub.head(REPO), "files": 6,
        "changed": True,
    }  # fmt: skip
    assert "visibility" not in hub.created[REPO]


def test_what_is_there_is_not_sent_again(hub, pairs):
    first = push_dataset(Folder(pairs), "me/pairs")
    assert len(sent(hub)) == 3
    before = hub.repos[REPO]

    again = push_dataset(Folder(pairs), "me/pairs")

    assert not any("/commit/" in line for line in hub.asked)
    assert sent(hub) == []
    assert hub.repos[REPO] is before
    assert (first.changed, again.changed, again.commit) == (True, False, first.commit)

    write_finished(
        pairs, [pair(number, verb="lift" if number == 0 else "take") for number in range(7)]
    )

    assert push_dataset(Folder(pairs), "me/pairs").changed
    assert sent(hub) == [sha256(pairs / "train/00000.parquet")]


def test_shards_that_the_dataset_no_longer_has_go(hub, pairs):
    shutil.copy(pairs / "train/00000.parquet", pairs / "train/00001.parquet")
    push_dataset(Folder(pairs), "me/pairs")
    hub.repos[REPO]["notes.md"] = b"of somebody else"
    (pairs / "train/00001.parquet").unlink()

    push_dataset(Folder(pairs), "me/pairs")

    assert hub.repos[REPO] == content(pairs) | ATTRIBUTES | {"notes.md": b"of somebody else"}


def test_a_push_that_was_refused_midway_goes_on(hub, pairs):
    lacking = sha256(pairs / "rejected.parquet")
    hub.refuse[f"/lfs/{lacking}"] = 403

    with pytest.raises(UserError, match=r"me/pairs: not pushed \(status 403 .*same command goes"):
        push_dataset(Folder(pairs), "me/pairs")
    assert hub.repos[REPO] == ATTRIBUTES  # no half of a dataset
    hub.refuse.clear()
    there = set(hub.large)  # what was sent beside it, before all was given up
    sent(hub)
    push_dataset(Folder(pairs), "me/pairs")

    assert set(sent(hub)) == {sha256(path) for path in pairs.rglob("*.parquet")} - there
    assert lacking not in there
    assert hub.repos[REPO] == content(pairs) | ATTRIBUTES


def test_a_push_that_was_killed_goes_on(hub, pairs):
    lacking = sha256(pairs / "train/00000.parquet")
    hub.stall[lacking] = 0

    command = [*EGOFRAME, "data", "push", str(pairs), "me/pairs"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as child:
        wait_until(lambda: hub.stalled.is_set() and len(hub.large) == 2, child)
        child.kill()
    assert hub.repos[REPO] == ATTRIBUTES
    sent(hub)
    push_dataset(Folder(pairs), "me/pairs")

    assert sent(hub) == [lacking]
    assert hub.repos[REPO] == content(pairs) | ATTRIBUTES


def test_a_private_repository_is_made_private(hub, pairs):
    done = run("data", "push", pairs, "me/pairs", "--private")

    assert done.stdout.splitlines()[1] == "private: True", done.stderr
    assert hub.created[REPO]["visibility"] == "private"
    assert push_dataset(Folder(pairs), "me/pairs", private=True).private


def test_what_is_public_is_not_taken_for_private(hub, pairs):
    hub.repos[REPO] = dict(ATTRIBUTES)

    with pytest.raises(UserError, match="me/pairs: is public already"):
        push_dataset(Folder(pairs), "me/pairs", private=True, branch="v2")

    assert hub.repos == {REPO: ATTRIBUTES}
    assert sent(hub) == []


def test_a_branch_is_made_and_pushed_to(hub, pairs):
    push_dataset(Folder(pairs), "me/pairs", branch="v2")
    again = push_dataset(Folder(pairs), "me/pairs", branch="v2")

    assert not again.changed
    assert hub.repos == {REPO: ATTRIBUTES, f"{REPO}@v2": content(pairs) | ATTRIBUTES}


@pytest.mark.parametrize("source", ["ego4d", "lego-ego4d"])
def test_frames_that_may_not_be_passed_on_are_kept_private(hub, tmp_path, source):
    closed = write_finished(tmp_path / "closed", [pair(0), pair(1, source=source)])

    line = refused(run("data", "push", closed, "me/pairs"))

    assert f"has frames of {source}, under Ego4D's licence agreement" in line
    assert line.endswith("--private")
    assert hub.asked == []
    push_dataset(Folder(closed), "me/pairs", private=True)
    assert hub.repos[REPO] == content(closed) | ATTRIBUTES


def test_rejected_clips_may_not_be_passed_on_either(hub, tmp_path):
    closed = write_finished(tmp_path / "closed", [pair(0, source="ego4d")])
    write_finished(tmp_path / "open", [pair(0)])
    shutil.copy(closed / "rejected.parquet", tmp_path / "open")

    with pytest.raises(UserError, match="has frames of ego4d"):
        push_dataset(Folder(tmp_path / "open"), "me/pairs")


def test_no_login_is_told_in_one_line(hub, pairs, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")

    line = refused(run("data", "push", pairs, "me/pairs"))

    assert "status 401" in line
    assert "hf auth login" in line


@pytest.mark.parametrize(
    ("address", "status", "words"),
    [
        ("/api/repos/create", 403, "may not write there: hf auth login, with a token that may"),
        ("/api/datasets/me/pairs/preupload", 403, "may not write there"),
        (f"/{REPO}.git", 401, "a login is needed: hf auth login"),
        ("/api/datasets/me/pairs/commit", 413, "status 413 from 127.0.0.1/api/datasets/.*: no"),
    ],
)
def test_what_the_hub_refuses_is_told(hub, pairs, address, status, words):
    hub.refuse[address] = status

    with pytest.raises(UserError, match=words):
        push_dataset(Folder(pairs), "me/pairs")


@pytest.mark.parametrize("name", ["me/pa irs", "a/b/c", "--", "me/pairs.git"])
def test_a_name_that_cannot_be_is_told(hub, pairs, name):
    with pytest.raises(UserError, match=f"^{name}: not pushed .*epo"):
        push_dataset(Folder(pairs), name)

    assert hub.asked == []


def test_a_card_that_cannot_be_read_is_told_before_anything_is_sent(hub, pairs):
    card = (pairs / "README.md").read_text()
    (pairs / "README.md").write_text(card.replace("language:", "language: ["))

    with pytest.raises(UserError, match=r"Invalid metadata in README.md. - the front matter"):
        push_dataset(Folder(pairs), "me/pairs")

    assert sent(hub) == []


def test_no_way_to_the_hub_is_told(hub, pairs, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "(HF_HUB_OFFLINE is set)" in refused(run("data", "push", pairs, "me/pairs"))
    with upload_hub() as gone:
        visit(gone, monkeypatch, pairs)
    with pytest.raises(UserError, match=r"not pushed \(.*refused"):
        push_dataset(Folder(pairs), "me/pairs")


@pytest.mark.parametrize(
    ("lacks", "words"),
    [
        (("report.json", "README.md", "train", "validation"), "not finished, it has no README.md"),
        (("report.json", "build.json"), "has pairs but no report.json, build.json; only a"),
        (("build.json", "train", "validation"), "no dataset of action pairs"),
        (("train", "validation"), "no dataset of action pairs"),
    ],
)
def test_an_unfinished_dataset_is_not_pushed(hub, pairs, lacks, words):
    for name in lacks:
        place = pairs / name
        shutil.rmtree(place) if place.is_dir() else place.unlink()

    with pytest.raises(UserError, match=words):
        push_dataset(Folder(pairs), "me/pairs")

    assert hub.asked == []


def test_a_dataset_elsewhere_is_to_be_fetched_first(hub, pairs, tmp_path):
    url = f"simplecache::file://{pairs}"

    line = refused(run("data", "push", url, "me/pairs"))

    assert f"{url}: only a folder on this machine" in line
    fetch = line.partition('python -c "')[2].removesuffix('"')
    (tmp_path / "here").mkdir()
    subprocess.run([sys.executable, "-c", fetch], cwd=tmp_path / "here", check=True)
    assert content(tmp_path / "here/pairs") == content(pairs)


USER = """
import pickle, sys
sys.modules["egoframe"] = None  # cannot be imported
import datasets
def rows(told):
    for frame in ("input_frame", "action_frame"):
        told = told.cast_column(frame, datasets.Image(decode=False))
    return {split: list(table) for split, table in told.items()}
folder, out = sys.argv[1:]
pushed = rows(datasets.load_dataset("me/pairs"))
datasets.load_dataset(folder).push_to_hub("me/again", private=True)
again = datasets.load_dataset("me/again")
pickle.dump((pushed, rows(again), again["train"][0]["input_frame"].size), open(out, "wb"))
"""


def test_datasets_reads_what_was_pushed_and_pushes_itself(hub, pairs, tmp_path):
    push_dataset(Folder(pairs), "me/pairs")

    script = [sys.executable, "-c", USER, str(pairs), str(tmp_path / "out")]
    done = subprocess.run(script, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    pushed, again, size = pickle.loads((tmp_path / "out").read_bytes())
    assert comparable(pushed) == comparable(again) == truth(pairs)
    assert size == (16, 16)
    assert hub.created["datasets/me/again"]["visibility"] == "private"


OPENED = """
import sys
from egoframe.pairs import open_pairs
for split in ("train", "validation"):
    open_pairs(sys.argv[1], split).push_to_hub("me/opened")
"""


def test_an_opened_split_can_be_pushed(hub, pairs, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", OPENED, str(pairs)], capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
    for name, held in hub.repos["datasets/me/opened"].items():
        (tmp_path / "opened" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "opened" / name).write_bytes(held)
    names = {"train": "data/train-00000-of-00001.parquet",
             "validation": "data/validation-00000-of-00001.parquet"}  # fmt: skip
    opened = {s: list(read_rows(Folder(tmp_path / "opened"), name)) for s, name in names.items()}
    assert comparable(opened) == truth(pairs)


def truth(pairs: Path) -> dict[str, list[dict[str, Any]]]:
    """What was written."""
    rows = {split: list(read_rows(Folder(pairs), f"{split}/00000.parquet")) for split in SPLITS}
    assert [len(table) for table in rows.values()] == [5, 2]
    return comparable(rows)


def comparable(rows: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """Frames as their bytes: the names that `datasets` gives them say nothing."""
    frames = ("input_frame", "action_frame")
    return {
        split: [row | {frame: row[frame]["bytes"] for frame in frames} for row in table]
        for split, table in rows.items()
    }
