"""Pushes a folder's files to the Hugging Face hub; what is there already is not sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from egoframe import hub
from egoframe.errors import UserError

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


def push_files(
    folder: Path,
    files: Sequence[str],
    repo: str,
    kind: Literal["dataset", "model"],
    message: str,
    *,
    private: bool = False,
    branch: str | None = None,
    stale: Sequence[str] = (),
    lacking: Mapping[str, bytes] | None = None,
    token: str | None = None,
) -> Pushed:
    """Make a repository hold files of a folder.

    Arguments:
        files: paths in the folder.
        repo: such as "me/pairs"; made where there is none.
        message: of the commit.
        private: nobody else may see it.
        branch: made where there is none; main by default.
        stale: patterns of the repository's files that go, where the folder has none of the name.
        lacking: files that are sent beside the folder's where the repository has none of the name.
        token: of the hub; that of `hf auth login` by default.
    Raises:
        UserError: the hub cannot be used; what was sent is kept there for the next call.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    api = HfApi(token=token)
    with _telling(repo):
        made = api.create_repo(repo, repo_type=kind, private=private or None, exist_ok=True)
        name = made.repo_id
        before = api.repo_info(name, repo_type=kind)
        if private and not before.private:
            raise UserError(
                f"{repo}: is public already, and a push does not make it private; do so in its "
                "settings on the hub, or give another name"
            )
        if branch is not None:
            api.create_branch(name, branch=branch, repo_type=kind, exist_ok=True)
            before = api.repo_info(name, revision=branch, repo_type=kind)
        # Not upload_large_folder, which hub 2 no longer has, and which left a folder .cache in the
        # folder. upload_folder asks which files are there, and where it sends by Xet, it commits
        # many files in parts; so a push that was stopped goes on in either way.
        done = api.upload_folder(
            repo_id=name,
            repo_type=kind,
            folder_path=folder,
            revision=branch,
            commit_message=message,
            allow_patterns=list(files),
            delete_patterns=list(stale),
        )
        there = {file.rfilename for file in getattr(before, "siblings", None) or ()}
        more = {path: text for path, text in (lacking or {}).items() if path not in there}
        if more:
            added = [CommitOperationAdd(path, text) for path, text in more.items()]
            done = api.create_commit(
                name, added, repo_type=kind, revision=branch, commit_message=message
            )
    return Pushed(
        url=made.url,
        private=bool(before.private),
        commit=done.oid,
        files=len(files) + len(more),
        changed=done.oid != before.sha,
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
