"""The work itself: a pipeline, asked for frames, next actions and storyboards."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any

from egoframe.apps.server.batching import Stopped
from egoframe.apps.server.jobs import (
    Frame,
    FrameRequest,
    NextRequest,
    Request,
    StoryRequest,
    Update,
)
from egoframe.apps.server.provenance import Sealer
from egoframe.pairs import check_action

if TYPE_CHECKING:
    from PIL import Image

    from egoframe.generator.pipeline import ActionFramePipeline


class PipelineDrawer:
    """Draws with a pipeline.

    Arguments:
        open_model: opens it, in the thread that will draw.
        seal: makes a PNG of a drawn picture and its action.
    """

    parallel = 1  # one pipeline cannot be called by two threads at once

    def __init__(self, open_model: Callable[[], ActionFramePipeline], seal: Sealer) -> None:
        self.open_model, self.seal = open_model, seal

    def load(self) -> None:
        self.pipe = self.open_model()

    def key(self, request: Request) -> Hashable:
        return batch_key(self.pipe.config, request)

    def close(self) -> None:
        """Nothing outlives this process."""

    def draw(
        self,
        requests: Sequence[Request],
        tell: Callable[[int, Update], None],
        stopped: Callable[[], bool],
    ) -> None:
        first = requests[0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # notes have them
            if isinstance(first, NextRequest):
                self._next(first, tell, stopped)
            elif isinstance(first, StoryRequest):
                self._story(first, tell, stopped)
            else:
                frames = [request for request in requests if isinstance(request, FrameRequest)]
                self._frames(frames, tell, stopped)

    def _frames(
        self,
        requests: Sequence[FrameRequest],
        tell: Callable[[int, Update], None],
        stopped: Callable[[], bool],
    ) -> None:
        first = requests[0]

        def progress(step: int, steps: int) -> None:
            if stopped():
                raise Stopped
            for place in range(len(requests)):
                tell(place, Update(step, steps))

        def preview(places: list[int], pictures: list[Image.Image]) -> None:
            for place, picture in zip(places, pictures, strict=True):
                tell(place, Update(preview=picture))

        if stopped():
            raise Stopped
        drawn = self.pipe(
            [request.photo for request in requests],
            [request.action for request in requests],
            None if first.description is None else [r.description or "" for r in requests],
            seed=[request.seed for request in requests],
            pair_ids=["0"] * len(requests),  # the noise of a photo that is drawn alone
            steps=first.steps,
            text_guidance=first.text_guidance,
            image_guidance=first.image_guidance,
            callback=progress,
            preview=preview if first.preview else None,
        )
        for place, (request, picture) in enumerate(zip(requests, drawn.images, strict=True)):
            png = self.seal(picture, " ".join(request.action.split()))
            frame = Frame(png, request.action, drawn.descriptions[place])
            tell(place, Update(frame=frame, notes=tuple(drawn.notes[place])))

    def _next(
        self,
        request: NextRequest,
        tell: Callable[[int, Update], None],
        stopped: Callable[[], bool],
    ) -> None:
        from egoframe.apps.anticipation import next_actions
        from egoframe.generator.familiarity import notes_on

        found = next_actions(self.pipe, request.photo, request.top)
        steps = len(found) if request.draw else 0
        notes = tuple(notes_on(self.pipe, request.photo))
        tell(0, Update(0, steps, next_actions=found, notes=notes))
        for step, one in enumerate(found[:steps], 1):
            if stopped():
                raise Stopped
            drawn = self.pipe(request.photo, one.action, seed=request.seed)
            frame = Frame(self.seal(drawn.images[0], one.action), one.action, drawn.descriptions[0])
            tell(0, Update(step, steps, frame=frame))

    def _story(
        self,
        request: StoryRequest,
        tell: Callable[[int, Update], None],
        stopped: Callable[[], bool],
    ) -> None:
        from egoframe.apps.storyboard import draw_steps, plan_steps
        from egoframe.generator.familiarity import notes_on

        actions = list(request.actions)[: request.frames]
        if not actions:
            actions = plan_steps(self.pipe, request.photo, request.task, request.frames)
        notes = tuple(notes_on(self.pipe, request.photo, actions))
        tell(0, Update(0, len(actions), notes=notes))
        pictures = draw_steps(self.pipe, request.photo, actions, request.seed)
        for step, (action, picture) in enumerate(zip(actions, pictures, strict=True), 1):
            if stopped():
                raise Stopped
            tell(0, Update(step, len(actions), frame=Frame(self.seal(picture, action), action)))


def batch_key(config: Any, request: Request) -> Hashable:
    """Requests of one key can be drawn together.

    Arguments:
        config: a pipeline's `sample_size`, `squeeze` and `articles`.
    Raises:
        UserError: what cannot be drawn from.
    """
    from egoframe.generator.photos import working_size

    size = working_size(request.photo, config.sample_size, config.squeeze)
    if isinstance(request, StoryRequest):
        for action in (request.task, *request.actions):
            check_action(action, config.articles)
    if not isinstance(request, FrameRequest):
        return object()  # like no other
    check_action(request.action, config.articles)
    return (size, request.description is None, request.steps, request.text_guidance,
            request.image_guidance, request.preview)  # fmt: skip
