"""`egoframe storyboard`: a task as pictures, step by step."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from egoframe.cli.options import Device, EnhancerBits, Model, WeightsDtype
from egoframe.cli.output import finish, note, progress
from egoframe.errors import UserError


def storyboard(
    image: Annotated[Path, typer.Argument(help="A first-person photo: JPEG, PNG or WebP.")],
    task: Annotated[str, typer.Argument(help='Such as "make a cup of tea".')],
    out: Annotated[Path, typer.Option(help="Folder of the storyboard.")] = Path("storyboard"),
    steps: Annotated[int | None, typer.Option(min=1, max=20, help="At most so many.")] = None,
    plan: Annotated[
        Path | None, typer.Option(help="A text file of actions, one in a line; else it is planned.")
    ] = None,
    redo: Annotated[int | None, typer.Option(min=1, help="Draw this step alone again.")] = None,
    action: Annotated[str | None, typer.Option(help="With --redo: what is done instead.")] = None,
    description: Annotated[str | None, typer.Option(help="With --redo: how it is done.")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of all steps; with --redo, of it.")
    ] = None,
    model: Model = "kitchen",
    device: Device = None,
    dtype: WeightsDtype = None,
    bits: EnhancerBits = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Plan a task for the scene of a photo, and draw each step from the one before.

    Writes a picture for each step, a sheet, a GIF, an MP4 and a page that prints. The same command
    again goes on where it was.

    Examples:

        egoframe storyboard examples/kitchen.png "make a cup of tea" --out tea

        egoframe storyboard photo.jpg "fix a flat tyre" --plan steps.txt --out tyre

        egoframe storyboard photo.jpg "fix a flat tyre" --out tyre --redo 3 --action "pump tyre"
    """
    if redo is None and (action is not None or description is not None):
        raise UserError("--action and --description say what to change; give the step with --redo")

    from egoframe.apps.storyboard import plan_steps, read_plan
    from egoframe.images import open_photo
    from egoframe.pairs import check_action

    if action is not None:
        check_action(action)
    words = " ".join(task.split())
    check_action(words)
    photo = open_photo(image)
    given = None if plan is None else read_plan(plan)

    import hashlib

    import torch

    from egoframe.apps.guide import Guide, Step
    from egoframe.apps.guide_files import write_files
    from egoframe.generator.familiarity import notes_on
    from egoframe.models import fingerprint, load

    pipe = load(model, device, getattr(torch, dtype) if dtype else None, bits)
    told = {
        "task": words,
        "model": model,
        "model_sha256": fingerprint(Path(pipe.name_or_path)),
        "photo_sha256": hashlib.sha256(photo.tobytes()).hexdigest(),
    }
    guide = Guide.begun(out, told)
    if guide is None:
        if redo is not None:
            raise UserError(f"--redo {redo}: {out} holds no storyboard yet")
        actions = plan_steps(pipe, photo, words, steps) if given is None else given[:steps]
        guide = Guide.create(out, told, photo, [Step(name, None, seed or 0) for name in actions])
    elif given is not None and [step.action for step in guide.steps] != given[:steps]:
        raise UserError(f"{out}: holds a storyboard of other steps; give another --out")
    if redo is not None:
        guide.change(redo, action, description, seed)
    for line in notes_on(pipe, photo, [step.action for step in guide.steps]):
        note(line)
    todo = guide.missing() if redo is None else [redo]
    with progress() as bar:
        row = bar.add_task("drawing", total=len(todo))
        for number in guide.draw(pipe, todo):
            bar.update(row, advance=1)
            note(f"{number}. {guide.steps[number - 1].action}")
    frames = [
        (step.action, step.description, open_photo(guide.frame(number)))
        for number, step in enumerate(guide.steps, 1)
    ]
    files = write_files(out, words, photo, frames)
    told_steps = [step.action for step in guide.steps]
    finish({"steps": told_steps, "files": [str(path) for path in files]}, json)
