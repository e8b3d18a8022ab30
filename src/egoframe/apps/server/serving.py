"""The process: listens, and stops gracefully: takes no more, finishes what it has taken, ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator

import uvicorn
from fastapi import FastAPI

from egoframe.apps.server.batching import Backend
from egoframe.errors import UserError

LINGER = 5  # seconds for answers to be read, once all jobs are over
SWITCH = 0.001  # seconds for which the thread that draws may keep Python from answering
IDLE = 65  # seconds for which a connection that says nothing is kept


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them to `serve`: a server that was asked to stop ends with status 0."""
        yield


def serve(
    app: FastAPI,
    backend: Backend,
    host: str,
    port: int,
    ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve until SIGTERM or SIGINT; a second one stops at once.

    Arguments:
        port: 0 takes one that is free.
        ready: told where, once jobs are taken.
    Raises:
        UserError: host and port cannot be had, or the backend cannot start.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        taken = socket.create_server((host, port), family=family, backlog=512)
    except OSError as error:
        raise UserError(
            f"{host}, port {port}: cannot be served at ({error.strerror}); choose others by --host "
            "and --port"
        ) from None
    named = f"[{host}]" if ":" in host else host
    url = f"http://{named}:{taken.getsockname()[1]}"
    sys.setswitchinterval(SWITCH)
    asyncio.run(_serve(app, backend, taken, lambda: ready(url)))


async def _serve(
    app: FastAPI, backend: Backend, taken: socket.socket, ready: Callable[[], None]
) -> None:
    server = _Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            ws="none",
            timeout_keep_alive=IDLE,
            timeout_graceful_shutdown=LINGER,
        )
    )
    asked = asyncio.Event()

    def stop() -> None:
        if asked.is_set():
            os._exit(1)
        asked.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    serving = loop.create_task(server.serve(sockets=[taken]))
    stopped = loop.create_task(asked.wait())
    while not (server.started or serving.done()):
        await asyncio.sleep(0.01)
    try:
        started = app.state.started
        await asyncio.wait([started, stopped, serving], return_when=asyncio.FIRST_COMPLETED)
        if started.done():
            started.result()  # raises why it could not start
            ready()
        await asyncio.wait([stopped, serving], return_when=asyncio.FIRST_COMPLETED)
    finally:
        await backend.stop()
        app.state.end_streams()
        server.should_exit = True
        await serving
