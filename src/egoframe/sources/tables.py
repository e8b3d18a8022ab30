"""Tables of annotations: CSV, TSV, JSONL and Parquet, read row by row, whatever wrote them.

A table has a row for each annotation. Its columns are found by the names that they are known by in
several datasets; case, spaces and hyphens do not matter, nor does the order. CSV may be separated
by commas, semicolons, tabs or bars. A row that cannot be read is given with its flaw.
"""

from __future__ import annotations

import ast
import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path, PureWindowsPath
from typing import IO, Any, NamedTuple

from egoframe.errors import UserError, first_line, printable
from egoframe.sources.reading import number, text

BATCH = 10_000  # rows of a Parquet file that are read at once
MAX_LINE = 2**20  # characters
HEAD = 100  # objects of a JSONL file that are looked at for the names of its columns
DELIMITERS = ",;\t|"
MAX_NAMED = 20  # columns that a message names
DECIMAL = re.compile(r"[+-]?(?:\d{1,15}(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d{1,2})?", re.ASCII)
CLOCK = re.compile(r"(-?)(?:(\d{1,4}):)?(\d{1,4}):([0-5]?\d(?:[.,]\d+)?)", re.ASCII)
MAX_LIST = 10_000  # characters
MAX_PATH = 1000  # characters, within the folder

Names = Mapping[str, Sequence[str]]  # those that a column may have, by what it is to us


class Row(NamedTuple):
    """A row of a table."""

    line: int  # its last one in the file, counted from 1
    cells: dict[str, Any]  # by what they are to us; those of columns that the table has
    flaw: str | None = None


def read_table(path: Path, names: Names, required: Sequence[str]) -> Iterator[Row]:
    """The rows of a table, one at a time.

    Arguments:
        names: of columns; of several of one kind, the first that is not empty counts.
        required: what has to be there.
    Raises:
        UserError: no such table, another kind of file, not UTF-8, no rows, or columns are missing.
    """
    kind = path.suffix.lower()
    if kind in (".pkl", ".pickle"):
        raise UserError(
            f"{path}: a pickle can run any code, so it is not opened; if you trust it, export it: "
            f"python -c \"import pandas; pandas.read_pickle('{path}').to_json("
            "'narrations.jsonl', orient='records', lines=True)\""
        )
    if kind not in (".csv", ".tsv", ".jsonl"):
        raise UserError(f"{path}: no .csv, .tsv or .jsonl; save the table as one of these")
    empty = True
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            read = _read_jsonl if kind == ".jsonl" else _read_csv
            for row in read(path, file, names, required):
                yield row
                empty = False
    except UnicodeDecodeError:
        raise UserError(f"{path}: {_encoding(path)}; save it as UTF-8") from None
    except (OSError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read ({first_line(error)})") from None
    if empty:
        raise UserError(f"{path}: no rows; each annotated action is one")


def _read_csv(path: Path, file: IO[str], names: Names, required: Sequence[str]) -> Iterator[Row]:
    numbered = _lines(path, file)
    top, first = next((found for found in numbered if found[1].strip()), (0, ""))
    lines = (line for _, line in numbered)
    known = {name for accepted in names.values() for name in accepted}
    headers = {mark: _header(first, mark) for mark in DELIMITERS}
    mark = max(DELIMITERS, key=lambda mark: len(known.intersection(headers[mark])))
    header = headers["\t" if path.suffix.lower() == ".tsv" else mark]
    if not first:
        return
    _check_columns(path, header, names, required)
    twice = sorted(name for name in known if header.count(name) > 1)
    if twice:
        raise UserError(f"{path}: column {twice[0]} is there twice; rename one of them")
    needed = 1 + max(
        min(header.index(name) for name in names[kind] if name in header) for kind in required
    )
    reader = csv.reader(lines, delimiter=mark, skipinitialspace=True, strict=True)
    try:
        for cells in reader:
            if not any(map(str.strip, cells)):
                continue
            flaw = "row cut short" if len(cells) < needed else None
            if any(map(str.strip, cells[len(header) :])):
                flaw = "more cells than columns"
            told = dict(zip(header, cells, strict=False))
            yield Row(top + reader.line_num, _by_kind(told, names), flaw)
    except csv.Error as error:
        raise UserError(
            f"{path}: line {top + reader.line_num} cannot be read ({first_line(error)})"
        ) from None


def _header(line: str, mark: str) -> list[str]:
    cells = next(csv.reader([line], delimiter=mark, skipinitialspace=True), [])
    return [_column(cell) for cell in cells]


def _read_jsonl(path: Path, file: IO[str], names: Names, required: Sequence[str]) -> Iterator[Row]:
    rows = (_object(count, line) for count, line in _lines(path, file) if line.strip())
    head = list(islice(rows, HEAD))
    columns = list(dict.fromkeys(name for row in head for name in row.cells))
    if head and not columns:
        raise UserError(f"{path}: no JSON object in its first lines; JSONL has one a line")
    if head:
        _check_columns(path, columns, names, required)
    for row in chain(head, rows):
        yield row._replace(cells=_by_kind(row.cells, names))


def _object(count: int, line: str) -> Row:
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        return Row(count, {}, "line cannot be read")
    return Row(count, {_column(name): value for name, value in told.items()})


def _lines(path: Path, file: IO[str]) -> Iterator[tuple[int, str]]:
    """Lines with their numbers; never more of them in memory than a long one."""
    count = 0
    while line := file.readline(MAX_LINE + 1):
        count += 1
        if len(line) > MAX_LINE:
            raise UserError(f"{path}: line {count} has more than {MAX_LINE} characters")
        yield count, line


def _column(name: str) -> str:
    return re.sub(r"[\s-]+", "_", name.strip().lower())


def _check_columns(
    path: Path, columns: Sequence[str], names: Names, required: Sequence[str]
) -> None:
    missing = [kind for kind in required if not set(names[kind]).intersection(columns)]
    if missing:
        lacks = " and ".join(f"{kind} (called {', '.join(names[kind])})" for kind in missing)
        has = printable(", ".join(columns[:MAX_NAMED]))[:MAX_LIST]
        raise UserError(f"{path}: no column for {lacks}; it has {has}")


def _by_kind(told: dict[str, Any], names: Names) -> dict[str, Any]:
    cells = {}
    for kind, accepted in names.items():
        values = [told[name] for name in accepted if name in told]
        if values:
            cells[kind] = next((value for value in values if value not in (None, "")), None)
    return cells


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        wide = file.read(2) in (b"\xff\xfe", b"\xfe\xff")
    return "UTF-16, not UTF-8" if wide else "not UTF-8 but perhaps Windows-1252"


def read_parquet(
    path: Path, columns: Sequence[str], whose: str, optional: Sequence[str] = ()
) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet file: some columns, and those of the optional ones that it has.

    Arguments:
        whose: the file should be, for the message: "LeRobot's".
    Raises:
        UserError: no such file, no Parquet, or columns are missing.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if missing := [name for name in columns if name not in names]:
                raise UserError(f"{path}: no column {', '.join(missing)}; is this {whose} file?")
            wanted = [*columns, *(name for name in optional if name in names)]
            for batch in file.iter_batches(BATCH, columns=wanted):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise UserError(f"{path}: cannot be read as Parquet ({first_line(error)})") from None


def count_rows(path: Path) -> int:
    """How many rows a Parquet file has.

    Raises:
        UserError: no such file, or no Parquet.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as Parquet ({first_line(error)})") from None


def word(value: Any) -> str | None:
    """The text of a cell, also of one that holds a whole number; None if there is none."""
    return text(str(value) if type(value) is int else value)


def decimal(value: Any) -> float | None:
    """A finite number, as one or as text, with a decimal point or comma; else None."""
    if not isinstance(value, str):
        return number(value)
    found = DECIMAL.fullmatch(value.strip())
    return float(found[0].replace(",", ".")) if found else None


def seconds(value: Any) -> float | None:
    """Seconds of a time told as a number of them, or as [HH:]MM:SS[.s]; else None."""
    found = CLOCK.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        return decimal(value)
    sign, hours, minutes, rest = found.groups()
    time = 3600 * int(hours or 0) + 60 * int(minutes) + float(rest.replace(",", "."))
    return -time if sign else time


def listed(value: Any) -> list[Any]:
    """The items of a list, also of one that was written as Python writes it; else none."""
    if isinstance(value, str) and len(value) <= MAX_LIST:
        try:
            value = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return []
    return list(value) if isinstance(value, (list, tuple)) else []


def inside(name: str) -> bool:
    """Whether a path stays in the folder that it is told of, and a file can be called so, on any
    system."""
    path = PureWindowsPath(name)  # knows slashes, backslashes and drives
    fits = len(name) <= MAX_PATH and all(len(part.encode()) <= 255 for part in path.parts)
    return fits and bool(name) and not path.anchor and ".." not in path.parts and "\0" not in name
