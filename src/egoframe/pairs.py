"""The ActionPair: the one record that flows from recordings to pictures, and datasets of it.

A dataset is a folder of Parquet shards, `SPLIT/00000.parquet`, which `datasets.load_dataset` opens
with no code of ours, beside a card and `rejected.parquet`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egoframe.errors import UserError

if TYPE_CHECKING:
    import datasets

SPLITS = ("train", "validation")
SHARD_ROWS = 2000
ARTICLES = ("the", "a", "an")
MAX_WORDS, MAX_CHARACTERS = 40, 300  # of an action


@dataclass(frozen=True)
class Box:
    """A labelled box; corners in 0..1 of the frame's width and height."""

    label: str
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True)
class ActionPair:
    """A frame shortly before an action, and one while it happens."""

    pair_id: str
    source: str  # where it comes from: "epic-kitchens-100", "kitchen", …
    split: str  # train or validation
    video_id: str
    narration: str  # as annotated
    action: str  # normalised: "open drawer"
    verb: str
    noun: str
    description: str | None  # enriched
    description_source: str | None  # who wrote it
    input_frame: bytes  # an encoded picture
    action_frame: bytes
    input_time: float  # seconds
    action_time: float
    input_boxes: list[Box]
    action_boxes: list[Box]
    similarity: float  # of the two frames, see curation.filters
    sharpness: float
    camera_motion: float
    facts: str | None = None  # JSON: what only a simulator knows, see kitchen.teacher


def normalise_action(text: str, articles: bool = True) -> str:
    """An action in plain words: "turn on the tap" from "Turn-on  the tap.".

    Arguments:
        articles: keep "the", "a" and "an"; EPIC-KITCHENS' narrations have none.
    """
    words = text.replace("-", " ").lower().strip(" .!").split()
    return " ".join(word for word in words if articles or word not in ARTICLES)


def check_action(text: str, articles: bool = True) -> str:
    """The action, normalised.

    Raises:
        UserError: it is empty, or too long to be one action.
    """
    words = normalise_action(text, articles)
    if not words:
        raise UserError('the action is empty; say what the person does, such as "open the drawer"')
    count = len(text.split())
    if count > MAX_WORDS or len(words) > MAX_CHARACTERS:
        raise UserError(
            f"the action has {count} words and {len(words)} characters, at most {MAX_WORDS} and "
            f"{MAX_CHARACTERS} are read; say it shortly, and put details into the description"
        )
    return words


def features() -> datasets.Features:
    """The columns of a dataset, as `datasets` describes them."""
    from datasets import Features, Image, List, Value

    box = {"label": Value("string"), **{k: Value("float32") for k in ("x0", "y0", "x1", "y1")}}
    strings = ("pair_id", "source", "split", "video_id", "narration", "action", "verb", "noun",
               "description", "description_source")  # fmt: skip
    numbers = ("similarity", "sharpness", "camera_motion")
    return Features(
        {name: Value("string") for name in strings}
        | {"input_frame": Image(), "action_frame": Image()}
        | {"input_time": Value("float64"), "action_time": Value("float64")}
        | {"input_boxes": List(box), "action_boxes": List(box)}
        | {name: Value("float32") for name in numbers}
        | {"facts": Value("string")}
    )


def write_pairs(folder: Path, pairs: Iterable[ActionPair]) -> dict[str, int]:
    """Write pairs as shards; returns how many each split has. A shard is whole or absent."""
    waiting: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    shards = dict.fromkeys(SPLITS, 0)
    counts = dict.fromkeys(SPLITS, 0)

    def flush(split: str) -> None:
        if waiting[split]:
            write_shard(folder / split / f"{shards[split]:05d}.parquet", waiting[split])
            shards[split] += 1
            waiting[split] = []

    for pair in pairs:
        waiting[pair.split].append(to_row(pair))
        counts[pair.split] += 1
        if len(waiting[pair.split]) == SHARD_ROWS:
            flush(pair.split)
    for split in SPLITS:
        flush(split)
    return counts


def to_row(pair: ActionPair) -> dict[str, Any]:
    """A pair as a row of a dataset."""
    row = asdict(pair)
    for frame in ("input_frame", "action_frame"):
        row[frame] = {"bytes": row[frame], "path": None}
    return row


def write_shard(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows to one Parquet file, then give it its name."""
    import datasets

    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".writing")
    columns = {name: [row[name] for row in rows] for name in features()}
    datasets.Dataset.from_dict(columns, features=features()).to_parquet(str(temporary))
    temporary.rename(path)


def open_pairs(folder: str | Path, split: str) -> datasets.Dataset:
    """Open one split of a dataset.

    Raises:
        UserError: there is no such dataset or split.
    """
    import datasets

    shards = sorted((Path(folder) / split).glob("*.parquet"))
    if not shards:
        raise UserError(
            f"{folder}: no dataset of action pairs with a {split} split here; "
            "build one with `egoframe data build`"
        )
    return datasets.concatenate_datasets(
        [datasets.Dataset.from_parquet(str(path), features=features()) for path in shards]
    )


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a shard, frames still encoded."""
    import pyarrow.parquet as pq

    yield from pq.read_table(path).to_pylist()
