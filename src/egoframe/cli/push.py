"""`egoframe push`: a model onto the Hugging Face hub."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from egoframe.cli.output import finish, warnings_as_notes


def push(
    model: Annotated[str, typer.Argument(help="A model's folder or name.")],
    repo: Annotated[str, typer.Argument(metavar="REPO_ID", help="Its name there: you/model.")],
    private: Annotated[bool, typer.Option("--private", help="Nobody else may see it.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Push a model to the Hugging Face hub, with a card.

    Log in first, with `hf auth login`. The same command again sends only what is not there yet.
    Whoever may see it then draws with `--model REPO_ID`, and opens it with `egoframe.load` or with
    diffusers, as the card says. The card is the folder's README.md, or is made where there is none.

    Examples:

        egoframe push runs/generator/pipeline me/kitchen-256 --private
    """
    from huggingface_hub.utils import disable_progress_bars

    from egoframe.generator.sharing import push_model
    from egoframe.models import resolve

    if not sys.stderr.isatty():
        disable_progress_bars()
    with warnings_as_notes():
        pushed = push_model(resolve(model), repo, private=private)
    finish(asdict(pushed), json)
