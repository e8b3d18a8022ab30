"""The application: interface, page, health and metrics, whatever does the work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Form, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import RedirectResponse

from egoframe import __version__
from egoframe.apps.server.batching import Backend, Refused
from egoframe.apps.server.folder import PrivateFolder
from egoframe.apps.server.metrics import Measured, Metrics
from egoframe.apps.server.page import mount_page
from egoframe.apps.server.problems import Problem, declared, handle_problems
from egoframe.apps.server.routes import make_router
from egoframe.apps.server.security import COOKIE, Shield, cookie_of, same, sign_in
from egoframe.apps.server.service import Service
from egoframe.apps.server.settings import Settings

SWEEP = 30.0  # seconds
ABOUT = """From one first-person photo and an action, the picture the person would see doing it.

Photos are JPEG, PNG or WebP; metadata are dropped. Errors are problem details (RFC 9457)."""


def create_app(settings: Settings, backend: Backend, metrics: Metrics) -> FastAPI:
    """The application.

    Its `state.started` is the task that starts the backend; `state.end_streams()` ends what
    browsers keep open.

    Arguments:
        backend: does the work; it is started and stopped with the application.
        metrics: what `/metrics` tells; the backend's own among them.
    """
    folder = PrivateFolder(settings)
    service = Service(settings, backend)

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        async def sweep() -> None:
            while True:
                await asyncio.sleep(SWEEP)
                service.jobs.forget_old()
                await asyncio.to_thread(folder.sweep)

        app.state.started = asyncio.create_task(backend.start())
        sweeping = asyncio.create_task(sweep())
        try:
            yield
        finally:
            await backend.stop()
            app.state.started.cancel()
            sweeping.cancel()
            folder.remove()

    app = FastAPI(
        title="egoframe", version=__version__, description=ABOUT, lifespan=running,
        docs_url=None, redoc_url=None,  # they would fetch scripts from elsewhere
    )  # fmt: skip
    handle_problems(app)
    app.include_router(make_router(service))
    _add_health(app, backend, metrics)
    _add_sign_in(app, settings)
    app.state.end_streams = mount_page(app, service, folder)
    app.openapi = lambda: _schema(app)  # type: ignore[method-assign]

    app.add_middleware(Measured, metrics=metrics)
    app.add_middleware(Shield, settings=settings)
    return app


def _add_health(app: FastAPI, backend: Backend, metrics: Metrics) -> None:
    @app.get("/healthz", summary="Whether the process answers", tags=["health"])
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get(
        "/readyz",
        summary="Whether jobs are taken",
        tags=["health"],
        responses=declared(503),
    )
    async def readyz() -> dict[str, str]:
        if not backend.ready:
            raise Refused(503, "the server takes no jobs now; try again in a while", 10)
        return {"status": "ready"}

    @app.get(
        "/metrics",
        summary="Counters, for Prometheus",
        tags=["health"],
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}},
                         "description": "In Prometheus' text format."}, **declared(401)},
    )  # fmt: skip
    async def told() -> Response:
        return Response(metrics.page(), headers={"Content-Type": metrics.content_type})


def _add_sign_in(app: FastAPI, settings: Settings) -> None:
    @app.post("/sign-in", include_in_schema=False)
    async def enter(web: Request, token: Annotated[str, Form(max_length=1000)] = "") -> Response:
        if settings.token is None:
            return RedirectResponse("/", 303)
        if not same(token, settings.token):
            return sign_in("This is not the token.", 403)  # type: ignore[no-any-return]
        answer = RedirectResponse("/", 303)
        secure = web.url.scheme == "https"
        answer.set_cookie(
            COOKIE, cookie_of(settings.token), httponly=True, samesite="strict", secure=secure
        )
        return answer


def _schema(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI schema, with the problem's and the token's."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        parts = schema.setdefault("components", {})
        parts.setdefault("schemas", {})["Problem"] = Problem.model_json_schema()
        parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        schema["security"] = [{}, {"token": []}]
        app.openapi_schema = schema
    return app.openapi_schema
