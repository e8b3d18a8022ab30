"""Drawers that take no model, and applications around them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI
from PIL import Image

from egoframe.apps.anticipation import NextAction
from egoframe.apps.server.app import create_app
from egoframe.apps.server.batching import Batcher, Stopped
from egoframe.apps.server.jobs import Frame, FrameRequest, NextRequest, Request, Update
from egoframe.apps.server.metrics import Metrics
from egoframe.apps.server.provenance import Sealer
from egoframe.apps.server.settings import Settings
from egoframe.errors import UserError
from egoframe.pairs import check_action

SEAL, SETTINGS = Sealer(None), Settings()


class FakeDrawer:
    """Draws the photo turned upside down, in three steps, as soon as `gate` is open.

    Attributes:
        batches: the actions of each batch, in order.
        stops: how many batches were left because nobody waited.
    """

    parallel = 1

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds, self.gate = seconds, threading.Event()
        self.gate.set()
        self.batches: list[list[str]] = []
        self.stops = 0

    def load(self) -> None:
        pass

    def close(self) -> None:
        pass

    def key(self, request: Request) -> Hashable:
        if not isinstance(request, FrameRequest):
            return object()
        check_action(request.action)
        return request.photo.size, request.preview

    def draw(
        self,
        requests: Sequence[Request],
        tell: Callable[[int, Update], None],
        stopped: Callable[[], bool],
    ) -> None:
        self.batches.append([getattr(r, "action", r.kind) for r in requests])
        first = requests[0]
        if isinstance(first, NextRequest):
            found = [NextAction("take mug", "take", "mug", 0.5), NextAction("x y", "x", "y", 0.25)]
            tell(0, Update(next_actions=found[: first.top]))
            for one in found[: first.top] if first.draw else ():
                tell(0, Update(frame=Frame(SEAL(first.photo, one.action), one.action)))
            return
        for step in range(1, 4):
            while not self.gate.wait(0.01):
                self._leave_if(stopped())
            time.sleep(self.seconds / 3)
            self._leave_if(stopped())
            for place, request in enumerate(requests):
                frame = None
                if not isinstance(request, FrameRequest):
                    told = getattr(request, "actions", ()) or [f"do part {k}" for k in (1, 2, 3)]
                    frame = Frame(SEAL(request.photo.rotate(90 * step), "x"), told[step - 1])
                preview = request.photo if getattr(request, "preview", False) else None
                tell(place, Update(step, 3, preview, frame))
        for place, request in enumerate(requests):
            if isinstance(request, FrameRequest):
                if "explode" in request.action:
                    raise RuntimeError("a secret of the inside")
                if "refuse" in request.action:
                    raise UserError("this cannot be drawn; say it otherwise")
                picture = request.photo.rotate(180)
                said = request.description or f"One can {request.action}."
                tell(
                    place, Update(frame=Frame(SEAL(picture, request.action), request.action, said))
                )

    def _leave_if(self, stopped: bool) -> None:
        if stopped:
            self.stops += 1
            raise Stopped


def fake_app(
    drawer: Any = None, settings: Settings = SETTINGS
) -> tuple[FastAPI, Batcher, FakeDrawer]:
    drawer, metrics = drawer or FakeDrawer(), Metrics()
    backend = Batcher(drawer, settings, metrics)
    return create_app(settings, backend, metrics), backend, drawer


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """An application on loopback: its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(
        uvicorn.Config(app, port=port, log_level="error", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.started and app.state.started.done())
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        app.state.end_streams()
        server.should_exit = True
        thread.join(20)


def wait_until(told: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not told():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.01)


def photo(color: tuple[int, int, int] = (200, 40, 40), size: tuple[int, int] = (64, 48)) -> Any:
    picture = Image.new("RGB", size, color)
    picture.paste((20, 90, 160), (0, 0, size[0], size[1] // 2))
    return picture
