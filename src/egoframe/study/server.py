"""The study's web page: one rater, one question at a time.

Nothing that is sent names a model: pictures go by hashes, and answers by places.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Awaitable, Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field
from sqlalchemy.exc import SQLAlchemyError

from egoframe.errors import UserError, first_line
from egoframe.study.design import PICTURES, Shown, Study, assigned
from egoframe.study.store import Rater, Store

PAGE = Path(__file__).parent / "page"
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; form-action 'none'",
    "Referrer-Policy": "no-referrer",  # links are personal
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
ASKED = {
    "choice": "Which picture best shows the action, in the same place?",
    "ranking": "Which picture better shows the action, in the same place?",
    "alignment": "Does the text fit what happens from the first picture to the second?",
}
NO_LINK = "This link is not valid. Please use the link that you were sent, whole."
LONGEST = 86_400.0  # seconds over a question


class Given(BaseModel):
    """An answer: the place that was chosen, from the left; none is a tie."""

    question: str = Field(max_length=64)
    place: int | None = Field(ge=0)
    seconds: float | None = Field(default=None, ge=0, le=LONGEST)


def create_app(study: Study, folder: Path, store: Store) -> FastAPI:
    """The application.

    Arguments:
        folder: of the study, with its `pictures`.
    Raises:
        UserError: a picture is missing.
    """
    app = FastAPI(title="egoframe study", docs_url=None, redoc_url=None, openapi_url=None)
    app.mount("/page", StaticFiles(directory=PAGE))
    pictures = {
        name: folder / PICTURES / name
        for question in (*study.questions, *study.checks)
        for name in (question.photo, question.frame, *question.options.values())
        if name
    }
    missing = [path for path in pictures.values() if not path.is_file()]
    if missing:
        raise UserError(
            f"{missing[0]}: missing, with {len(missing) - 1} others; copy the study anew"
        )

    @lru_cache(maxsize=4096)
    def turns(number: int) -> dict[str, Shown]:
        return {shown.question.id: shown for shown in assigned(study, number)}

    def known(token: str) -> Rater:
        rater = store.rater(token)
        if rater is None:
            raise HTTPException(404, NO_LINK)
        return rater

    def state(number: int | None) -> dict[str, Any]:
        if number is None:
            return {"consent": study.consent}
        done, asked = store.answered(number), turns(number)
        left = [shown for name, shown in asked.items() if name not in done]
        told = {"done": len(asked) - len(left), "of": len(asked), "question": None}
        return told | {"question": _told(study, left[0])} if left else told

    @app.middleware("http")
    async def headers(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        response = await call_next(request)
        response.headers.update(HEADERS)
        return response

    @app.exception_handler(SQLAlchemyError)
    @app.exception_handler(UserError)
    def unanswered(_: Request, error: Exception) -> Response:
        """The page tries again."""
        print(f"{store.name}: {first_line(error)}", file=sys.stderr)
        return JSONResponse({"detail": "The answers cannot be kept now."}, 503)

    @app.get("/s/{token}")
    def page(token: str) -> Response:
        if store.rater(token) is None:
            return HTMLResponse(f"<!doctype html><title>study</title><p>{NO_LINK}</p>", 404)
        return FileResponse(PAGE / "study.html")

    @app.get("/api/{token}")
    def now(token: str) -> dict[str, Any]:
        return state(known(token).number)

    @app.post("/api/{token}/consent")
    def consent(token: str) -> dict[str, Any]:
        return state(store.consent(known(token)))

    @app.post("/api/{token}/answers")
    def answer(token: str, given: Given) -> dict[str, Any]:
        number = known(token).number
        if number is None:
            raise HTTPException(409, "Please read and accept the text first.")
        shown = turns(number).get(given.question)
        if shown is None:
            raise HTTPException(409, "This question is not one of yours; please reload the page.")
        if given.place is None and not study.ties:
            raise HTTPException(422, "Please choose one of the pictures.")
        if given.place is not None and given.place >= len(shown.order):
            raise HTTPException(422, f"Please choose one of the {len(shown.order)} pictures.")
        chosen = None if given.place is None else shown.order[given.place]
        store.answer(number, shown, chosen, given.seconds)
        return state(number)

    @app.get("/pictures/{name}")
    def picture(name: str) -> Response:
        if name not in pictures or not pictures[name].is_file():
            raise HTTPException(404, "No such picture.")
        return FileResponse(pictures[name])

    return app


def serve(
    app: FastAPI, host: str, port: int, ready: Callable[[str], None] = lambda url: None
) -> None:
    """Serve it until it is stopped.

    Arguments:
        port: 0 takes one that is free.
        ready: told where, once requests are taken.
    Raises:
        UserError: host and port cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        taken = socket.create_server((host, port), family=family)
    except OSError as error:
        raise UserError(
            f"{host}, port {port}: cannot be served at ({error.strerror}); choose others by --host "
            "and --port"
        ) from None
    named = f"[{host}]" if ":" in host else host
    ready(f"http://{named}:{taken.getsockname()[1]}")
    settings = uvicorn.Config(app, log_level="warning", access_log=False)  # links are personal
    uvicorn.Server(settings).run(sockets=[taken])


def _told(study: Study, shown: Shown) -> dict[str, Any]:
    question = shown.question
    told: dict[str, Any] = {
        "id": question.id,
        "asked": ASKED[study.kind],
        "photo": question.photo,
        "ties": study.ties,
    }
    if study.kind == "alignment":  # the text stands for itself
        return told | {"text": question.text, "frame": question.frame, "words": shown.order}
    pictures = [question.options[model] for model in shown.order]
    return told | {"action": question.action, "pictures": pictures}
