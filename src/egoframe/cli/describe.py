"""`egoframe describe`: enriched descriptions for the pairs of a dataset."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from egoframe.cli.output import finish, note, progress
from egoframe.errors import UserError

if TYPE_CHECKING:
    from egoframe.teacher.client import Teacher
    from egoframe.teacher.settings import TeacherConfig


def describe(
    dataset: Annotated[str, typer.Argument(help="A dataset of action pairs: a folder or a URL.")],
    settings: Annotated[list[str] | None, typer.Argument(help="Such as subset=2000.")] = None,
    model: Annotated[
        str | None, typer.Option(help="A language model: a folder, a hub id, or the endpoint's.")
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="URL of an OpenAI-compatible endpoint that runs it.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="A YAML file of settings.")] = None,
    device: Annotated[
        str | None, typer.Option(help="Of a local model: cpu, cuda; the GPU where there is one.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Let a language model describe how the actions of a dataset are done.

    It is told the narration and where things are, and asked for JSON, which is checked against the
    boxes; an endpoint's key comes from OPENAI_API_KEY. Without a model, the built-in kitchen's own
    teacher describes the kitchen's datasets from what the simulator knows.

    The same command again goes on where it was; no answer is asked for, or paid, twice.

    Examples:

        egoframe describe pairs

        egoframe describe pairs subset=2000 --model Qwen/Qwen3-4B-Instruct-2507

        egoframe describe pairs --endpoint http://localhost:8000/v1 --model my-model concurrency=64

        egoframe describe pairs --endpoint https://api.openai.com/v1 --model NAME budget=5 \\

        input_price=0.2 output_price=0.8
    """
    from egoframe.config import load_config
    from egoframe.storage import Folder
    from egoframe.teacher.settings import TeacherConfig

    chosen = load_config(TeacherConfig, config, settings or [])
    folder = Folder(dataset)
    if model is None:
        if endpoint is not None:
            raise UserError("--endpoint: say with --model which of its models to ask")
        if chosen != TeacherConfig(seed=chosen.seed):
            raise UserError("all settings but seed are for a teacher; give one with --model")
        from egoframe.curation.describe import describe_from_facts

        finish({"described": describe_from_facts(folder, chosen.seed)}, json)
        return
    from egoframe.pairs import shards
    from egoframe.teacher.run import describe_pairs

    shards(folder, chosen.splits)  # before a model is opened
    teacher = _teacher(model.rstrip("/"), endpoint, chosen, device)
    with progress() as bar:
        task = bar.add_task("describing", total=None)
        told = describe_pairs(
            folder,
            teacher,
            chosen,
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    finish(asdict(told), json)
    if told.stopped_by_budget:
        note(
            f"the budget of {chosen.budget:g} allows for no other question ({told.spent:.4g} is "
            f"spent): {told.described} pairs are described, {told.left} are left; a larger budget "
            "goes on"
        )
    if told.unanswered:
        note(f"{sum(told.unanswered.values())} pairs got no answer; the same command asks again")
        raise typer.Exit(1)


def _teacher(
    model: str, endpoint: str | None, config: TeacherConfig, device: str | None
) -> Teacher:
    if endpoint is not None:
        from egoframe.teacher.client import ChatEndpoint

        if device is not None:
            raise UserError("--device is for a local model; an endpoint has its own")
        return ChatEndpoint(
            endpoint,
            model,
            temperature=config.temperature,
            max_tokens=config.max_tokens,
            retries=config.retries,
            timeout=config.timeout,
        )
    from egoframe.teacher.local import LocalModel

    return LocalModel(
        model,
        temperature=config.temperature,
        max_tokens=config.max_tokens,
        seed=config.seed,
        device=device,
    )
