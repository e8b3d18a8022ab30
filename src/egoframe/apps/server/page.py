"""The page: drop or take a photo, say an action, watch the picture form. Gradio, at `/`.

Events that change a picture more than once skip it in between, and pause: Gradio sends what differs
from the last value, its parts do not notice a list that grew, and of changes at once one counts.

Nothing of it comes from elsewhere, and `doors.py` decides what of Gradio can be reached.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from PIL import Image

from egoframe.apps.server.batching import Refused
from egoframe.apps.server.doors import Doors
from egoframe.apps.server.folder import PrivateFolder
from egoframe.apps.server.jobs import Frame, FrameRequest, Job, NextRequest, Request, StoryRequest
from egoframe.apps.server.service import Service
from egoframe.errors import UserError
from egoframe.images import generated, png_bytes

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported
import gradio as gr

PHOTOS = Path(__file__).parent / "photos"
STYLE = Path(__file__).with_name("page.css")
EXAMPLES = (
    ("kitchen.png", "open the microwave"),
    ("hob.png", "take the pan"),
    ("glass.png", "take the glass"),
)
ACTIONS = (
    "open the microwave", "close the microwave", "open the drawer", "close the drawer",
    "open the cupboard", "open the oven", "turn on the tap", "turn off the tap", "turn on the hob",
    "take the mug", "take the glass", "take the pan", "take the plate", "put down the mug",
    "cut the bread", "cut the tomato", "pour the water", "stir the pot", "wash the plate",
    "wipe the counter",
)  # fmt: skip
INTRODUCTION = """# egoframe
A photo of what you see, and something you could do: here is what you would see while doing it."""
NO_PHOTO = "Give a photo first: drop one, take one, or click an example."
PAUSE = 0.2  # seconds between two changes of a page
HISTORY = 24  # pictures of a session

Shown = tuple[str, str, str, str]  # paths of photo and picture, action, description


def mount_page(app: FastAPI, service: Service, folder: PrivateFolder) -> Callable[[], None]:
    """Put the page behind all routes of an application.

    Arguments:
        folder: for all pictures that browsers are shown.
    Returns:
        what ends the streams that open pages hold.
    """
    os.environ["GRADIO_TEMP_DIR"] = str(folder.path)
    page = build_page(service, folder)
    gr.mount_gradio_app(
        app, page, path="/", footer_links=[], run_history=False, ssr_mode=False, pwa=False,
        mcp_server=False, enable_monitoring=False, show_error=True, css_paths=[STYLE],
        theme=_theme(), max_file_size=service.settings.photo.bytes,
    )  # fmt: skip
    mounted: Any = app.router.routes.pop()
    app.router.default = Doors(mounted.app, service, folder)  # a wrong method stays a wrong method
    folder.keep_what_is_there()
    return mounted.app.stop_event.set  # type: ignore[no-any-return]


def build_page(service: Service, folder: PrivateFolder) -> gr.Blocks:
    """The page of a service."""
    with gr.Blocks(title="egoframe", analytics_enabled=False, fill_width=True) as page:
        gr.Markdown(INTRODUCTION, elem_id="introduction")
        with gr.Tabs():
            with gr.Tab("Draw", id="draw"):
                _draw_tab(service, folder)
            with gr.Tab("Storyboard", id="storyboard", render_children=True):
                _storyboard_tab(service, folder)
            with gr.Tab("What next?", id="next", render_children=True):
                _next_tab(service)
    page.queue(default_concurrency_limit=None, api_open=False, status_update_rate=1)
    return page


def _theme() -> gr.themes.Base:
    fonts = ["system-ui", "sans-serif"]
    return gr.themes.Default(
        primary_hue="teal", neutral_hue="slate", font=fonts, font_mono=["ui-monospace", "monospace"]
    )


def _photo_input() -> gr.Image:
    return gr.Image(
        type="pil", format="png", sources=["upload", "webcam", "clipboard"], buttons=[],
        label="Photo", height=280, elem_classes="photo",
        webcam_options=gr.WebcamOptions(mirror=False, constraints=REAR_CAMERA),
    )  # fmt: skip


REAR_CAMERA = {"video": {"facingMode": {"ideal": "environment"}}}


def _seed_input() -> gr.Number:
    return gr.Number(
        0, label="Seed", precision=0, minimum=0, maximum=2**53, info="Same seed, same picture."
    )


def _draw_tab(service: Service, folder: PrivateFolder) -> None:
    with gr.Row(elem_classes="columns"):
        with gr.Column(min_width=300):
            photo = _photo_input()
            examples = gr.Gallery(
                [(str(PHOTOS / name), words) for name, words in EXAMPLES], interactive=False,
                label="Or click an example", columns=3, height="auto", allow_preview=False,
                buttons=[], elem_id="examples", elem_classes="tiles",
            )  # fmt: skip
            action = gr.Dropdown(
                ACTIONS, value="open the microwave", allow_custom_value=True, label="Action",
                info="Choose one, or type your own.", elem_id="action",
            )  # fmt: skip
            with gr.Row(elem_classes="buttons"):
                draw = gr.Button("Draw", variant="primary", elem_id="draw")
                stop = gr.Button("Stop", visible=False, elem_id="stop")
            with gr.Accordion("Settings", open=False):
                seed = _seed_input()
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
        async with _asked(service, request, web) as job:
            before = ""
            async for _ in job.changes():
                changes = [gr.skip() for _ in outputs]
                changes[1] = _progress(job, "Drawing")
                changes[5:7] = [gr.update(interactive=False), gr.update(visible=True)]
                if job.preview is not None:
                    before = before or folder.write(png_bytes(_like(photo, job.preview), {}))
                    forming = folder.write(png_bytes(job.preview, generated(request.action)))
                    changes[0] = (before, forming)
                yield changes
                await asyncio.sleep(PAUSE)
                yield [gr.skip() for _ in outputs]
                await asyncio.sleep(PAUSE)
            _check(job)
            frame = job.frames[0]
            before, after = _kept(folder, photo, frame)
        said = frame.description or ""
        kept = [(before, after, frame.action, said), *drawn][:HISTORY]
        yield [
            (before, after), _finished(job), gr.update(value=said, visible=True),
            gr.update(visible=True), gr.update(value=after, visible=True),
            gr.update(interactive=True), gr.update(visible=False), kept,
        ]  # fmt: skip

    given = [photo, action, seed, steps, drawn]
    hidden: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    shown_there: dict[str, Any] = {**hidden, "scroll_to_output": True}
    drawings: Any = [
        draw.click(first, given, outputs, **shown_there),
        redraw.click(again, [*given, description], outputs, **shown_there),
    ]
    for drawing in drawings:
        drawing.failure(_ready_again, None, [status, draw, stop], **hidden)
    stop.click(_ready_again, None, [status, draw, stop], cancels=drawings, **hidden)

    def choose(chosen: gr.SelectData) -> list[Any]:
        name, words = EXAMPLES[chosen.index]
        return [Image.open(PHOTOS / name), words]

    examples.select(choose, None, [photo, action], **hidden).then(
        first, given, outputs, **shown_there
    )
    _gallery(drawn, slider, status, description, download, hidden)


def _gallery(
    drawn: gr.State,
    slider: gr.ImageSlider,
    status: gr.Markdown,
    description: gr.Textbox,
    download: gr.DownloadButton,
    hidden: dict[str, Any],
) -> None:
    """What this session drew; a click shows it again."""
    gallery = gr.Gallery(
        label="Drawn in this session", columns=6, height="auto", allow_preview=False,
        visible=False, buttons=[], format="png", elem_id="gallery", interactive=False,
        elem_classes="tiles",
    )  # fmt: skip
    drawn.change(
        lambda drawn: gr.update(value=[shown[1:3] for shown in drawn], visible=bool(drawn)),
        drawn, gallery, **hidden,
    )  # fmt: skip

    def show(drawn: list[Shown], chosen: gr.SelectData) -> list[Any]:
        before, after, action, said = drawn[chosen.index]
        return [(before, after), f"“{action}”", said, after]

    gallery.select(show, drawn, [slider, status, description, download], **hidden)


def _storyboard_tab(service: Service, folder: PrivateFolder) -> None:
    with gr.Row(elem_classes="columns"):
        with gr.Column(min_width=300):
            photo = _photo_input()
            task = gr.Textbox(
                label="Task", placeholder="heat up the soup", max_lines=2, elem_id="task"
            )
            frames = gr.Slider(
                0, service.settings.frames, 0, step=1, label="Pictures",
                info="0 lets the model decide.",
            )  # fmt: skip
            seed = _seed_input()
            draw = gr.Button("Draw the steps", variant="primary", elem_id="draw-steps")
        with gr.Column(min_width=300):
            status = gr.Markdown("A task becomes a row of pictures, one for each step.")
            board = gr.Gallery(
                label="Steps", columns=2, height="auto", buttons=["download", "fullscreen"],
                format="png", elem_id="board", interactive=False,
            )  # fmt: skip

    async def story(
        photo: Image.Image | None,
        task: str,
        frames: float,
        seed: float | None,
        web: gr.Request,
    ) -> AsyncIterator[list[Any]]:
        if photo is None:
            raise gr.Error(NO_PHOTO, print_exception=False)
        if not task.strip():
            raise gr.Error("Say the task, such as “heat up the soup”.", print_exception=False)
        request = StoryRequest(photo, task, int(frames) or None, int(seed or 0))
        shown: list[tuple[str, str]] = []
        async with _asked(service, request, web) as job:
            async for _ in job.changes():
                new = job.frames[len(shown) :]
                for number, frame in enumerate(new, len(shown) + 1):
                    shown.append((folder.write(frame.png), f"{number}. {frame.action}"))
                yield [_progress(job, "Drawing"), list(shown) if new else gr.skip()]
            _check(job)
        yield [_finished(job), gr.skip()]

    draw.click(
        story, [photo, task, frames, seed], [status, board], show_progress="hidden",
        api_visibility="private",
    )  # fmt: skip


def _next_tab(service: Service) -> None:
    with gr.Row(elem_classes="columns"):
        with gr.Column(min_width=300):
            photo = _photo_input()
            ask = gr.Button("What happens next?", variant="primary", elem_id="ask")
        with gr.Column(min_width=300):
            status = gr.Markdown("The likeliest next actions in a photo.")
            actions = gr.Label(label="Next actions", num_top_classes=5, elem_id="next-actions")

    async def ask_next(photo: Image.Image | None, web: gr.Request) -> AsyncIterator[list[Any]]:
        if photo is None:
            raise gr.Error(NO_PHOTO, print_exception=False)
        async with _asked(service, NextRequest(photo, 5), web) as job:
            async for _ in job.changes():
                yield [_progress(job, "Looking"), gr.skip()]
            _check(job)
        yield [_finished(job), {a.action: a.probability for a in job.next_actions or ()}]

    ask.click(ask_next, photo, [status, actions], show_progress="hidden", api_visibility="private")


@asynccontextmanager
async def _asked(service: Service, request: Request, web: gr.Request) -> AsyncIterator[Job]:
    """A job that ends with the event that asked for it; what is wrong is shown to the user."""
    try:
        job = await service.submit(request)
    except (UserError, Refused) as error:
        raise gr.Error(_sentence(str(error)), print_exception=False) from None
    async with service.attended(job, web.session_hash or ""):
        yield job


def _check(job: Job) -> None:
    if job.problem is not None:
        raise gr.Error(_sentence(job.problem[1]), print_exception=False)


def _progress(job: Job, doing: str) -> str:
    if job.state == "queued":
        return "Waiting for others’ pictures…"
    return f"{doing}… {job.step} of {job.steps}" if job.steps else f"{doing}…"


def _finished(job: Job) -> str:
    notes = " ".join(f"Note: {note}." for note in job.notes)
    return notes or "Done. Move the handle to compare."


def _ready_again() -> list[Any]:
    return ["Nothing was drawn.", gr.update(interactive=True), gr.update(visible=False)]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "…")) else ".")


def _like(photo: Image.Image, picture: Image.Image) -> Image.Image:
    """The photo at the size of a picture of it, to lie under it."""
    return photo.convert("RGB").resize(picture.size, Image.Resampling.BOX)


def _kept(folder: PrivateFolder, photo: Image.Image, frame: Frame) -> tuple[str, str]:
    """Paths of a photo, at the drawn picture's size, and of that picture."""
    import io

    with Image.open(io.BytesIO(frame.png)) as picture:
        before = png_bytes(_like(photo, picture), {})
    return folder.write(before), folder.write(frame.png)
