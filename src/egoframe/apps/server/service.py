"""What the interface and the page have in common: photos in, jobs out."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from PIL import Image
from starlette.datastructures import UploadFile

from egoframe.apps.server.batching import Backend
from egoframe.apps.server.jobs import Job, Jobs, Request
from egoframe.apps.server.settings import Settings
from egoframe.apps.server.uploads import Decoder


class Service:
    """The jobs of one server and the backend that does them."""

    def __init__(self, settings: Settings, backend: Backend) -> None:
        self.settings, self.backend = settings, backend
        self.jobs, self.decoder = Jobs(settings), Decoder(settings)
        self._of_pages: defaultdict[str, set[Job]] = defaultdict(set)

    async def open(self, upload: UploadFile) -> Image.Image:
        """The photo of an upload, if there is room for a job at all.

        Raises:
            UserError: it is no photo that is taken.
            Refused: not now.
        """
        self.backend.admit()
        return await self.decoder.open(upload)

    async def submit(self, request: Request) -> Job:
        """Take a request.

        Raises:
            UserError: it cannot be worked on.
            Refused: not now.
        """
        self.backend.admit()
        self.backend.check(request)
        job = Job(request)
        await self.backend.submit(job)
        self.jobs.add(job)
        return job

    @asynccontextmanager
    async def attended(self, job: Job, page: str = "") -> AsyncIterator[Job]:
        """A job that somebody waits for: it is cancelled if they leave before its end.

        Arguments:
            page: the session of an open page, which `left` tells of.
        """
        self._of_pages[page].add(job)
        try:
            yield job
        finally:
            self._of_pages[page].discard(job)
            if not self._of_pages[page]:
                del self._of_pages[page]
            if not job.over:
                self.backend.cancel(job)
                self.jobs.forget(job)

    def left(self, page: str) -> None:
        """A page was closed: nobody waits for its jobs."""
        for job in list(self._of_pages.get(page, ())):
            self.backend.cancel(job)

    async def wait(self, job: Job, gone: Callable[[], Awaitable[None]]) -> bool:
        """Until a job is over, or `gone` returns.

        Returns:
            whether it is over.
        """
        async with self.attended(job):
            tasks = [asyncio.ensure_future(job.wait()), asyncio.ensure_future(gone())]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                return job.over
            finally:
                for task in tasks:
                    task.cancel()
