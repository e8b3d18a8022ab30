"""What the page's tabs are made of, and how they ask for jobs."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from egoframe.apps.server.batching import Refused
from egoframe.apps.server.jobs import Job, Request
from egoframe.apps.server.service import Service
from egoframe.errors import UserError

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported
import gradio as gr

PHOTOS = Path(__file__).parent / "photos"
NO_PHOTO = "Give a photo first: drop one, take one, or click an example."
HIDDEN: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
REAR_CAMERA = {"video": {"facingMode": {"ideal": "environment"}}}


def photo_input() -> gr.Image:
    return gr.Image(
        type="pil", format="png", sources=["upload", "webcam", "clipboard"], buttons=[],
        label="Photo", height=280, elem_classes="photo",
        webcam_options=gr.WebcamOptions(mirror=False, constraints=REAR_CAMERA),
    )  # fmt: skip


def example_photos(photos: Sequence[tuple[str, str]], name: str) -> gr.Gallery:
    """Photos, and what can be asked of them, to click on."""
    return gr.Gallery(
        [(str(PHOTOS / photo), words) for photo, words in photos], interactive=False,
        label="Or click an example", columns=3, height="auto", allow_preview=False,
        buttons=[], elem_id=name, elem_classes="tiles",
    )  # fmt: skip


def seed_input() -> gr.Number:
    return gr.Number(
        0, label="Seed", precision=0, minimum=0, maximum=2**53, info="Same seed, same picture."
    )


@asynccontextmanager
async def asked(service: Service, request: Request, web: gr.Request) -> AsyncIterator[Job]:
    """A job that ends with the event that asked for it; what is wrong is shown to the user."""
    try:
        job = await service.submit(request)
    except (UserError, Refused) as error:
        raise gr.Error(sentence(str(error)), print_exception=False) from None
    async with service.attended(job, web.session_hash or ""):
        yield job


def check(job: Job) -> None:
    if job.problem is not None:
        raise gr.Error(sentence(job.problem[1]), print_exception=False)


def progress(job: Job, doing: str) -> str:
    if job.state == "queued":
        return "Waiting for others’ pictures…"
    return f"{doing}… {job.step} of {job.steps}" if job.steps else f"{doing}…"


def finished(job: Job, told: str = "Done.") -> str:
    return " ".join(f"Note: {note}." for note in job.notes) or told


def sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "…")) else ".")
