"""`egoframe generate-set`: pictures for a whole split."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from egoframe.cli.options import Bits, Dtype
from egoframe.cli.output import finish, progress


def generate_set(
    dataset: Annotated[str, typer.Argument(help="A dataset of action pairs: a folder or a URL.")],
    out: Annotated[Path, typer.Argument(help="Folder for the pictures.")],
    model: Annotated[
        str,
        typer.Option(help="kitchen, lego-ego4d, lego-epic, lego-…-scaleup, a folder or a hub id."),
    ] = "kitchen",
    split: Annotated[Literal["train", "validation"], typer.Option(help="Which.")] = "validation",
    pairs: Annotated[
        int | None, typer.Option(min=1, help="How many, at random; all by default.")
    ] = None,
    words: Annotated[
        Literal["enhancer", "dataset", "label"],
        typer.Option(help="Who describes the action; label: nobody."),
    ] = "enhancer",
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same pictures.")] = 0,
    sampler: Annotated[
        str | None,
        typer.Option(help="scheduler, euler_ancestral, ddim, dpm++2m or unipc; else the model's."),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Of the sampler; the model's by default.")
    ] = None,
    text_guidance: Annotated[
        float | None, typer.Option(help="How strictly to follow the words.")
    ] = None,
    image_guidance: Annotated[
        float | None, typer.Option(help="How strictly to keep the photo.")
    ] = None,
    protocol: Annotated[
        str, typer.Option(help="corrected, or paper: as the authors' code draws and keeps them.")
    ] = "corrected",
    engine: Annotated[
        Literal["processes", "ray"], typer.Option(help="Where it runs.")
    ] = "processes",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes: one a core, or one on a GPU.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="Such as cpu or cuda; the GPU where there is one.")
    ] = None,
    dtype: Annotated[
        Dtype | None,
        typer.Option(help="Of the weights: float32 on a CPU, float16 on a GPU."),
    ] = None,
    bits: Annotated[
        Bits | None, typer.Option(help="Quantise the enhancer's language model.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Draw a picture for each pair of a split, for `egoframe evaluate` and `egoframe study`.

    Writes OUT/PAIR_ID.png and OUT/settings.json. The same command again goes on where it was; the
    pictures are the same however often it was stopped, and whoever drew them.

    Examples:

        egoframe generate-set pairs drawn --pairs 500

        egoframe generate-set pairs drawn-by-lego --model lego-epic --engine ray
    """
    from egoframe.generator.bulk import SetConfig
    from egoframe.generator.bulk import generate_set as draw

    config = SetConfig(
        dataset, model, split, pairs, words, seed, sampler, steps, text_guidance, image_guidance,
        protocol, device, dtype, bits,
    )  # fmt: skip
    total = 0
    with progress() as bar:
        task = bar.add_task("drawing", total=None)
        for done, total in draw(config, out, engine, workers):
            bar.update(task, completed=done, total=total)
    finish({"pictures": total, "folder": str(out)}, json)
