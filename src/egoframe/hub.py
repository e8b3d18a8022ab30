"""Files of the Hugging Face hub: listed at one commit, fetched in pieces if need be, and verified.

`huggingface_hub` goes on after a cut connection, but not after it was stopped: it removes what it
had (2.4), and never compares a file with its hash. A checkpoint has many gigabytes, so here what
was fetched stays, and the next call asks for the rest alone.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from egoframe.errors import UserError, first_line

if TYPE_CHECKING:
    from rich.progress import Progress

TRIES = 5  # in a row that bring nothing new, before a download gives up
PAUSE = 1.0  # seconds before the next try
BLOCK = 1 << 20  # bytes read at once to work out a hash
READING = {401: ", or a login is needed: hf auth login", 403: ", access must be asked for there"}


class HubError(Exception):
    """A file cannot be had from the hub; the message says why, in one line."""


@dataclass(frozen=True)
class HubFile:
    """A file as the hub tells of it."""

    path: str  # inside the repository
    size: int
    sha256: str | None  # of a file in LFS, as all large ones are
    blob: str  # git's id; of a file in LFS, of a note about it

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name


@dataclass(frozen=True)
class Listing:
    """Files of a repository at one commit."""

    repo: str
    revision: str
    files: tuple[HubFile, ...]


def list_files(repo: str) -> Listing:
    """All files of a repository as it is now.

    Raises:
        HubError: no such repository, or none for this user, or the hub is out of reach.
    """
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import HTTPError, OfflineModeIsEnabled
    from huggingface_hub.hf_api import RepoFile

    api = HfApi()
    try:
        revision = api.model_info(repo, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT).sha
        entries = list(api.list_repo_tree(repo, recursive=True, revision=revision))
    except (HTTPError, OfflineModeIsEnabled, ValueError) as error:
        raise HubError(reason(error)) from None
    files = tuple(
        HubFile(entry.path, entry.size, entry.lfs.sha256 if entry.lfs else None, entry.blob_id)
        for entry in entries
        if isinstance(entry, RepoFile)
    )
    return Listing(repo, str(revision), files)


def fetch(listing: Listing, folder: Path, bar: Progress) -> dict[str, str]:
    """Fetch what is missing of the files into a folder, and verify all of them.

    Returns: the SHA-256 of each, by its path in the repository.

    Raises:
        HubError: a file cannot be had; what was fetched of it is kept for the next call.
        UserError: a file is not what the hub says it is, or cannot be written.
    """
    hashes = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in listing.files:
            _download(listing, file, folder / file.name, bar)
            hashes[file.path] = _verified(listing.repo, file, folder / file.name, bar)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror or error})") from None
    return hashes


def still_to_fetch(listing: Listing, folder: Path) -> int:
    """How many bytes `fetch` would ask for."""
    return sum(max(file.size - _size(folder / file.name), 0) for file in listing.files)


def sha256(path: Path, bar: Progress) -> str:
    """Work out a file's SHA-256, and show how far it is.

    Raises:
        UserError: the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        task = bar.add_task(f"checking {path.name}", total=path.stat().st_size)
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
                bar.advance(task, len(block))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    bar.remove_task(task)
    return digest.hexdigest()


def progress() -> Progress:
    """A progress bar for bytes, on standard error, gone when it is done."""
    from rich import progress
    from rich.console import Console

    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
        transient=True,
        console=Console(stderr=True),
    )


def gigabytes(size: int) -> str:
    """A number of bytes, for people."""
    return f"{size / 1e9:.1f} GB"


def _download(listing: Listing, file: HubFile, place: Path, bar: Progress) -> None:
    """Bring a file to its full size, in as many requests as that takes."""
    from huggingface_hub import hf_hub_url

    url = hf_hub_url(listing.repo, file.path, revision=listing.revision)
    if _size(place) > file.size:
        place.unlink()
    place.touch()
    task = bar.add_task(f"fetching {file.name}", total=file.size)
    failures = 0
    while (have := _size(place)) < file.size:
        reason = _continue(url, place, have, lambda size: bar.update(task, completed=size))
        failures = 0 if _size(place) > have else failures + 1
        if failures == TRIES:
            told = f"{gigabytes(have)} of {gigabytes(file.size)}"
            raise HubError(f"{file.name} stopped at {told}: {reason}")
        if reason:
            time.sleep(PAUSE)
    bar.remove_task(task)


def _continue(url: str, place: Path, have: int, show: Callable[[int], None]) -> str:
    """Append to a file what comes; the answer is why it broke off, or nothing."""
    from huggingface_hub import constants
    from huggingface_hub.errors import HfHubHTTPError, HTTPError, OfflineModeIsEnabled
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status, http_stream_backoff

    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    asked: dict[str, Any] = {"headers": headers, "timeout": constants.HF_HUB_DOWNLOAD_TIMEOUT}
    try:
        with http_stream_backoff("GET", url, retry_on_exceptions=(), **asked) as answer:
            hf_raise_for_status(answer)
            goes_on = answer.status_code == 206  # some servers send it all again
            size = have if goes_on else 0
            with place.open("ab" if goes_on else "wb") as out:
                for block in answer.iter_bytes():
                    size += out.write(block)
                    show(size)
    except (HfHubHTTPError, OfflineModeIsEnabled) as error:
        raise HubError(reason(error)) from None
    except HTTPError as error:
        return reason(error)
    return ""


def _verified(repo: str, file: HubFile, place: Path, bar: Progress) -> str:
    digest = sha256(place, bar)
    whole = digest == file.sha256 if file.sha256 else _git_id(place) == file.blob
    if not whole:
        place.unlink()
        raise UserError(
            f"{place}: its SHA-256 is not what {repo} tells; it is removed, and the same command "
            "fetches it again"
        )
    return digest


def _git_id(path: Path) -> str:
    """What git would call a (small) file."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def reason(error: BaseException, ways: Mapping[int, str] = READING) -> str:
    """Why the hub could not be used, in one line.

    Arguments:
        ways: what to say of a status beside its number.
    """
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    if isinstance(error, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set"
    if isinstance(error, HfHubHTTPError):
        status, url = error.response.status_code, error.response.url
        said = f": {first_line(error.server_message)}" if error.server_message else ""
        return f"status {status} from {url.host}{url.path}{ways.get(status, said)}"
    return " ".join(str(error).split())[:200] or type(error).__name__
