"""What the interface answers."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import BaseModel, Field

from egoframe.apps.server.jobs import Job, Kind, State
from egoframe.apps.server.problems import Problem, title_of

EXAMPLE_ID = "qmJ3Jw6vYx2Hn0pE7b5TqA"


class FrameView(BaseModel):
    """A drawn picture."""

    action: str = Field(examples=["open the microwave"])
    description: str | None = Field(
        description="How it is done, as the model says or was told; null in a storyboard.",
        examples=["The right hand takes the handle of the microwave and swings the door open."],
    )
    picture: str = Field(
        description="Where the PNG is.", examples=[f"/v1/jobs/{EXAMPLE_ID}/frames/0"]
    )


class NextActionView(BaseModel):
    """An action that may follow."""

    action: str = Field(examples=["open drawer"])
    verb: str = Field(examples=["open"])
    noun: str = Field(examples=["drawer"])
    probability: float = Field(ge=0, le=1, examples=[0.31])


class JobView(BaseModel):
    """A job: how far it is, and what is there of its result."""

    id: str = Field(examples=[EXAMPLE_ID])
    kind: Kind
    state: State = Field(examples=["done"])
    step: int = Field(description="Steps done: of the sampler, or frames.", examples=[4])
    steps: int = Field(description="Of them in all; 0 before it is known.", examples=[4])
    created: datetime
    url: str = Field(examples=[f"/v1/jobs/{EXAMPLE_ID}"])
    frames: list[FrameView] = Field(description="A storyboard's come one after another.")
    next_actions: list[NextActionView] = Field(description="The likeliest first.")
    notes: list[str] = Field(
        description="What makes the result doubtful.",
        examples=[["this photo is unlike the pictures that the model was trained on"]],
    )
    problem: Problem | None = Field(description="Why it failed.")


def view(job: Job) -> JobView:
    """A job as it is told."""
    told = None
    if job.problem is not None:
        status, detail = job.problem
        told = Problem(title=title_of(status), status=status, detail=detail)
    return JobView(
        id=job.id,
        kind=job.kind,
        state=job.state,
        step=job.step,
        steps=job.steps,
        created=datetime.fromtimestamp(job.created, UTC),
        url=f"/v1/jobs/{job.id}",
        frames=[
            FrameView(
                action=frame.action,
                description=frame.description,
                picture=f"/v1/jobs/{job.id}/frames/{number}",
            )
            for number, frame in enumerate(job.frames)
        ],
        next_actions=[NextActionView.model_validate(vars(a)) for a in job.next_actions or ()],
        notes=job.notes,
        problem=told,
    )
