"""Pushes a finished dataset to the Hugging Face hub, as it lies in its folder."""

from __future__ import annotations

from pathlib import Path

from egoframe.curation.card import CLOSED, LICENCES, sources
from egoframe.errors import UserError
from egoframe.pairs import SPLITS, shards
from egoframe.push import Pushed, push_files
from egoframe.storage import Folder

BESIDE = ("README.md", "rejected.parquet", "report.json", "build.json")  # the shards


def push_dataset(
    folder: Folder, repo: str, private: bool = False, branch: str | None = None
) -> Pushed:
    """Make a dataset repository hold the files of a dataset; what is there already is not sent.

    Shards of an earlier push that the dataset no longer has are removed, else they would be read
    with it. The repository's other files are left alone, and so are files of the folder that are
    none of a dataset's, such as a page or a journal.

    Arguments:
        repo: such as "me/pairs"; made where there is none.
        private: nobody else may see it.
        branch: made where there is none; main by default.
    Raises:
        UserError: no finished dataset on this machine, its frames may not be passed on, or the hub
            cannot be used; what was sent is kept there for the next call.
    """
    files = _files(folder)
    _check_licence(folder, files, private)
    return push_files(
        Path(folder.path()),
        files,
        repo,
        "dataset",
        "Push action pairs",
        private=private,
        branch=branch,
        stale=[f"{split}/*.parquet" for split in SPLITS],
    )


def _files(folder: Folder) -> list[str]:
    """Names of a finished dataset's files."""
    if not folder.local:
        raise UserError(
            f"{folder}: only a folder on this machine can be pushed; fetch it first: python -c "
            f"\"from fsspec.core import url_to_fs; fs, root = url_to_fs('{folder}'); "
            "fs.get(root, 'pairs', recursive=True)\""
        )
    missing = [name for name in BESIDE if not folder.exists(name)]
    if missing and folder.exists("build.json"):
        raise UserError(
            f"{folder}: not finished, it has no {', '.join(missing)}; run the same `egoframe data "
            "build` command again"
        )
    found = shards(folder)  # says so if there is no dataset at all
    if missing:
        raise UserError(
            f"{folder}: has pairs but no {', '.join(missing)}; only a dataset that `egoframe data "
            "build` built can be pushed so, others with `datasets.Dataset.push_to_hub`"
        )
    return [*BESIDE, *found]


def _check_licence(folder: Folder, files: list[str], private: bool) -> None:
    found = sources(folder, [name for name in files if name.endswith(".parquet")])
    closed = [source for source in CLOSED if source in found]
    if closed and not private:
        raise UserError(
            f"{folder}: has frames of {' and '.join(closed)}, under {LICENCES[closed[0]][1]}; only "
            "a repository that nobody else sees may hold them: --private"
        )
