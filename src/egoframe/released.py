"""The weights that LEGO's authors released: fetched, verified and converted on first use.

$EGOFRAME_HOME/downloads/NAME/   files put there by hand, which are taken before the hub's
$EGOFRAME_HOME/fetching/NAME/    files of the hub, until the model is made
$EGOFRAME_HOME/models/NAME/      the model, with a `source.json` of what it was made from
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egoframe import hub
from egoframe.errors import UserError
from egoframe.images import write_bytes

if TYPE_CHECKING:
    from rich.progress import Progress

EGO4D, EPIC = "bolinlai/LEGO-Ego4D", "bolinlai/LEGO-EpicKitchens"
CLIP = "openai/clip-vit-large-patch14"
VLLM = "llava-llama-2-13b-chat-forecasting-finetune"
NEEDED = (".json", ".txt", ".model", ".safetensors", ".bin")  # of a model's folder
RECORD = "source.json"
SHOWN = 12  # names of other files in an error


@dataclass(frozen=True)
class Release:
    """One of the released models."""

    repo: str
    checkpoint: str
    articles: bool  # whether its actions have them: "open the drawer", not "open drawer"


RELEASES = {
    "lego-ego4d": Release(EGO4D, "ego4d_diffusion_with_vllm_feature.ckpt", True),
    "lego-epic": Release(EPIC, "epickitchen_diffusion_with_vllm_feature.ckpt", False),
    "lego-ego4d-scaleup": Release(EGO4D, "scaleup_training_ego4d_eval.ckpt", True),
    "lego-epic-scaleup": Release(EPIC, "scaleup_training_epickitchen_eval.ckpt", False),
}


@dataclass(frozen=True)
class Part:
    """A file, or the files of a folder, that a model is made of."""

    repo: str
    wanted: str  # name of the file or folder


@dataclass(frozen=True)
class Found:
    """A part on this disk, and what it is."""

    files: tuple[Path, ...]
    record: dict[str, Any]  # repository and commit, unless it was put there by hand; hashes

    @property
    def source(self) -> Path:
        """What a converter is given: the file, or the folder."""
        first = self.files[0]
        return first if first.suffix in (".ckpt", ".zip") else first.parent


def parts_of(release: Release) -> dict[str, Part]:
    """What a released model is made of."""
    return {
        "checkpoint": Part(release.repo, release.checkpoint),
        "enhancer": Part(release.repo, VLLM),
        "clip": Part(CLIP, CLIP.partition("/")[2]),
    }


def home() -> Path:
    """The folder that keeps what was fetched and converted."""
    return Path(os.environ.get("EGOFRAME_HOME") or "~/.cache/egoframe").expanduser()


def prepared(name: str) -> Path:
    """The folder of a released model, fetched and converted when it is not there yet.

    Can be stopped at any time: the next call goes on where it was.

    Raises:
        UserError: its files cannot be had, are damaged, or do not fit on the disk.
    """
    folder = home() / "models" / name
    if not folder.exists():
        with alone(folder):
            if not folder.exists():  # another process may just have made it
                _tidy(folder)
                with hub.progress() as bar:
                    found = _gather(name, bar)
                _convert(RELEASES[name], found, folder)
                shutil.rmtree(home() / "fetching" / name, ignore_errors=True)
    return folder


def _tidy(folder: Path) -> None:
    """Remove what conversions that were killed left half written; none runs now."""
    for left in folder.parent.glob(f".{folder.name}.*"):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)


def pick(wanted: str, paths: Iterable[str]) -> list[str]:
    """The paths of a file, of a model's folder, or of a folder's .zip, wherever it lies.

    Upper and lower case are the same, and a step may be named, as in `NAME-ckpt450`. Of a folder,
    what a model needs is picked; of weights that are there in both forms, safetensors.
    """
    by_depth = sorted(paths, key=lambda path: (path.count("/"), path))
    named = re.compile(rf"{re.escape(wanted)}(-(last)?ckpt\d*)?", re.IGNORECASE)
    for path in by_depth:
        folder, _, last = path.rpartition("/")
        if last == "config.json" and any(map(named.fullmatch, folder.split("/"))):
            inside = [p for p in by_depth if p.rpartition("/")[0] == folder and p.endswith(NEEDED)]
            safe = any(p.endswith(".safetensors") for p in inside)
            unused = (".bin",) if safe else ("/training_args.bin",)
            return [path] + [p for p in inside if p != path and not p.endswith(unused)]
    return [
        path
        for path in by_depth
        if path.rpartition("/")[2].lower() == wanted.lower()
        or (path.lower().endswith(".zip") and named.fullmatch(path.rpartition("/")[2][:-4]))
    ][:1]


def _gather(name: str, bar: Progress) -> dict[str, Found]:
    """Find the parts among the files put there by hand, and fetch the others."""
    parts = parts_of(RELEASES[name])
    by_hand, fetching = home() / "downloads" / name, home() / "fetching" / name
    for folder in (by_hand, fetching):
        folder.mkdir(parents=True, exist_ok=True)
    there = list(_files_below(by_hand))
    local = {key: [by_hand / p for p in pick(part.wanted, there)] for key, part in parts.items()}
    missing = {key: part for key, part in parts.items() if not local[key]}
    try:
        listings = _choose(missing, fetching)
        _check_space(name, local, listings)
        found = {
            key: Found(
                tuple(fetching / key / file.name for file in listing.files),
                _record(listing, hub.fetch(listing, fetching / key, bar)),
            )
            for key, listing in listings.items()
        }
    except hub.HubError as error:
        for plan in fetching.glob("*.plan.json"):
            plan.unlink()  # what the hub has may have changed
        raise UserError(_ways_out(name, missing, by_hand, error)) from None
    for key, files in local.items():
        if files:
            hashes = {str(p.relative_to(by_hand)): hub.sha256(p, bar) for p in files}
            found[key] = Found(tuple(files), _record(None, hashes))
    return found


def _files_below(folder: Path) -> Iterator[str]:
    for place, _, names in os.walk(folder, followlinks=True):
        yield from ((Path(place) / name).relative_to(folder).as_posix() for name in names)


def _choose(parts: dict[str, Part], fetching: Path) -> dict[str, hub.Listing]:
    """What to fetch of each part: as an earlier call decided, so that no commits are mixed."""
    list_files = cache(hub.list_files)  # once for the parts of one repository
    chosen = {}
    for key, part in parts.items():

        def choose(part: Part = part) -> hub.Listing:
            return _only(part, list_files(part.repo))

        chosen[key] = planned(fetching / f"{key}.plan.json", choose)
    return chosen


def planned(plan: Path, choose: Callable[[], hub.Listing]) -> hub.Listing:
    """What to fetch, as an earlier call decided and a file tells; or decide, and keep it there."""
    if plan.exists():
        told = json.loads(plan.read_text(encoding="utf-8"))
        files = tuple(hub.HubFile(**file) for file in told["files"])
        return hub.Listing(told["repo"], told["revision"], files)
    chosen = choose()
    write_bytes(plan, json.dumps(asdict(chosen)).encode())
    return chosen


def _only(part: Part, listing: hub.Listing) -> hub.Listing:
    """The files of a part among those of its repository."""
    root = part.repo.partition("/")[2] + "/"  # a part may be the repository itself
    by_path = {root + file.path: file for file in listing.files}
    picked = pick(part.wanted, by_path)
    if not picked:
        kinds = (".ckpt",) if part.wanted.endswith(".ckpt") else (".zip", "/config.json")
        others = sorted(p.removeprefix(root) for p in by_path if p.endswith(kinds))
        told = ", ".join(others[:SHOWN]) or f"no {' or '.join(kinds)}"
        raise hub.HubError(f"{part.repo} has no {part.wanted}, but {told}")
    return hub.Listing(listing.repo, listing.revision, tuple(by_path[p] for p in picked))


def _check_space(name: str, local: dict[str, list[Path]], listings: dict[str, hub.Listing]) -> None:
    """Find out before the work whether its results have room: as much again as it reads."""
    sizes = {key: sum(p.stat().st_size for p in files) for key, files in local.items() if files}
    for key, listing in listings.items():
        sizes[key] = sum(file.size for file in listing.files)
    needed = sizes["checkpoint"]
    if not _enhancer_of(name).exists():
        needed += sizes["enhancer"]
    for key, listing in listings.items():
        needed += hub.still_to_fetch(listing, home() / "fetching" / name / key)
    free = shutil.disk_usage(home()).free
    if free < needed:
        raise UserError(
            f"{home()}: {name} needs {hub.gigabytes(needed)} to be fetched and converted, and "
            f"{hub.gigabytes(free)} are free; set EGOFRAME_HOME to a folder with more room"
        )


def _convert(release: Release, found: dict[str, Found], folder: Path) -> None:
    """Make the model's folder, whole or not at all; the enhancer first, which is kept meanwhile."""
    from rich.console import Console
    from rich.markup import escape

    from egoframe.convert.lego import convert_lego
    from egoframe.convert.llava import convert_llava

    status = Console(stderr=True).status("")

    def tell(told: str) -> None:
        status.update(escape(told))

    enhancer = _enhancer_of(folder.name)
    note = enhancer.with_name(f"{enhancer.name}.json")
    made_from = json.dumps([found["enhancer"].record, found["clip"].record]).encode()
    if not enhancer.exists() or not note.exists() or note.read_bytes() != made_from:
        shutil.rmtree(enhancer, ignore_errors=True)
        with status:
            convert_llava(found["enhancer"].source, enhancer, found["clip"].source, tell=tell)
        write_bytes(note, made_from)
    checkpoint, clip = found["checkpoint"].source, found["clip"].source
    record = {key: part.record for key, part in sorted(found.items())}
    with status:
        convert_lego(
            checkpoint, folder, clip, enhancer,
            articles=release.articles, record=record, tell=tell,
        )  # fmt: skip
    shutil.rmtree(enhancer, ignore_errors=True)
    note.unlink()


def _enhancer_of(name: str) -> Path:
    return home() / "models" / f"{name}.enhancer"


def _record(listing: hub.Listing | None, hashes: dict[str, str]) -> dict[str, Any]:
    repo, revision = (listing.repo, listing.revision) if listing else (None, None)
    return {"repo": repo, "revision": revision, "sha256": hashes}


def _ways_out(name: str, missing: dict[str, Part], by_hand: Path, error: hub.HubError) -> str:
    """What to say where the hub does not give what is missing."""
    told = {
        "checkpoint": "{0.wanted} from {0.repo}",
        "enhancer": "{0.wanted} (the folder, or its .zip) from {0.repo}",
        "clip": "*.json, *.txt and model.safetensors of {0.repo}, in a folder {0.wanted}",
    }
    files = "; ".join(told[key].format(part) for key, part in missing.items())
    return (
        f"{name}: not to be had from the hub ({error}); try again, or put these into {by_hand}: "
        f"{files}; or convert a checkpoint yourself: egoframe convert lego CKPT OUT"
    )


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Wait until no other process makes this folder.

    Raises:
        UserError: the folders cannot be written.
    """
    from filelock import FileLock, Timeout
    from rich.console import Console

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.with_name(f".{folder.name}.lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            Console(stderr=True).print(f"{folder.name}: another process makes it; waiting")
            lock.acquire()
    except OSError as error:
        raise UserError(
            f"{home()}: cannot be written ({error.strerror}); set EGOFRAME_HOME to another folder"
        ) from None
    try:
        yield
    finally:
        lock.release()
