"""The interface's routes under /v1.

Annotations are no strings here: FastAPI could not look up those that name a server's settings.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import (
    APIRouter,
    File,
    Form,
    Header,
    HTTPException,
    Query,
    Request,
    Response,
    UploadFile,
)
from fastapi import Path as InPath
from fastapi.responses import StreamingResponse
from pydantic import Field

from egoframe.apps.server import jobs
from egoframe.apps.server.jobs import Job
from egoframe.apps.server.problems import declared, problem
from egoframe.apps.server.schemas import JobView, view
from egoframe.apps.server.service import Service

BEAT = 15.0  # seconds after which a quiet stream says that it lives
LONGEST = 4000  # characters of a field
PNG = {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}
STREAM = {"content": {"text/event-stream": {"schema": {"type": "string"}}}}
LATER: dict[int | str, dict[str, Any]] = {
    202: {
        "model": JobView,
        "description": "Taken; `Location` tells where the job is.",
        "headers": {"Location": {"schema": {"type": "string"}}},
    }
}
POST_PROBLEMS = declared(400, 401, 403, 413, 422, 429, 500, 503, 504)

Photo = Annotated[UploadFile, File(description="A first-person photo: JPEG, PNG or WebP.")]
Words = Annotated[
    str,
    Form(min_length=1, max_length=LONGEST, description="What the person does.",
         examples=["open the microwave"]),
]  # fmt: skip
Seed = Annotated[int, Form(ge=0, lt=2**63, description="Same seed, same picture.", examples=[0])]
Wait = Annotated[
    bool, Query(description="Answer when it is done; if false, at once, with a job to follow.")
]
JobId = Annotated[str, InPath(min_length=1, max_length=64, examples=["qmJ3Jw6vYx2Hn0pE7b5TqA"])]
Guidance = Annotated[float | None, Form(ge=0, le=50, allow_inf_nan=False)]


def make_router(service: Service) -> APIRouter:
    """The routes of a service."""
    router, most = APIRouter(prefix="/v1"), service.settings

    async def answer(web: Request, job: Job, wait: bool, as_png: bool = False) -> Response:
        """The result; or where it will be."""
        if not wait:
            told = view(job).model_dump_json()
            where = {"Location": f"/v1/jobs/{job.id}"}
            return Response(told, 202, where, "application/json")
        await service.wait(job, lambda: _gone(web))
        if job.problem is not None:
            return problem(*job.problem)
        if as_png:
            named = {"Content-Disposition": 'inline; filename="action-frame.png"'}
            return Response(
                job.frames[0].png, 200, named | {"Location": f"/v1/jobs/{job.id}"}, "image/png"
            )
        return Response(view(job).model_dump_json(), 200, media_type="application/json")

    def known(name: str) -> Job:
        job = service.jobs.get(name)
        if job is None:
            raise HTTPException(404, "no such job; results are kept for a while only")
        return job

    @router.post(
        "/action-frames",
        summary="Draw what the person would see while doing the action",
        response_model=JobView,
        responses={200: {**PNG, "description": "The job; or, for `Accept: image/png`, the PNG."},
                   **LATER, **POST_PROBLEMS},
    )  # fmt: skip
    async def action_frames(
        web: Request,
        image: Photo,
        action: Words,
        description: Annotated[
            str | None,
            Form(max_length=LONGEST, description="How it is done; else the model says it.",
                 examples=["The right hand swings the door open."]),
        ] = None,
        seed: Seed = 0,
        steps: Annotated[
            int | None, Form(ge=1, le=most.steps, description="Of the sampler.", examples=[4])
        ] = None,
        text_guidance: Guidance = None,
        image_guidance: Guidance = None,
        wait: Wait = True,
        accept: Annotated[str, Header(include_in_schema=False)] = "",
    ) -> Response:  # fmt: skip
        photo = await service.open(image)
        request = jobs.FrameRequest(
            photo, action, description or None, seed, steps, text_guidance, image_guidance
        )
        return await answer(web, await service.submit(request), wait, "image/png" in accept)

    @router.post(
        "/next-actions",
        summary="What the person will do next",
        response_model=JobView,
        responses={**LATER, **POST_PROBLEMS},
    )
    async def next_actions(
        web: Request,
        image: Photo,
        top: Annotated[
            int, Form(ge=1, le=most.top, description="How many.", examples=[3])
        ] = 3,
        draw: Annotated[bool, Form(description="Draw each of them too.", examples=[False])] = False,
        seed: Seed = 0,
        wait: Wait = True,
    ) -> Response:  # fmt: skip
        request = jobs.NextRequest(await service.open(image), top, draw, seed)
        return await answer(web, await service.submit(request), wait)

    @router.post(
        "/storyboards",
        summary="A task as a row of pictures",
        response_model=JobView,
        responses={**LATER, **POST_PROBLEMS},
    )
    async def storyboards(
        web: Request,
        image: Photo,
        task: Annotated[
            str,
            Form(min_length=1, max_length=LONGEST, description="What is to be done.",
                 examples=["make a cup of tea"]),
        ],
        frames: Annotated[
            int | None,
            Form(ge=1, le=most.frames, description="How many; else the model decides.",
                 examples=[3]),
        ] = None,
        actions: Annotated[
            list[Annotated[str, Field(min_length=1, max_length=LONGEST)]],
            Form(max_length=most.frames, description="Its steps; else the model plans them.",
                 examples=[["take the kettle", "pour the water"]]),
        ] = [],  # noqa: B006, FastAPI's form
        seed: Seed = 0,
        wait: Wait = True,
    ) -> Response:  # fmt: skip
        steps = tuple(actions)
        request = jobs.StoryRequest(await service.open(image), task, frames, seed, steps)
        return await answer(web, await service.submit(request), wait)

    @router.get(
        "/jobs/{id}",
        summary="How far a job is; for `Accept: text/event-stream`, every change as an event",
        response_model=JobView,
        responses={200: {**STREAM, "description": "The job, or its changes: events named by the "
                         "state, whose data is the job, until it is over."},
                   **declared(401, 404, 422)},
    )  # fmt: skip
    async def job(
        id: JobId, accept: Annotated[str, Header(include_in_schema=False)] = ""
    ) -> Response:
        found = known(id)
        if "text/event-stream" in accept:
            return StreamingResponse(_events(found), media_type="text/event-stream")
        return Response(view(found).model_dump_json(), 200, media_type="application/json")

    @router.delete(
        "/jobs/{id}",
        summary="Stop a job, and forget its result",
        status_code=204,
        response_class=Response,
        responses=declared(401, 403, 404, 422),
    )
    async def stop(id: JobId) -> Response:
        found = known(id)
        if not found.over:
            service.backend.cancel(found)
        service.jobs.forget(found)
        return Response(status_code=204)

    @router.get(
        "/jobs/{id}/frames/{number}",
        summary="A drawn picture",
        response_class=Response,
        responses={200: {**PNG, "description": "The PNG."}, **declared(401, 404, 422)},
    )
    async def frame(id: JobId, number: Annotated[int, InPath(ge=0, le=10**6)]) -> Response:
        frames = known(id).frames
        if number >= len(frames):
            raise HTTPException(404, f"this job has {len(frames)} frames now")
        return Response(frames[number].png, media_type="image/png")

    return router


async def _gone(web: Request) -> None:
    """Until the client hangs up; its request has been read by now."""
    while (await web.receive())["type"] != "http.disconnect":
        pass


async def _events(job: Job) -> AsyncIterator[str]:
    changes = job.changes()
    upcoming: asyncio.Future[None] | None = None
    try:
        while True:
            upcoming = asyncio.ensure_future(anext(changes, None))  # type: ignore[arg-type]
            while not (await asyncio.wait([upcoming], timeout=BEAT))[0]:
                yield ": still there\n\n"
            over = job.over  # before the event is sent: the job goes on meanwhile
            yield f"event: {job.state}\ndata: {view(job).model_dump_json()}\n\n"
            if over:
                return
    finally:
        if upcoming is not None:
            upcoming.cancel()
