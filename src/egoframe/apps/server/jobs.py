"""Jobs: what was asked for, how far it is, what came out; and the store that forgets them."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

from egoframe.apps.server.settings import Settings

if TYPE_CHECKING:
    from PIL import Image

    from egoframe.apps.anticipation import NextAction

Kind = Literal["action-frame", "next-actions", "storyboard"]
State = Literal["queued", "running", "done", "failed", "cancelled"]
CANCELLED = "the job was cancelled"


@dataclass(frozen=True)
class FrameRequest:
    """A photo and an action; None leaves a setting to the model."""

    kind: ClassVar[Kind] = "action-frame"

    photo: Image.Image
    action: str
    description: str | None = None
    seed: int = 0
    steps: int | None = None
    text_guidance: float | None = None
    image_guidance: float | None = None
    preview: bool = False


@dataclass(frozen=True)
class NextRequest:
    """What comes next: the `top` likeliest, and a picture of each if `draw`."""

    kind: ClassVar[Kind] = "next-actions"

    photo: Image.Image
    top: int = 3
    draw: bool = False
    seed: int = 0


@dataclass(frozen=True)
class StoryRequest:
    """A task: its `actions`, or as the model plans it, in as many frames as it takes if `frames` is
    None."""

    kind: ClassVar[Kind] = "storyboard"

    photo: Image.Image
    task: str
    frames: int | None = None
    seed: int = 0
    actions: tuple[str, ...] = ()


Request = FrameRequest | NextRequest | StoryRequest


@dataclass(frozen=True)
class Frame:
    """A drawn picture, as PNG."""

    png: bytes
    action: str
    description: str | None = None


@dataclass(frozen=True)
class Update:
    """What a worker tells of a job: how far it is, and what is there."""

    step: int = 0
    steps: int = 0
    preview: Image.Image | None = None
    frame: Frame | None = None
    next_actions: list[NextAction] | None = None
    notes: tuple[str, ...] = ()


@dataclass(eq=False)
class Job:
    """One request on its way. All but `over` is touched by the event loop's thread only.

    Arguments:
        request: until it is handed over, so that no photo is kept with what came of it.
    Attributes:
        id: 128 random bits; who knows it may see the result.
        step, steps: of the sampler, or frames of a storyboard; 0 of 0 before it is known.
        problem: status and sentence, where the job failed.
    """

    request: Request | None
    kind: Kind = field(init=False)
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    state: State = "queued"
    step: int = 0
    steps: int = 0
    preview: Image.Image | None = None
    frames: list[Frame] = field(default_factory=list)
    next_actions: list[NextAction] | None = None
    notes: list[str] = field(default_factory=list)
    problem: tuple[int, str] | None = None
    created: float = field(default_factory=time.time)
    ended: float | None = None  # on the monotonic clock
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        assert self.request is not None
        self.kind = self.request.kind

    def hand_over(self) -> Request:
        """The request, to who works on it."""
        request, self.request = self.request, None
        assert request is not None
        return request

    @property
    def over(self) -> bool:
        """Nothing more will come of it."""
        return self.state in ("done", "failed", "cancelled")

    def start(self) -> None:
        """Work begins, or begins anew."""
        self.state, self.step = "running", 0
        self.frames, self.next_actions, self.notes = [], None, []
        self._wake()

    def apply(self, update: Update) -> None:
        """Take in what a worker told, unless the job has ended."""
        if self.over:
            return
        if update.steps:
            self.step, self.steps = update.step, update.steps
        self.preview = update.preview or self.preview
        if update.frame:
            self.frames.append(update.frame)
        self.next_actions = update.next_actions or self.next_actions
        self.notes += [note for note in update.notes if note not in self.notes]
        self._wake()

    def end(self, state: State, problem: tuple[int, str] | None = None) -> None:
        """The last change; later ones are without effect."""
        if not self.over:
            self.state, self.problem, self.preview = state, problem, None
            self.ended = time.monotonic()
            self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def changes(self) -> AsyncIterator[None]:
        """Now, and after every change, the last one too; fast ones may fall together."""
        while True:
            changed, over = self._changed, self.over
            yield
            if over:
                return
            if changed is self._changed:
                await changed.wait()

    async def wait(self) -> None:
        """Until it is over."""
        async for _ in self.changes():
            pass

    @property
    def size(self) -> int:
        """Bytes of the result."""
        return sum(len(frame.png) for frame in self.frames)


class Jobs:
    """Those that are on their way, and finished ones for a while."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._jobs: dict[str, Job] = {}

    def add(self, job: Job) -> None:
        self.forget_old()
        self._jobs[job.id] = job

    def get(self, name: str) -> Job | None:
        self.forget_old()
        return self._jobs.get(name)

    def forget(self, job: Job) -> None:
        self._jobs.pop(job.id, None)

    def forget_old(self) -> None:
        """Drop what is too old, and the oldest of what is too much."""
        finished = sorted(
            (job for job in self._jobs.values() if job.ended is not None),
            key=lambda job: job.ended or 0,
            reverse=True,
        )
        oldest, room = time.monotonic() - self.settings.keep, self.settings.kept_bytes
        for place, job in enumerate(finished):
            room -= job.size
            late = job.ended is not None and job.ended < oldest
            if late or room < 0 or place >= self.settings.kept_jobs:
                self.forget(job)

    def __len__(self) -> int:
        return len(self._jobs)
