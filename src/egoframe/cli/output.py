"""What commands print: a JSON object for machines, or lines for people."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress


def finish(told: dict[str, Any], as_json: bool) -> None:
    """Print the result of a command on standard output."""
    if as_json:
        print(json.dumps(told, ensure_ascii=False))
        return
    for key, value in told.items():
        print(f"{key.replace('_', ' ')}: {value}")


def note(message: str) -> None:
    """Say something on standard error, out of the way of results."""
    print(message, file=sys.stderr)


def progress() -> Progress:
    """A progress bar on standard error, gone when it is done; none where that is no terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    return Progress(transient=True, console=console, disable=not console.is_terminal)


@contextmanager
def warnings_as_notes() -> Iterator[None]:
    """What the library warns of is said in one line each."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: note(str(message))
        yield
