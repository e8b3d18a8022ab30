"""Choices that several commands offer."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

Dtype = Literal["float32", "bfloat16", "float16"]
Bits = Literal[4, 8]

Model = Annotated[
    str,
    typer.Option(help="kitchen, lego-ego4d, lego-epic, lego-…-scaleup, a folder or a hub id."),
]
Sampler = Annotated[
    str | None,
    typer.Option(help="scheduler, euler_ancestral, ddim, dpm++2m or unipc; else the model's."),
]
Steps = Annotated[
    int | None, typer.Option(min=1, max=1000, help="Of the sampler; the model's by default.")
]
TextGuidance = Annotated[float | None, typer.Option(help="How strictly to follow the words.")]
ImageGuidance = Annotated[float | None, typer.Option(help="How strictly to keep the photo.")]
Lora = Annotated[
    str | None, typer.Option(help="Adapters for the model: a file, a folder or a hub id.")
]
LoraScale = Annotated[float, typer.Option(help="How much of --lora is added; 1 is all.")]
Device = Annotated[
    str | None, typer.Option(help="Such as cpu or cuda; the GPU where there is one.")
]
WeightsDtype = Annotated[
    Dtype | None, typer.Option(help="Of the weights: float32 on a CPU, float16 on a GPU.")
]
EnhancerBits = Annotated[Bits | None, typer.Option(help="Quantise the enhancer's language model.")]
Split = Annotated[Literal["train", "validation"], typer.Option(help="Which.")]
Pairs = Annotated[int | None, typer.Option(min=1, help="How many, at random; all by default.")]
Engine = Annotated[Literal["processes", "ray"], typer.Option(help="Where it runs.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes: one a core, or one on a GPU.")]
