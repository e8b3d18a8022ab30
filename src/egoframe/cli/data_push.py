"""`egoframe data push`: a built dataset onto the Hugging Face hub."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from egoframe.cli.output import finish, warnings_as_notes


def push(
    dataset: Annotated[str, typer.Argument(help="Folder of a dataset that was built.")],
    repo: Annotated[str, typer.Argument(metavar="REPO_ID", help="Its name there: you/pairs.")],
    private: Annotated[bool, typer.Option("--private", help="Nobody else may see it.")] = False,
    branch: Annotated[str | None, typer.Option(help="Of the repository; main by default.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Push a built dataset to the Hugging Face hub: shards, card, rejected clips and report.

    Log in first, with `hf auth login`. The same command again sends only what is not there yet.
    Whoever may see it then opens it with `datasets.load_dataset("REPO_ID")`.

    Examples:

        egoframe data push pairs me/pairs --private

        egoframe data push pairs me/pairs --branch v2
    """
    from huggingface_hub.utils import disable_progress_bars

    from egoframe.curation.push import push_dataset
    from egoframe.storage import Folder

    if not sys.stderr.isatty():
        disable_progress_bars()
    with warnings_as_notes():
        pushed = push_dataset(Folder(dataset), repo, private, branch)
    finish(asdict(pushed), json)
