"""What readers of annotations share: files and values from outside, any of which may be wrong."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from egoframe.errors import UserError, first_line
from egoframe.sources.clip import ActionClip

FILE_NAME = re.compile(r"\w[\w.-]{0,99}", re.ASCII)  # of a video, safe on any system
MAX_DEPTH = 64  # of nested JSON

Json = TypeVar("Json", dict, list)


def text(value: Any) -> str | None:
    """Text without space around it or half characters, which no file can hold; else None."""
    if not isinstance(value, str):
        return None
    return value.encode("utf-8", "ignore").decode().strip() or None


def number(value: Any) -> float | None:
    """A finite number; else None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # an int of hundreds of digits
        return None


def mapping(value: Any) -> dict[str, Any]:
    """A JSON object; an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}


def sequence(value: Any) -> list[Any]:
    """A JSON array; an empty one in place of anything else."""
    return value if isinstance(value, list) else []


def safe_name(name: str) -> str:
    """A name that any system can give to a file, as like the one told as can be."""
    return re.sub(r"[^\w-]", "_", name, flags=re.ASCII)[:100] or "unnamed"


def unique(clips: Iterable[ActionClip]) -> Iterator[ActionClip]:
    """All clips; those whose id an earlier one has, under another id and with that flaw."""
    seen: set[str] = set()
    given: dict[str, int] = {}  # how often, at least
    for clip in clips:
        count = given.get(clip.clip_id, 0) + 1
        name = clip.clip_id if count == 1 else f"{clip.clip_id}#{count}"
        while name in seen:
            count += 1
            name = f"{clip.clip_id}#{count}"
        given[clip.clip_id] = count
        seen.add(name)
        yield clip if count == 1 else replace(clip, clip_id=name, flaw="id given twice")


def read_json(path: Path, kind: type[Json], whose: str) -> Json:
    """What a file holds; nothing if there is no such file.

    Arguments:
        whose: the file should be, for the message: "LEGO's".
    Raises:
        UserError: it cannot be read, or holds something else.
    """
    if not path.exists():
        return kind()
    try:
        told = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({first_line(error)})") from None
    if not isinstance(told, kind):
        raise UserError(f"{path}: no JSON {kind.__name__}; is this {whose} file?")
    return told


def stream_json(path: Path, prefix: str) -> Iterator[Any]:
    """The values at a place in a JSON file, one after the other: memory holds one at a time.

    Arguments:
        prefix: the place, as ijson calls it: `videos.item` for each item of the array `videos`.
    Raises:
        UserError: no such file, no JSON, or nested beyond reason; before the first value.
    """
    import ijson

    try:
        with path.open("rb") as file:
            # ijson's memory grows with the square of the depth, so that is looked at first.
            depth = 0
            for event, _ in ijson.basic_parse(file, use_float=True):
                depth += event.startswith("start_") - event.startswith("end_")
                if depth > MAX_DEPTH:
                    raise UserError(f"{path}: JSON nested more than {MAX_DEPTH} deep")
            file.seek(0)
            yield from ijson.items(file, prefix, use_float=True)
    except (ijson.JSONError, ValueError, OSError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({first_line(error)})") from None
