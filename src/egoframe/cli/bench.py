"""`egoframe bench`: how fast a model draws on this machine."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from egoframe.cli.options import Dtype
from egoframe.cli.output import note
from egoframe.errors import UserError


def bench(
    model: Annotated[
        str,
        typer.Option(
            help="A model as generate takes it, or untrained-small, untrained-sd15: LEGO's "
            "architecture with random weights."
        ),
    ] = "untrained-small",
    size: Annotated[int, typer.Option(min=64, help="Pixels, of an untrained model.")] = 128,
    steps: Annotated[int, typer.Option(min=1, help="Of the sampler.")] = 10,
    batch: Annotated[
        list[int] | None, typer.Option(min=1, help="Pictures drawn together; may be repeated.")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Of each measurement; the least counts.")] = 3,
    device: Annotated[
        str | None, typer.Option(help="Such as cpu or cuda; the GPU where there is one.")
    ] = None,
    dtype: Annotated[
        Dtype | None, typer.Option(help="float32 on a CPU, float16 on a GPU, if not given.")
    ] = None,
    compile: Annotated[bool, typer.Option("--compile", help="Compile the U-Net.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Time every stage, and diffusers' stock InstructPix2Pix pipeline on the same weights.

    Times are in seconds, each the least of several. "times stock" says how many times as fast as
    the stock pipeline the same pictures are drawn, and "largest difference" by how much they
    differ, of 255.

    Examples:

        egoframe bench

        egoframe bench --model untrained-sd15 --size 256 --steps 100 --dtype bfloat16
    """
    import json as as_json

    if size % 64:
        raise UserError(f"--size {size}: give a multiple of 64")

    from egoframe.bench.stages import measure

    told: dict[str, Any] = {}
    for name, figure in measure(
        model, size, steps, tuple(batch or (1, 8)), repeats, device, dtype, compile
    ):
        told[name] = figure
        if not json:
            _show(name, figure)
        else:
            note(f"{name} measured")
    if json:
        print(as_json.dumps(told, ensure_ascii=False))


def _show(name: str, figure: Any) -> None:
    """One line of the table."""
    if isinstance(figure, dict):
        figure = "  ".join(
            f"{key.replace('_', ' ')} {_short(value)}" for key, value in figure.items()
        )
    print(f"{name.replace('_', ' '):24}{_short(figure)}", flush=True)


def _short(figure: Any) -> str:
    return f"{figure:.4g}" if isinstance(figure, float) else str(figure)
