"""`egoframe convert`: other people's weights → a model's folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from egoframe.cli.output import finish, progress
from egoframe.errors import UserError
from egoframe.released import CLIP

app = typer.Typer(no_args_is_help=True, help="Make models of released weights.")

Out = Annotated[Path, typer.Argument(help="Folder to write; it must not exist.")]
Clip = Annotated[str, typer.Option(help="Folder or hub id of CLIP ViT-L/14.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Enhancer = Annotated[Path, typer.Option(help="Folder of a VLLM, as convert llava makes.")]


class Weights(StrEnum):
    """Of the U-Net: their moving average, or as they were trained last."""

    ema = "ema"
    raw = "raw"


class Dtype(StrEnum):
    """Of the weights that are written."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


@app.command()
def lego(
    checkpoint: Annotated[Path, typer.Argument(help="A .ckpt of LEGO's authors.")],
    out: Out,
    enhancer: Annotated[
        Path | None, typer.Option(help="Folder of the VLLM, as convert llava makes.")
    ] = None,
    clip: Clip = CLIP,
    weights: Annotated[Weights, typer.Option(help="Of the U-Net.")] = Weights.ema,
    no_articles: Annotated[
        bool, typer.Option("--no-articles", help="It learnt from EPIC-KITCHENS' narrations.")
    ] = False,
    json: Json = False,
) -> None:
    """Convert a checkpoint of LEGO's generator. It is opened as data: no code of it is run.

    Examples:

        egoframe convert lego ego4d_diffusion_with_vllm_feature.ckpt lego-ego4d --enhancer vllm

        egoframe convert lego epickitchen_diffusion_with_vllm_feature.ckpt lego-epic --no-articles
    """
    from egoframe.convert.lego import convert_lego

    with _progress() as tell:
        convert_lego(
            checkpoint, out, _local(clip), enhancer, weights.value, not no_articles, tell=tell
        )
    finish({"model": str(out)}, json)


@app.command()
def llava(
    source: Annotated[Path, typer.Argument(help="Folder or .zip of the released LLaVA.")],
    out: Out,
    clip: Clip = CLIP,
    dtype: Annotated[Dtype | None, typer.Option(help="As released where not given.")] = None,
    json: Json = False,
) -> None:
    """Convert LEGO's tuned LLaVA-Llama-2 to a LLaVA of transformers.

    Example:

        egoframe convert llava llava-llama-2-13b-chat-forecasting-finetune vllm --dtype bfloat16
    """
    import torch

    from egoframe.convert.llava import convert_llava

    written_as = None if dtype is None else getattr(torch, dtype.value)
    with _progress() as tell:
        convert_llava(source, out, _local(clip), written_as, tell)
    finish({"model": str(out)}, json)


@app.command()
def sd(
    source: Annotated[
        str,
        typer.Argument(help="Stable Diffusion 1.5: a folder, its .ckpt, or a hub id of either."),
    ],
    out: Out,
    enhancer: Enhancer,
    clip: Clip = CLIP,
    json: Json = False,
) -> None:
    """Make the model that training starts from out of Stable Diffusion 1.5.

    Example:

        egoframe convert sd bolinlai/SD1.5-pretrained start --enhancer vllm
    """
    from egoframe.convert.stable_diffusion import convert_stable_diffusion

    with _progress() as tell:
        convert_stable_diffusion(source, out, enhancer, _local(clip), tell=tell)
    finish({"model": str(out)}, json)


def _local(clip: str) -> str | Path:
    """A folder, or a hub id."""
    path = Path(clip)
    if path.is_dir():
        return path
    if clip.count("/") == 1 and not clip.startswith((".", "/")):
        return clip
    raise UserError(f"--clip {clip}: no such folder")


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Shows on a terminal what is being done, from the first time that it is told."""
    from rich.markup import escape

    bar = progress()
    task = bar.add_task("", total=None)

    def tell(told: str) -> None:
        bar.update(task, description=escape(told))
        if bar.console.is_interactive:
            bar.start()

    try:
        yield tell
    finally:
        if bar.live.is_started:
            bar.stop()
