"""`egoframe describe`: enriched descriptions for the pairs of a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from egoframe.cli.output import finish


def describe(
    dataset: Annotated[Path, typer.Argument(help="A dataset of action pairs.")],
    seed: Annotated[int, typer.Option(help="Of the choice of words.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Write a description into every pair of a built-in kitchen's dataset.

    Example:

        egoframe describe pairs
    """
    from egoframe.curation.describe import describe_from_facts

    finish({"described": describe_from_facts(dataset, seed)}, json)
