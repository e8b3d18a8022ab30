"""The tab that says what is done next."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from PIL import Image

from egoframe.apps.server.folder import PrivateFolder
from egoframe.apps.server.jobs import NextRequest
from egoframe.apps.server.page.parts import (
    HIDDEN,
    NO_PHOTO,
    PHOTOS,
    asked,
    check,
    example_photos,
    finished,
    gr,
    photo_input,
    progress,
)
from egoframe.apps.server.service import Service

TOP = 3
SCENES = (("kitchen.png", "a kitchen"), ("workshop.png", "a workshop"))


def next_tab(service: Service, folder: PrivateFolder) -> None:
    with gr.Row(elem_classes="columns"):
        with gr.Column(min_width=300):
            photo = photo_input()
            examples = example_photos(SCENES, "next-examples")
            ask = gr.Button("What happens next?", variant="primary", elem_id="ask")
        with gr.Column(min_width=300):
            status = gr.Markdown("The likeliest next actions in a photo, and a picture of each.")
            actions = gr.Label(label="Next actions", num_top_classes=TOP, elem_id="next-actions")
            pictures = gr.Gallery(
                label="Drawn", columns=3, height="auto", buttons=["download", "fullscreen"],
                format="png", elem_id="next-pictures", interactive=False, visible=False,
            )  # fmt: skip
    outputs = [status, actions, pictures]

    async def ask_next(photo: Image.Image | None, web: gr.Request) -> AsyncIterator[list[Any]]:
        if photo is None:
            raise gr.Error(NO_PHOTO, print_exception=False)
        async with asked(service, NextRequest(photo, TOP, draw=True), web) as job:
            async for _ in job.changes():
                chances = {a.action: a.probability for a in job.next_actions or ()}
                yield [progress(job, "Looking"), chances or gr.skip(), gr.skip()]
            check(job)
        shown = [(folder.write(frame.png), frame.action) for frame in job.frames]
        yield [finished(job), gr.skip(), gr.update(value=shown, visible=True)]

    ask.click(ask_next, photo, outputs, **HIDDEN)

    def choose(chosen: gr.SelectData) -> Image.Image:
        return Image.open(PHOTOS / SCENES[chosen.index][0])

    examples.select(choose, None, photo, **HIDDEN).then(ask_next, photo, outputs, **HIDDEN)
