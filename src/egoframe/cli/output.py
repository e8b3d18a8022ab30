"""What commands print: a JSON object for machines, or lines for people."""

from __future__ import annotations

import json
import sys
from typing import Any


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
