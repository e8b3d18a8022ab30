"""Errors as problem details (RFC 9457): a status, and one sentence that names the way out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from egoframe.apps.server.batching import Refused
from egoframe.errors import UserError, printable

MEDIA = "application/problem+json"


class Problem(BaseModel):
    """What is wrong, in RFC 9457's form."""

    type: str = Field(default="about:blank", examples=["about:blank"])
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["photo.jpg: is not a JPEG, PNG or WebP picture"])


def title_of(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Client Closed Request" if status == 499 else "Error"


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The answer."""
    told = Problem(title=title_of(status), status=status, detail=detail)
    return JSONResponse(told.model_dump(), status, headers=headers, media_type=MEDIA)


DESCRIPTIONS = {
    400: "The request cannot be read.",
    401: "The token is missing or wrong.",
    403: "The request comes from a page of another site.",
    404: "No such job, or it is forgotten.",
    413: "The upload is too large.",
    422: "The photo or a field is of no use; the sentence says why.",
    429: "Too many wait; try again after `Retry-After` seconds.",
    500: "The work failed inside the server.",
    503: "The server starts or stops; try again after `Retry-After` seconds.",
    504: "The work took longer than the server allows.",
}


def declared(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For the schema: what a route may answer besides its result."""
    schema = {"$ref": "#/components/schemas/Problem"}
    told: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        example = {"type": "about:blank", "title": title_of(status), "status": status,
                   "detail": DESCRIPTIONS[status]}  # fmt: skip
        told[status] = {
            "description": DESCRIPTIONS[status],
            "content": {MEDIA: {"schema": schema, "example": example}},
        }
        if status in (429, 503):
            told[status]["headers"] = {
                "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}
            }
    return told


def _methods(paths: Mapping[str, Any], path: str) -> set[str]:
    """What the schema has for a path."""
    found: set[str] = set()
    for pattern, methods in paths.items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", pattern), path):
            found |= {method.upper() for method in methods}
    return found


def handle_problems(app: FastAPI) -> None:
    """Let every error of the application be answered so."""

    @app.exception_handler(Refused)
    def refused(_: Request, error: Refused) -> JSONResponse:
        return problem(error.status, str(error), {"Retry-After": str(error.wait)})

    @app.exception_handler(UserError)
    def bad_input(_: Request, error: UserError) -> JSONResponse:
        return problem(422, printable(str(error)))

    @app.exception_handler(RequestValidationError)
    def bad_field(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or "the request"
        return problem(422, printable(f"{where}: {first['msg']}"))

    @app.exception_handler(HTTPException)
    def other(web: Request, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers or {})
        if error.status_code == 405:  # of a path with several routes, the first alone is told
            allowed = _methods(app.openapi()["paths"], web.url.path)
            headers["Allow"] = ", ".join(sorted(allowed)) or headers.get("Allow", "")
        return problem(error.status_code, str(error.detail), headers)

    @app.exception_handler(Exception)
    def unforeseen(_: Request, error: Exception) -> JSONResponse:
        return problem(500, "something failed inside the server; try again")
