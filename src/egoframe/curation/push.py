"""Pushes a finished dataset to the Hugging Face hub, as it lies in its folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from egoframe import hub
from egoframe.curation.card import CLOSED, LICENCES, sources
from egoframe.errors import UserError
from egoframe.pairs import SPLITS, shards
from egoframe.storage import Folder

BESIDE = ("README.md", "rejected.parquet", "report.json", "build.json")  # the shards
WRITING = {
    401: ", a login is needed: hf auth login",
    403: ", this login may not write there: hf auth login, with a token that may",
}


@dataclass(frozen=True)
class Pushed:
    """What lies on the hub now."""

    url: str
    private: bool
    commit: str
    files: int
    changed: bool  # False: all of it was there already


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
    from huggingface_hub import HfApi

    files = _files(folder)
    _check_licence(folder, files, private)
    api = HfApi()
    with _telling(repo):
        made = api.create_repo(repo, repo_type="dataset", private=private or None, exist_ok=True)
        name = made.repo_id
        before = api.dataset_info(name)
        if private and not before.private:
            raise UserError(
                f"{repo}: is public already, and a push does not make it private; do so in its "
                "settings on the hub, or give another name"
            )
        if branch is not None:
            api.create_branch(name, branch=branch, repo_type="dataset", exist_ok=True)
            before = api.dataset_info(name, revision=branch)
        # Not upload_large_folder, which hub 2 no longer has, and which left a folder .cache in the
        # dataset. upload_folder asks which files are there, and where it sends by Xet, it commits
        # many files in parts; so a push that was stopped goes on in either way.
        done = api.upload_folder(
            repo_id=name,
            repo_type="dataset",
            folder_path=folder.path(),
            revision=branch,
            commit_message="Push action pairs",
            allow_patterns=files,
            delete_patterns=[f"{split}/*.parquet" for split in SPLITS],
        )
    return Pushed(
        url=made.url,
        private=bool(before.private),
        commit=done.oid,
        files=len(files),
        changed=done.oid != before.sha,
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


@contextmanager
def _telling(repo: str) -> Iterator[None]:
    """What goes wrong on the way is told in one line."""
    from huggingface_hub.errors import HTTPError

    try:
        yield
    except (HTTPError, OSError, ValueError, RuntimeError) as error:
        cause = error.__cause__ if isinstance(error, RuntimeError) else None  # of a file's
        why = hub.reason(cause or error, WRITING)
        raise UserError(
            f"{repo}: not pushed ({why}); what was sent is kept, the same command goes on"
        ) from None
