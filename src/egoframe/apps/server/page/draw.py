"""The tab that draws a picture, shows it forming, and draws it again.

Events that change a picture more than once skip it in between, and pause: Gradio sends what differs
from the last value, its parts do not notice a list that grew, and of changes at once one counts.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from typing import Any

from PIL import Image

from egoframe.apps.server.folder import PrivateFolder
from egoframe.apps.server.jobs import Frame, FrameRequest
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
    seed_input,
)
from egoframe.apps.server.service import Service
from egoframe.images import generated, png_bytes

EXAMPLES = (
    ("kitchen.png", "open the microwave"),
    ("hob.png", "take the pan"),
    ("workshop.png", "take the wrench"),
)
ACTIONS = (
    "open the microwave", "close the microwave", "open the drawer", "close the drawer",
    "open the cupboard", "open the oven", "turn on the tap", "turn off the tap", "turn on the hob",
    "take the mug", "take the glass", "take the pan", "take the plate", "put down the mug",
    "cut the bread", "cut the tomato", "pour the water", "stir the pot", "wash the plate",
    "wipe the counter", "take the wrench", "unscrew the nut", "remove the wheel", "pump the tyre",
)  # fmt: skip
COMPARE = "Done. Move the handle to compare."
PAUSE = 0.2  # seconds between two changes of a page
HISTORY = 24  # pictures of a session

Shown = tuple[str, str, str, str]  # paths of photo and picture, action, description


def draw_tab(service: Service, folder: PrivateFolder) -> None:
    with gr.Row(elem_classes="columns"):
        with gr.Column(min_width=300):
            photo = photo_input()
            examples = example_photos(EXAMPLES, "examples")
            action = gr.Dropdown(
                ACTIONS, value="open the microwave", allow_custom_value=True, label="Action",
                info="Choose one, or type your own.", elem_id="action",
            )  # fmt: skip
            with gr.Row(elem_classes="buttons"):
                draw = gr.Button("Draw", variant="primary", elem_id="draw")
                stop = gr.Button("Stop", visible=False, elem_id="stop")
            with gr.Accordion("Settings", open=False):
                seed = seed_input()
                steps = gr.Slider(
                    0, min(service.settings.steps, 50), 0, step=1, label="Steps",
                    info="0 takes the model's own number; more may be finer, and take longer.",
                )  # fmt: skip
        with gr.Column(min_width=300):
            slider = gr.ImageSlider(
                label="Before and after", type="filepath", format="png", interactive=False,
                elem_id="result", buttons=["fullscreen"], height=400,
            )  # fmt: skip
            status = gr.Markdown(NO_PHOTO, elem_id="status")
            description = gr.Textbox(
                label="How it is done", lines=3, elem_id="description",
                info="Written by the model. Change it, and draw again.", visible=False,
            )  # fmt: skip
            with gr.Row(elem_classes="buttons"):
                redraw = gr.Button("Draw again", visible=False, elem_id="redraw")
                download = gr.DownloadButton("Download", visible=False, elem_id="download")
    drawn = gr.State([])
    outputs = [slider, status, description, redraw, download, draw, stop, drawn]

    async def first(
        photo: Image.Image | None,
        action: str | None,
        seed: float | None,
        steps: float,
        drawn: list[Shown],
        web: gr.Request,
    ) -> AsyncIterator[list[Any]]:
        async for shown in again(photo, action, seed, steps, drawn, None, web):
            yield shown

    async def again(
        photo: Image.Image | None,
        action: str | None,
        seed: float | None,
        steps: float,
        drawn: list[Shown],
        description: str | None,
        web: gr.Request,
    ) -> AsyncIterator[list[Any]]:
        if photo is None:
            raise gr.Error(NO_PHOTO, print_exception=False)
        request = FrameRequest(
            photo, action or "", description, int(seed or 0), int(steps) or None, preview=True
        )
        async with asked(service, request, web) as job:
            before = ""
            async for _ in job.changes():
                changes = [gr.skip() for _ in outputs]
                changes[1] = progress(job, "Drawing")
                changes[5:7] = [gr.update(interactive=False), gr.update(visible=True)]
                if job.preview is not None:
                    before = before or folder.write(png_bytes(_like(photo, job.preview), {}))
                    forming = folder.write(png_bytes(job.preview, generated(request.action)))
                    changes[0] = (before, forming)
                yield changes
                await asyncio.sleep(PAUSE)
                yield [gr.skip() for _ in outputs]
                await asyncio.sleep(PAUSE)
            check(job)
            frame = job.frames[0]
            before, after = _kept(folder, photo, frame)
        said = frame.description or ""
        kept = [(before, after, frame.action, said), *drawn][:HISTORY]
        yield [
            (before, after), finished(job, COMPARE), gr.update(value=said, visible=True),
            gr.update(visible=True), gr.update(value=after, visible=True),
            gr.update(interactive=True), gr.update(visible=False), kept,
        ]  # fmt: skip

    given = [photo, action, seed, steps, drawn]
    shown_there: dict[str, Any] = {**HIDDEN, "scroll_to_output": True}
    drawings: Any = [
        draw.click(first, given, outputs, **shown_there),
        redraw.click(again, [*given, description], outputs, **shown_there),
    ]
    for drawing in drawings:
        drawing.failure(_ready_again, None, [status, draw, stop], **HIDDEN)
    stop.click(_ready_again, None, [status, draw, stop], cancels=drawings, **HIDDEN)

    def choose(chosen: gr.SelectData) -> list[Any]:
        name, words = EXAMPLES[chosen.index]
        return [Image.open(PHOTOS / name), words]

    examples.select(choose, None, [photo, action], **HIDDEN).then(
        first, given, outputs, **shown_there
    )
    _gallery(drawn, slider, status, description, download)


def _gallery(
    drawn: gr.State,
    slider: gr.ImageSlider,
    status: gr.Markdown,
    description: gr.Textbox,
    download: gr.DownloadButton,
) -> None:
    """What this session drew; a click shows it again."""
    gallery = gr.Gallery(
        label="Drawn in this session", columns=6, height="auto", allow_preview=False,
        visible=False, buttons=[], format="png", elem_id="gallery", interactive=False,
        elem_classes="tiles",
    )  # fmt: skip
    drawn.change(
        lambda drawn: gr.update(value=[shown[1:3] for shown in drawn], visible=bool(drawn)),
        drawn, gallery, **HIDDEN,
    )  # fmt: skip

    def show(drawn: list[Shown], chosen: gr.SelectData) -> list[Any]:
        before, after, action, said = drawn[chosen.index]
        return [(before, after), f"“{action}”", said, after]

    gallery.select(show, drawn, [slider, status, description, download], **HIDDEN)


def _ready_again() -> list[Any]:
    return ["Nothing was drawn.", gr.update(interactive=True), gr.update(visible=False)]


def _like(photo: Image.Image, picture: Image.Image) -> Image.Image:
    """The photo at the size of a picture of it, to lie under it."""
    return photo.convert("RGB").resize(picture.size, Image.Resampling.BOX)


def _kept(folder: PrivateFolder, photo: Image.Image, frame: Frame) -> tuple[str, str]:
    """Paths of a photo, at the drawn picture's size, and of that picture."""
    with Image.open(io.BytesIO(frame.png)) as picture:
        before = png_bytes(_like(photo, picture), {})
    return folder.write(before), folder.write(frame.png)
