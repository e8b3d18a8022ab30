"""The ActionPair: the one record that flows from recordings to pictures, and datasets of it.

A dataset is a folder of Parquet shards, `SPLIT/00000.parquet`, which `datasets.load_dataset` opens
with no code of ours, beside a card and `rejected.parquet`.
"""

from __future__ import annotations

import glob
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egoframe.errors import UserError, first_line
from egoframe.storage import Folder

if TYPE_CHECKING:
    import datasets

SPLITS = ("train", "validation")
FRAMES = ("input_frame", "action_frame")
SHARD_ROWS = 1000
ROW_GROUP = 100  # rows read at once
ARTICLES = ("the", "a", "an")
MAX_WORDS, MAX_CHARACTERS = 40, 300  # of an action


@dataclass(frozen=True, slots=True)
class Box:
    """A labelled box; corners in 0..1 of the frame's width and height."""

    label: str
    x0: float
    y0: float
    x1: float
    y1: float
    in_contact: str | None = None  # of a hand: the label of what it touches


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
    similarity: float  # of the two frames, see curation.filters, as for the figures below
    sharpness: float
    exposure: float
    camera_motion: float
    hands: int | None = None  # in the action frame; None where nobody looked
    aesthetic: float | None = None  # None without that filter's weights
    description_flags: list[str] = field(default_factory=list)  # what a description invents
    facts: str | None = None  # JSON: what only a simulator knows, see kitchen.teacher


@dataclass(frozen=True)
class RejectedClip:
    """An annotated action that made no pair, and why; its frames are thumbnails, where it has any.

    Fields are those of `ActionPair`, where they have the same names.
    """

    clip_id: str
    source: str
    split: str
    video_id: str
    narration: str
    verb: str
    noun: str
    reason: str  # a few words, the same for all of a kind
    detail: str = ""  # what makes this one different: a file, a time, a figure
    file: str | None = None  # the one that is to blame
    input_time: float | None = None
    action_time: float | None = None
    input_frame: bytes | None = None
    action_frame: bytes | None = None
    similarity: float | None = None
    sharpness: float | None = None
    exposure: float | None = None
    camera_motion: float | None = None
    hands: int | None = None
    aesthetic: float | None = None


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

    corners = {k: Value("float32") for k in ("x0", "y0", "x1", "y1")}
    box = {"label": Value("string"), **corners, "in_contact": Value("string")}
    strings = ("pair_id", "source", "split", "video_id", "narration", "action", "verb", "noun",
               "description", "description_source")  # fmt: skip
    return Features(
        {name: Value("string") for name in strings}
        | {"input_frame": Image(), "action_frame": Image()}
        | {"input_time": Value("float64"), "action_time": Value("float64")}
        | {"input_boxes": List(box), "action_boxes": List(box)}
        | _figures()
        | {"description_flags": List(Value("string")), "facts": Value("string")}
    )


def rejected_features() -> datasets.Features:
    """The columns of `rejected.parquet`."""
    from datasets import Features, Image, Value

    strings = ("clip_id", "source", "split", "video_id", "narration", "verb", "noun", "reason",
               "detail", "file")  # fmt: skip
    return Features(
        {name: Value("string") for name in strings}
        | {"input_time": Value("float64"), "action_time": Value("float64")}
        | {"input_frame": Image(), "action_frame": Image()}
        | _figures()
    )


def _figures() -> dict[str, datasets.Value]:
    from datasets import Value

    numbers = ("similarity", "sharpness", "exposure", "camera_motion")
    return {name: Value("float32") for name in numbers} | {
        "hands": Value("int32"),
        "aesthetic": Value("float32"),
    }


def to_row(record: ActionPair | RejectedClip) -> dict[str, Any]:
    """A pair, or a clip that made none, as a row of its table."""
    row = asdict(record)
    for frame in FRAMES:
        row[frame] = row[frame] and {"bytes": row[frame], "path": None}
    return row


class ShardWriter:
    """Writes rows into one Parquet file, a row group at a time; the file is whole or absent.

    Arguments:
        columns: those of a dataset, where nothing else is said.
    """

    def __init__(self, folder: Folder, name: str, columns: datasets.Features | None = None) -> None:
        import pyarrow.parquet as pq

        self.schema = (columns or features()).arrow_schema
        self.waiting: list[dict[str, Any]] = []
        self.rows = 0
        self.files = ExitStack()
        file = self.files.enter_context(folder.writing(name))
        self.writer = self.files.enter_context(pq.ParquetWriter(file, self.schema))

    def add(self, row: dict[str, Any]) -> None:
        self.waiting.append(row)
        self.rows += 1
        if len(self.waiting) == ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self.waiting:
            self.writer.write_table(pa.Table.from_pylist(self.waiting, self.schema))
            self.waiting = []

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, *error: Any) -> None:
        with self.files:
            if error[0] is None:
                self._flush()
            self.files.__exit__(*error)


def write_shard(
    folder: Folder,
    name: str,
    rows: Iterable[dict[str, Any]],
    columns: datasets.Features | None = None,
) -> int:
    """Write rows to one Parquet file, whole or not at all; how many. See `ShardWriter`."""
    with ShardWriter(folder, name, columns) as shard:
        for row in rows:
            shard.add(row)
    return shard.rows


def columns_of(folder: Folder, name: str) -> datasets.Features:
    """The columns of a dataset's shard, those that somebody added included.

    Raises:
        UserError: it cannot be read, or lacks a column.
    """
    import pyarrow.parquet as pq
    from datasets import Features
    from pyarrow import ArrowException

    with folder.open(name) as file:
        try:
            found = Features.from_arrow_schema(pq.read_schema(file))
        except (OSError, ValueError, ArrowException) as error:
            raise _damaged(folder, name, first_line(error)) from None
    for column in features():
        if column not in found:
            raise _damaged(folder, name, f"it has no {column}")
    return found


def write_split(folder: Folder, split: str, rows: Iterable[dict[str, Any]]) -> int:
    """Write the rows of one split as shards; how many there are."""
    left = iter(rows)
    count = 0
    while (first := next(left, None)) is not None:
        name = f"{split}/{count // SHARD_ROWS:05d}.parquet"
        count += write_shard(folder, name, chain([first], islice(left, SHARD_ROWS - 1)))
    return count


def write_pairs(folder: Folder, pairs: Sequence[ActionPair]) -> dict[str, int]:
    """Write pairs as a dataset's shards; how many each split has."""
    return {
        split: write_split(folder, split, (to_row(pair) for pair in pairs if pair.split == split))
        for split in SPLITS
    }


def shards(folder: Folder, splits: Sequence[str] = SPLITS) -> list[str]:
    """Names of a dataset's shards, split by split.

    Raises:
        UserError: there are none.
    """
    names = [name for split in splits for name in folder.names(f"{split}/*.parquet")]
    if not names:
        raise UserError(
            f"{folder}: no dataset of action pairs with a {' or '.join(splits)} split here; "
            "build one with `egoframe data build`"
        )
    return names


def open_pairs(folder: str | Path, split: str) -> datasets.Dataset:
    """Open one split of a dataset, in a folder or at an fsspec URL.

    Raises:
        UserError: there is no such dataset or split.
    """
    import datasets

    where = Folder(folder)
    files = [glob.escape(where.link(name)) for name in shards(where, (split,))]
    return datasets.concatenate_datasets(
        [datasets.Dataset.from_parquet(file, features=features()) for file in files],
        split=datasets.NamedSplit(split),
    )


def open_described(folder: str | Path, split: str, by: str | None = None) -> datasets.Dataset:
    """Open one split of a dataset, every pair of which has a description.

    Arguments:
        by: only the pairs that this writer described; LEGO's teacher is "gpt-curation".
    Raises:
        UserError: there is no such dataset or split, some pairs have no description, or that writer
            described none.
    """
    dataset = open_pairs(folder, split)
    if by is not None:
        writers = list(dataset["description_source"])
        dataset = dataset.select([k for k, writer in enumerate(writers) if writer == by])
        if not len(dataset):
            known = ", ".join(sorted({str(writer) for writer in writers}))
            raise UserError(f"{folder}: no pair is described by {by}; there are those by {known}")
    missing = sum(text is None for text in dataset["description"])
    if missing:
        raise UserError(
            f"{folder}: {missing} of {len(dataset)} pairs have no description; "
            f"write them with `egoframe describe {folder}`"
        )
    return dataset


def digest(split: datasets.Dataset, columns: Sequence[str] | None = None) -> str:
    """SHA-256 of what a whole split tells, and of the bytes that each of its frames takes.

    Arguments:
        columns: of what is told; all, if None.
    """
    import pyarrow.compute as pc

    told = (
        split.remove_columns(list(FRAMES))
        if columns is None
        else split.select_columns(list(columns))
    )
    sizes = {
        name: pc.binary_length(pc.struct_field(split.data.column(name), "bytes")).to_pylist()
        for name in FRAMES
    }
    return hashlib.sha256(json.dumps({**told.to_dict(), **sizes}).encode()).hexdigest()


def read_rows(
    folder: Folder, name: str, columns: Sequence[str] | None = None
) -> Iterator[dict[str, Any]]:
    """The rows of a shard, frames still encoded, a row group at a time.

    Arguments:
        columns: only these.
    Raises:
        UserError: it cannot be read, or lacks a column.
    """
    import pyarrow.parquet as pq
    from pyarrow import ArrowException

    with folder.open(name) as file:
        try:
            table = pq.ParquetFile(file)
            for column in columns or ():
                if column not in table.schema_arrow.names:
                    raise _damaged(folder, name, f"it has no {column}")
            batches = table.iter_batches(ROW_GROUP, columns=columns)
            while (batch := next(batches, None)) is not None:
                yield from batch.to_pylist()
        except (OSError, ValueError, ArrowException) as error:
            raise _damaged(folder, name, first_line(error)) from None


def _damaged(folder: Folder, name: str, why: str) -> UserError:
    return UserError(
        f"{folder.link(name)}: damaged, or no shard of action pairs ({why}); build it again"
    )
