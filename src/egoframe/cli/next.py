"""`egoframe next`: what the person does next."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from egoframe.cli.options import Device, EnhancerBits, Model, WeightsDtype
from egoframe.cli.output import finish, note, progress
from egoframe.errors import UserError

if TYPE_CHECKING:
    from PIL import Image

VIDEOS = (".mp4", ".mov", ".mkv", ".avi", ".webm")
LOOKED_AT = 3  # frames of a clip's last seconds


def next(
    image: Annotated[Path, typer.Argument(help="A first-person photo, or a clip of a video.")],
    top: Annotated[int, typer.Option(min=1, max=20, help="How many actions.")] = 3,
    out: Annotated[
        Path | None, typer.Option(help="Folder for pictures of them; without it, none are drawn.")
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0.0, help="Of a clip: how many of its last seconds are looked at.")
    ] = 1.0,
    model: Model = "kitchen",
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same pictures.")] = 0,
    device: Device = None,
    dtype: WeightsDtype = None,
    bits: EnhancerBits = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Predict what the person does next, and draw each of the likeliest actions.

    Examples:

        egoframe next examples/kitchen.png

        egoframe next clip.mp4 --top 5 --out next
    """
    frames = _frames(image, seconds)

    import torch

    from egoframe.apps.anticipation import next_actions
    from egoframe.generator.familiarity import notes_on
    from egoframe.images import generated, make_folder, save_png
    from egoframe.models import load

    folder = None if out is None else make_folder(out)
    pipe = load(model, device, getattr(torch, dtype) if dtype else None, bits)
    found = next_actions(pipe, frames, top)
    for line in notes_on(pipe, frames[-1]):
        note(line)
    told = [
        {"action": one.action, "verb": one.verb, "noun": one.noun,
         "probability": round(one.probability, 4)}
        for one in found
    ]  # fmt: skip
    if folder is not None:
        with progress() as bar, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # said already
            for row in bar.track(told, description="drawing"):
                action = str(row["action"])
                picture = pipe(frames[-1], action, seed=seed).images[0]
                path = folder / f"{image.stem}-{action.replace(' ', '-')}.png"
                save_png(picture, path, generated(action))
                row["picture"] = str(path)
    if json:
        finish({"next": told}, json)
        return
    lines = {}
    for row in told:
        lines[str(row["action"])] = f"{row['probability']:.0%}  {row.get('picture', '')}".rstrip()
    finish(lines, json)


def _frames(path: Path, seconds: float) -> list[Image.Image]:
    """The photo; of a clip, some frames of its last seconds, in order.

    Raises:
        UserError: it cannot be read.
    """
    from egoframe.images import open_photo

    if path.suffix.lower() not in VIDEOS:
        return [open_photo(path)]
    if not path.exists():
        raise UserError(f"{path}: no such file")

    import numpy as np
    from PIL import Image

    from egoframe.curation.media import UnreadableMedia
    from egoframe.curation.video import probe, read_frames

    facts = probe(path)
    if isinstance(facts, UnreadableMedia):
        raise UserError(f"{path.parent / str(facts)}")
    last = max(0.0, facts.duration - 1 / facts.fps)
    times = np.linspace(max(0.0, last - seconds), last, LOOKED_AT if seconds else 1)
    found = dict(read_frames(path, times.tolist(), facts.fps))
    frames = [found[k] for k in sorted(found)]
    readable = [Image.fromarray(one) for one in frames if not isinstance(one, UnreadableMedia)]
    if not readable:
        raise UserError(f"{path}: none of its last frames can be read")
    return readable
