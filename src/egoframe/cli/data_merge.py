"""`egoframe data merge`: several datasets as one."""

from __future__ import annotations

from typing import Annotated

import typer

from egoframe.cli.output import finish


def merge(
    out: Annotated[str, typer.Argument(help="Where to write the dataset: an empty folder.")],
    datasets: Annotated[list[str], typer.Argument(help="Built datasets, two or more.")],
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Merge built datasets, descriptions included, to train on all of them.

    Example:

        egoframe data merge both kitchen-pairs workshop-pairs
    """
    from egoframe.curation.merge import merge_datasets
    from egoframe.storage import Folder

    told = merge_datasets(Folder(out), [Folder(name) for name in datasets])
    finish({"dataset": out, "kept": told.kept, "rejected": told.rejected}, json)
