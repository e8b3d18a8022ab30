"""Runs the command line in a process of its own."""

import subprocess
import sys
from pathlib import Path

EGOFRAME = [sys.executable, "-c", "from egoframe.cli import main; main()"]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*EGOFRAME, *map(str, arguments)], capture_output=True, text=True)


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of a command that was refused."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]
