"""`egoframe data report`: a built dataset as one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from egoframe.cli.output import finish


def report(
    dataset: Annotated[str, typer.Argument(help="A dataset of action pairs: a folder or a URL.")],
    out: Annotated[
        Path | None, typer.Option(help="A file; report.html in the dataset by default.")
    ] = None,
    pairs: Annotated[int, typer.Option(min=1, help="How many pairs to show.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Of which pairs are shown.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Show a built dataset as a page: counts, why clips were dropped, figures, and pairs.

    The page is one file that needs no network. Its pairs are drawn evenly over verbs and nouns; the
    same dataset and seed give the same file.

    Examples:

        egoframe data report pairs

        egoframe data report s3://bucket/pairs --out report.html --pairs 500
    """
    from egoframe.report.page import make_page
    from egoframe.storage import Folder

    folder = Folder(dataset)
    page = make_page(folder, pairs, seed).encode(errors="replace")
    where, name = (folder, "report.html") if out is None else (Folder(out.parent), out.name)
    where.write(name, page)
    size = len(page) if json else f"{len(page) / 1e6:.1f} MB"
    finish({"report": where.link(name), "size": size}, json)
