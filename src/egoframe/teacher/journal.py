"""The journal of a teacher's answers: written as they come, so that none is paid for twice."""

from __future__ import annotations

import json
import uuid
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from egoframe.errors import UserError
from egoframe.storage import Folder
from egoframe.teacher.answer import Checked

NAME = "descriptions.jsonl"  # in a local dataset
CHUNK = "descriptions-{:06d}-{}.jsonl"  # elsewhere: nothing can be appended to an object in a store
CHUNK_LINES = 20
KINDS = {"pair_id": str, "model": str, "prompt": str, "attempt": int, "answer": str,
         "description": str | None, "problem": str | None, "input_tokens": int,
         "output_tokens": int, "estimated": bool}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """An answer: a line of the journal."""

    pair_id: str
    model: str
    prompt: str  # fingerprint of the question
    attempt: int  # 1, or 2 for the answer to being asked once more
    answer: str  # as it came, where it was not good
    description: str | None
    flags: list[str]
    problem: str | None
    input_tokens: int
    output_tokens: int
    estimated: bool  # the tokens: the endpoint did not tell them

    @property
    def checked(self) -> Checked:
        return Checked(self.description, self.flags, self.problem)


class Journal:
    """What one model answered about a dataset.

    An answer counts for a question in the same words to the same model. Lines of other models, and
    of other prompts, stay in the file and count for nothing; but all that a model wrote was paid.

    Attributes:
        input_tokens, output_tokens: of every answer of this model.
    Raises:
        UserError: the journal cannot be read or written.
    """

    _file: IO[bytes] | None = None

    def __init__(self, folder: Folder, model: str) -> None:
        self.folder = folder
        self._run = uuid.uuid4().hex[:8]
        if folder.local:
            self._lock()
        self.input_tokens = self.output_tokens = 0
        self._entries: dict[tuple[str, str], dict[int, Entry]] = defaultdict(dict)
        self._waiting: list[str] = []
        names = folder.names("descriptions*.jsonl")
        self._chunks = len(names)
        self._torn = False  # the last line has no end
        for name in names:
            text = folder.read(name)
            self._torn |= name == NAME and text[-1:] not in (b"", b"\n")
            for line in text.split(b"\n"):
                entry = _read(line)  # None: torn when its process was killed
                if entry is not None and entry.model == model:
                    self._take(entry)

    def attempts(self, pair_id: str, prompt: str) -> list[Entry]:
        """The answers to a question so far."""
        found = self._entries.get((pair_id, prompt), {})
        return [found[number] for number in sorted(found)]

    def add(self, entry: Entry) -> None:
        """Write an answer down: at once in a local dataset, else twenty together."""
        self._take(entry)
        line = json.dumps(asdict(entry))
        if self.folder.local:
            self._append(line)
            return
        self._waiting.append(line)
        if len(self._waiting) >= CHUNK_LINES:
            self._flush()

    def close(self) -> None:
        """Write what still waits."""
        if self._waiting:
            self._flush()
        if self._file is not None:
            self._file.close()

    def _take(self, entry: Entry) -> None:
        self._entries[entry.pair_id, entry.prompt][entry.attempt] = entry
        self.input_tokens += entry.input_tokens
        self.output_tokens += entry.output_tokens

    def _append(self, line: str) -> None:
        assert self._file is not None
        try:
            self._file.write(f"{chr(10) if self._torn else ''}{line}\n".encode())
            self._torn = False
        except OSError as error:
            raise self._unwritable(error) from None

    def _lock(self) -> None:
        """Keep others from describing the same dataset meanwhile, where the system can."""
        try:
            self._file = Path(self.folder.path(NAME)).open("ab", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise self._unwritable(error) from None
        try:
            import fcntl

            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:
            return
        except BlockingIOError:
            raise UserError(
                f"{self.folder}: is being described by another command; wait for it"
            ) from None

    def _unwritable(self, error: OSError) -> UserError:
        return UserError(
            f"{self.folder.path(NAME)}: cannot be written ({error.strerror}); what was answered is "
            "kept, the same command goes on"
        )

    def _flush(self) -> None:
        text = "".join(f"{line}\n" for line in self._waiting)
        self.folder.write(CHUNK.format(self._chunks, self._run), text)
        self._chunks += 1
        self._waiting = []


def _read(line: bytes) -> Entry | None:
    try:
        told = json.loads(line)
        flags = told["flags"]
        whole = all(isinstance(told[key], kind) for key, kind in KINDS.items())
        if whole and isinstance(flags, list) and all(isinstance(flag, str) for flag in flags):
            return Entry(**told)
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return None
