"""Functions for workers, which import them by name."""

import os
import signal
import time
from pathlib import Path

from egoframe.errors import UserError


def square(number: int) -> int:
    return number * number


def refuse(number: int) -> int:
    if number == 3:
        raise UserError("three: no good")
    return number


def crash_once(folder: Path) -> int:
    """Dies in the first process that tries."""
    seen = folder / "seen"
    if not seen.exists():
        seen.touch()
        os.kill(os.getpid(), signal.SIGSEGV)
    return 7


def crash_at(number: int) -> int:
    if number == 2:
        os.kill(os.getpid(), signal.SIGSEGV)
    return number


def tell_who(folder: Path) -> int:
    """Writes its process's number, and takes its time."""
    (folder / f"{os.getpid()}.pid").touch()
    time.sleep(0.3)
    return os.getpid()


def sleep_long(folder: Path) -> int:
    (folder / f"{os.getpid()}.pid").touch()
    time.sleep(60)
    return 0


def threads(name: str) -> str | None:
    return os.environ.get(name)


def killed_often(folder: Path) -> int:
    """Killed twice, then ended, then crashed, before it goes well."""
    lives = len(list(folder.iterdir()))
    (folder / str(lives)).touch()
    ends = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV)
    if lives < len(ends):
        os.kill(os.getpid(), ends[lives])
        time.sleep(5)
    return 7


class KilledAtStart:
    """A function whose first processes are killed before they can have begun a task."""

    def __init__(self, folder: Path, times: int) -> None:
        self.folder, self.times = folder, times

    def __setstate__(self, state: dict) -> None:
        self.__dict__ |= state
        lives = len(list(self.folder.iterdir()))
        (self.folder / str(lives)).touch()
        if lives < self.times:
            os.kill(os.getpid(), signal.SIGKILL)

    def __call__(self, number: int) -> int:
        return number


def ignore(_: bytes, number: int) -> int:
    return number


class Odd(Exception):
    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first}, {second}")


def odd(_: int) -> None:
    raise Odd("a", "b")
