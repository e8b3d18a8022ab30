"""`egoframe enhance`: a vision-language model's descriptions for the pairs of a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from egoframe.cli.options import Bits, Dtype
from egoframe.cli.output import finish, progress
from egoframe.errors import UserError

if TYPE_CHECKING:
    from egoframe.enhancer.bulk import Engine

BATCH = {"transformers": 16, "vllm": 256}  # pairs; vllm fills its GPU from a long list


def enhance(
    dataset: Annotated[str, typer.Argument(help="A dataset of action pairs: a folder or a URL.")],
    model: Annotated[
        str,
        typer.Option(help="A vision-language model's folder or hub id, or an egoframe model."),
    ],
    engine: Annotated[
        Literal["transformers", "vllm"], typer.Option(help="What runs it; vllm needs a GPU.")
    ] = "transformers",
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Pairs described together: 16, or 256 by vllm.")
    ] = None,
    split: Annotated[Literal["train", "validation", "all"], typer.Option(help="Which.")] = "all",
    bits: Annotated[
        Bits | None, typer.Option(help="Quantise the language model's weights.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="Such as cpu or cuda; the GPU where there is one.")
    ] = None,
    dtype: Annotated[
        Dtype | None, typer.Option(help="Of the weights: float32 on a CPU, else as saved.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Let a vision-language model describe every pair of a dataset.

    Writes `description`, and the model's name into `description_source`. The same command again
    goes on where it was: shards that the model has described are left as they are.

    Examples:

        egoframe enhance pairs --model kitchen

        egoframe enhance pairs --model Qwen/Qwen2.5-VL-7B-Instruct --bits 4
    """
    from egoframe.enhancer.bulk import enhance_shard, shards_without
    from egoframe.pairs import SPLITS
    from egoframe.storage import Folder

    if engine == "vllm" and bits is not None:
        raise UserError("--bits is for --engine transformers; for vLLM give a quantised model")
    writer = model.rstrip("/")
    folder = Folder(dataset)
    todo = shards_without(folder, SPLITS if split == "all" else (split,), writer)
    if todo:
        opened = _open(model, engine, bits, device, dtype)
        with progress() as bar:
            size = batch_size or BATCH[engine]
            task = bar.add_task("describing", total=sum(todo.values()))
            for shard in todo:
                enhance_shard(
                    folder, shard, opened, writer, size, lambda count: bar.advance(task, count)
                )
    finish({"described": sum(todo.values()), "description_source": writer}, json)


def _open(
    model: str, engine: str, bits: Bits | None, device: str | None, dtype: Dtype | None
) -> Engine:
    import torch
    from transformers.utils import logging

    from egoframe.enhancer.bulk import VllmEngine
    from egoframe.enhancer.model import Enhancer
    from egoframe.enhancer.opening import check_bits
    from egoframe.models import DEFAULT, resolve, usable_device
    from egoframe.released import RELEASES

    logging.disable_progress_bar()
    ours = model in (DEFAULT, *RELEASES)
    if engine == "vllm":
        return VllmEngine(resolve(model) if ours else model, dtype or "auto")
    where = usable_device(device)
    check_bits(bits)
    if dtype is None and where.type == "cpu" and bits is None:
        dtype = "float32"
    chosen = getattr(torch, dtype) if dtype else None
    return Enhancer.from_pretrained(resolve(model) if ours else model, chosen, bits, where)
