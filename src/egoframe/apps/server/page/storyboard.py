"""The tab that draws a task step by step."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from PIL import Image

from egoframe.apps.server.folder import PrivateFolder
from egoframe.apps.server.jobs import StoryRequest
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

TASKS = (("tea.png", "make a cup of tea"), ("workshop.png", "fix a flat tyre"))


def storyboard_tab(service: Service, folder: PrivateFolder) -> None:
    with gr.Row(elem_classes="columns"):
        with gr.Column(min_width=300):
            photo = photo_input()
            examples = example_photos(TASKS, "task-examples")
            task = gr.Textbox(
                label="Task", placeholder="make a cup of tea", max_lines=2, elem_id="task"
            )
            frames = gr.Slider(
                0, service.settings.frames, 0, step=1, label="Pictures",
                info="0 lets the model decide.",
            )  # fmt: skip
            seed = seed_input()
            draw = gr.Button("Draw the steps", variant="primary", elem_id="draw-steps")
        with gr.Column(min_width=300):
            status = gr.Markdown("A task becomes a row of pictures, one for each step.")
            board = gr.Gallery(
                label="Steps", columns=2, height="auto", buttons=["download", "fullscreen"],
                format="png", elem_id="board", interactive=False,
            )  # fmt: skip
            steps = gr.Textbox(
                label="Steps, one in a line", lines=4, max_lines=20, visible=False, elem_id="steps",
                info="Planned by the model. Change them, and draw again; the pictures before the "
                "first change stay the same.",
            )  # fmt: skip
            redraw = gr.Button("Draw again", visible=False, elem_id="redraw-steps")
    outputs = [status, board, steps, redraw]

    async def story(
        photo: Image.Image | None,
        task: str,
        frames: float,
        seed: float | None,
        web: gr.Request,
        steps: str = "",
    ) -> AsyncIterator[list[Any]]:
        if photo is None:
            raise gr.Error(NO_PHOTO, print_exception=False)
        if not task.strip():
            raise gr.Error("Say the task, such as “make a cup of tea”.", print_exception=False)
        actions = tuple(line.strip() for line in steps.splitlines() if line.strip())
        request = StoryRequest(photo, task, int(frames) or None, int(seed or 0), actions)
        shown: list[tuple[str, str]] = []
        told: list[str] = []
        async with asked(service, request, web) as job:
            async for _ in job.changes():
                new = job.frames[len(shown) :]
                for number, frame in enumerate(new, len(shown) + 1):
                    shown.append((folder.write(frame.png), f"{number}. {frame.action}"))
                    told.append(frame.action)
                pictures = list(shown) if new else gr.skip()
                yield [progress(job, "Drawing"), pictures, gr.skip(), gr.skip()]
            check(job)
        lines = gr.update(value="\n".join(told), visible=True)
        yield [finished(job), gr.skip(), lines, gr.update(visible=True)]

    async def again(
        photo: Image.Image | None, task: str, seed: float | None, steps: str, web: gr.Request
    ) -> AsyncIterator[list[Any]]:
        async for shown in story(photo, task, 0, seed, web, steps):
            yield shown

    given = [photo, task, frames, seed]
    draw.click(story, given, outputs, **HIDDEN)
    redraw.click(again, [photo, task, seed, steps], outputs, **HIDDEN)

    def choose(chosen: gr.SelectData) -> list[Any]:
        name, words = TASKS[chosen.index]
        return [Image.open(PHOTOS / name), words]

    examples.select(choose, None, [photo, task], **HIDDEN).then(story, given, outputs, **HIDDEN)
