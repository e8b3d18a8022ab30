"""Jobs wait in one bounded queue; those that can be drawn together are."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from egoframe.apps.server.jobs import CANCELLED, Job, Request, Update
from egoframe.apps.server.metrics import Metrics
from egoframe.apps.server.settings import Settings
from egoframe.errors import UserError, printable

log = logging.getLogger(__name__)
NICE = 5  # of the thread that draws
FIRST_GUESS = 0.5  # seconds for a job, before any was measured
CRASHED = "the work failed inside the server; try again, and tell its keeper if it fails again"


class Refused(Exception):
    """No job is taken now.

    Attributes:
        status: 429 where there are too many, 503 where the server starts or stops.
        wait: seconds after which it may be tried again.
    """

    def __init__(self, status: int, message: str, wait: int) -> None:
        super().__init__(message)
        self.status, self.wait = status, wait


class Backend(Protocol):
    """Where the work runs."""

    ready: bool

    async def start(self) -> None:
        """Get ready to work."""

    def admit(self) -> None:
        """Raise `Refused` where no job is taken now."""

    def check(self, request: Request) -> None:
        """Raise `UserError` for what cannot be worked on."""

    async def submit(self, job: Job) -> None:
        """Take a job, which then changes until it is over; raise `Refused` if it cannot be."""

    def cancel(self, job: Job) -> None:
        """End a job that nobody waits for any more."""

    async def stop(self) -> None:
        """Take no more, finish what was taken, and end."""


class Stopped(Exception):
    """Raised by a drawer on the way, where nobody waits for the result."""


class Drawer(Protocol):
    """Does the work, in threads of its own.

    Attributes:
        parallel: batches that it works on at once, each called for by a thread.
    """

    parallel: int

    def load(self) -> None:
        """Open the model."""

    def key(self, request: Request) -> Hashable:
        """Requests of one key can be drawn together; raises `UserError` for what cannot be."""

    def draw(
        self,
        requests: Sequence[Request],
        tell: Callable[[int, Update], None],
        stopped: Callable[[], bool],
    ) -> None:
        """Work on requests of one key.

        Arguments:
            tell: called with (place of the request, what there is to tell).
            stopped: whether nobody waits any more; then raise `Stopped`.
        """

    def close(self) -> None:
        """Nothing is drawn any more."""


@dataclass(frozen=True, eq=False)
class _Entry:
    key: Hashable
    request: Request
    job: Job


def _give_way() -> None:
    """Let the thread that answers requests go before this one."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


class Batcher:
    """A backend in this process: one queue, and a thread for each batch that is drawn at once.

    Arguments:
        drawer: does the work.
    """

    def __init__(self, drawer: Drawer, settings: Settings, metrics: Metrics) -> None:
        self.drawer, self.settings, self.metrics = drawer, settings, metrics
        self.ready = False
        self._stopping = False
        self._waiting: deque[_Entry] = deque()
        self._arrived = asyncio.Event()
        self._threads = ThreadPoolExecutor(drawer.parallel, "drawer", _give_way)
        self._task: asyncio.Task[None] | None = None
        self._running: set[Job] = set()
        self._seconds = FIRST_GUESS  # that a job takes of the thread's time, smoothed
        metrics.follow(lambda: len(self._waiting), lambda: len(self._running))

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._threads, self.drawer.load)
        self._task = loop.create_task(self._work())
        self.ready = True

    def admit(self) -> None:
        if self._stopping or not self.ready:
            what = "stopping" if self._stopping else "starting"
            raise Refused(503, f"the server is {what}; try again in a while", 10)
        if len(self._waiting) >= self.settings.waiting:
            self.metrics.refused.inc()
            wait = max(1, math.ceil(self._seconds * len(self._waiting)))
            raise Refused(429, f"too many requests are waiting; try again in about {wait} s", wait)

    def check(self, request: Request) -> None:
        self.drawer.key(request)

    async def submit(self, job: Job) -> None:
        self.admit()
        request = job.hand_over()
        self._waiting.append(_Entry(self.drawer.key(request), request, job))
        self._arrived.set()
        asyncio.get_running_loop().call_later(self.settings.limit, self._expire, job)

    def cancel(self, job: Job) -> None:
        job.end("cancelled", (499, CANCELLED))
        self._tidy()

    async def stop(self) -> None:
        self._stopping = True
        self.ready = False
        if self._task is not None:
            self._arrived.set()
            done, _ = await asyncio.wait([self._task], timeout=self.settings.grace)
            for job in (*self._running, *(entry.job for entry in self._waiting)):
                job.end("failed", (503, "the server was stopped before this was done"))
            if not done:
                self._task.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._task is not None:
            await asyncio.to_thread(self.drawer.close)

    def _expire(self, job: Job) -> None:
        if not job.over:
            limit = f"{self.settings.limit:g}"
            job.end("failed", (504, f"this took longer than {limit} s; try again with fewer steps"))
            self._tidy()

    def _tidy(self) -> None:
        self._waiting = deque(entry for entry in self._waiting if not entry.job.over)

    async def _work(self) -> None:
        free = asyncio.Semaphore(self.drawer.parallel)
        async with asyncio.TaskGroup() as batches:
            while True:
                await free.acquire()
                while not self._waiting:
                    if self._stopping:
                        return
                    self._arrived.clear()
                    await self._arrived.wait()
                if len(self._waiting) < self.settings.batch:
                    await asyncio.sleep(self.settings.gather)
                batch = batches.create_task(self._run(self._take()))
                batch.add_done_callback(lambda _: free.release())

    def _take(self) -> list[_Entry]:
        """The first in the queue, and others of its key in their order."""
        if not self._waiting:  # all were cancelled meanwhile
            return []
        key = self._waiting[0].key
        taken = [entry for entry in self._waiting if entry.key == key][: self.settings.batch]
        self._waiting = deque(entry for entry in self._waiting if entry not in taken)
        return taken

    async def _run(self, entries: Sequence[_Entry]) -> None:
        """Draw them together; where that fails, each alone, so that one cannot harm the others."""
        if not entries:
            return
        jobs = [entry.job for entry in entries]
        loop = asyncio.get_running_loop()
        for job in jobs:
            job.start()
        self._running.update(jobs)

        def tell(place: int, update: Update) -> None:
            loop.call_soon_threadsafe(jobs[place].apply, update)

        def stopped() -> bool:
            return all(job.over for job in jobs)

        started = time.perf_counter()
        requests = [entry.request for entry in entries]
        try:
            await loop.run_in_executor(self._threads, self.drawer.draw, requests, tell, stopped)
        except Stopped:
            return
        except Exception as error:
            left = [entry for entry in entries if not entry.job.over]
            if len(jobs) > 1:
                for entry in left:
                    await self._run([entry])
                return
            for job in (entry.job for entry in left):
                if isinstance(error, UserError):
                    job.end("failed", (422, printable(str(error))))
                else:
                    log.error("a job failed", exc_info=error)
                    job.end("failed", (500, CRASHED))
        finally:
            self._running.difference_update(jobs)
        seconds = time.perf_counter() - started
        self._seconds += 0.2 * (seconds / len(jobs) - self._seconds)
        self.metrics.drew(jobs[0].kind, len(jobs), seconds)
        for job in jobs:
            job.end("done")
