"""What Prometheus is told."""

from __future__ import annotations

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """Counters of one server."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "egoframe_requests", "Answered, by route and status.",
            ["method", "route", "status"], registry=self.registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "egoframe_request_seconds", "Until the first byte of the answer.",
            ["route"], buckets=SECONDS, registry=self.registry,
        )  # fmt: skip
        self.refused = Counter(
            "egoframe_refused", "Jobs for which there was no room.", registry=self.registry
        )
        self.drawing = Histogram(
            "egoframe_drawing_seconds", "Of the model, for a batch.",
            ["kind"], buckets=SECONDS, registry=self.registry,
        )  # fmt: skip
        self.batch = Histogram(
            "egoframe_batch_size", "Jobs done together.",
            buckets=(1, 2, 4, 8, 16, 32), registry=self.registry,
        )  # fmt: skip
        self.waiting = Gauge("egoframe_jobs_waiting", "In the queue.", registry=self.registry)
        self.running = Gauge("egoframe_jobs_running", "Worked on now.", registry=self.registry)

    def follow(self, waiting: Callable[[], int], running: Callable[[], int]) -> None:
        """Where to ask how many jobs wait and run."""
        self.waiting.set_function(waiting)
        self.running.set_function(running)

    def drew(self, kind: str, count: int, seconds: float) -> None:
        """A batch was worked on."""
        self.drawing.labels(kind).observe(seconds)
        self.batch.observe(count)

    def page(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self.registry)


class Measured:
    """ASGI middleware that counts answers."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "page")
                self.metrics.requests.labels(scope["method"], route, message["status"]).inc()
                self.metrics.seconds.labels(route).observe(time.perf_counter() - started)
            await send(message)

        await self.app(scope, receive, counted)
