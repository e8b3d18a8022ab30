"""`egoframe generate-set`: pictures for a whole split."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from egoframe.cli.options import (
    Device,
    Engine,
    EnhancerBits,
    ImageGuidance,
    Lora,
    LoraScale,
    Model,
    Pairs,
    Sampler,
    Split,
    Steps,
    TextGuidance,
    WeightsDtype,
    Workers,
)
from egoframe.cli.output import finish, progress


def generate_set(
    dataset: Annotated[str, typer.Argument(help="A dataset of action pairs: a folder or a URL.")],
    out: Annotated[Path, typer.Argument(help="Folder for the pictures.")],
    model: Model = "kitchen",
    lora: Lora = None,
    lora_scale: LoraScale = 1.0,
    split: Split = "validation",
    pairs: Pairs = None,
    words: Annotated[
        Literal["enhancer", "dataset", "label"],
        typer.Option(help="Who describes the action; label: nobody."),
    ] = "enhancer",
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same pictures.")] = 0,
    sampler: Sampler = None,
    steps: Steps = None,
    text_guidance: TextGuidance = None,
    image_guidance: ImageGuidance = None,
    protocol: Annotated[
        str, typer.Option(help="corrected, or paper: as the authors' code draws and keeps them.")
    ] = "corrected",
    engine: Engine = "processes",
    workers: Workers = None,
    device: Device = None,
    dtype: WeightsDtype = None,
    bits: EnhancerBits = None,
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
        protocol, device, dtype, bits, lora, lora_scale,
    )  # fmt: skip
    total = 0
    with progress() as bar:
        task = bar.add_task("drawing", total=None)
        for done, total in draw(config, out, engine, workers):
            bar.update(task, completed=done, total=total)
    finish({"pictures": total, "folder": str(out)}, json)
