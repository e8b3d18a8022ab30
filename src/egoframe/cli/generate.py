"""`egoframe generate`: the main job."""

from __future__ import annotations

import json as as_json
from pathlib import Path
from typing import Annotated

import typer

from egoframe.cli.options import (
    Device,
    EnhancerBits,
    ImageGuidance,
    Lora,
    LoraScale,
    Model,
    Sampler,
    Steps,
    TextGuidance,
    WeightsDtype,
)
from egoframe.cli.output import finish, note, progress, warnings_as_notes
from egoframe.errors import UserError


def generate(
    image: Annotated[Path, typer.Argument(help="A first-person photo: JPEG, PNG or WebP.")],
    action: Annotated[str, typer.Argument(help='Such as "open the drawer".')],
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("."),
    model: Model = "kitchen",
    lora: Lora = None,
    lora_scale: LoraScale = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same picture.")] = 0,
    num_images: Annotated[int, typer.Option(min=1, max=64, help="How many to draw.")] = 1,
    sampler: Sampler = None,
    steps: Steps = None,
    text_guidance: TextGuidance = None,
    image_guidance: ImageGuidance = None,
    guidance_interval: Annotated[
        tuple[float, float],
        typer.Option(help="Share of noise levels, 0 (clean) to 1, that are guided."),
    ] = (0.0, 1.0),
    protocol: Annotated[
        str, typer.Option(help="corrected, or paper: as the authors' code draws and keeps them.")
    ] = "corrected",
    description: Annotated[
        str | None, typer.Option(help="How it is done, instead of asking the enhancer.")
    ] = None,
    no_enhance: Annotated[
        bool, typer.Option("--no-enhance", help="Draw from the bare action.")
    ] = False,
    device: Device = None,
    dtype: WeightsDtype = None,
    bits: EnhancerBits = None,
    offload: Annotated[
        bool, typer.Option("--offload", help="For small GPUs: keep there only what works.")
    ] = False,
    compile: Annotated[
        bool, typer.Option("--compile", help="Compile the U-Net, for minutes: for many images.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Draw what the person would see while doing the action.

    Writes the picture, the photo and the picture side by side, and a JSON file with everything
    needed to repeat it.

    Examples:

        egoframe generate examples/kitchen.png "open the microwave" --out demo

        egoframe generate photo.jpg "cut the tomato" --num-images 4 --seed 3

        egoframe generate photo.jpg "open the drawer" --model lego-ego4d --bits 4
    """
    from egoframe.pairs import check_action

    check_action(action)
    words = " ".join(action.split())

    from egoframe.images import generated, open_photo, save_png, side_by_side, write_bytes

    photo = open_photo(image)
    _check_writable(out)

    import torch

    from egoframe.generator.adapters import lora_digest, merge_lora
    from egoframe.generator.protocols import choose_protocol
    from egoframe.generator.sampling import Sampling, choose_scheduler, paper_scheduler
    from egoframe.models import fingerprint, load

    # What can be told of the options before a model is fetched; the pipeline checks them again.
    choose_protocol(protocol)
    choose_scheduler(paper_scheduler(), sampler or "scheduler", steps=1)
    Sampling("", steps or 1, text_guidance or 0.0, image_guidance or 0.0, guidance_interval)
    weights = getattr(torch, dtype) if dtype else None
    pipeline = load(model, device, weights, bits, offload=offload, compile=compile)
    if lora is not None:
        merge_lora(pipeline, lora, lora_scale)
    defaults = pipeline.config
    sampler = defaults.sampler if sampler is None else sampler
    steps = defaults.steps if steps is None else steps
    text_guidance = defaults.text_guidance if text_guidance is None else text_guidance
    image_guidance = defaults.image_guidance if image_guidance is None else image_guidance
    with progress() as bar, warnings_as_notes():
        task = bar.add_task("drawing", total=steps)
        result = pipeline(
            photo,
            words,
            description=description,
            enhance=not no_enhance,
            num_images=num_images,
            sampler=sampler,
            steps=steps,
            text_guidance=text_guidance,
            image_guidance=image_guidance,
            guidance_interval=guidance_interval,
            protocol=protocol,
            seed=seed,
            callback=lambda step, _: bar.update(task, completed=step),
        )
    settings = {
        "action": words,
        "description": result.descriptions[0],
        "description_given": description is not None,
        "model": model,
        "model_sha256": fingerprint(Path(pipeline.name_or_path)),
        "lora": lora,
        "lora_sha256": lora and lora_digest(lora),
        "lora_scale": lora and lora_scale,
        "seed": seed,
        "num_images": num_images,
        "sampler": sampler,
        "steps": steps,
        "text_guidance": text_guidance,
        "image_guidance": image_guidance,
        "guidance_interval": guidance_interval,
        "protocol": protocol,
        "enhance": not no_enhance,
        "device": str(pipeline._execution_device),
        "dtype": str(pipeline.unet.dtype).removeprefix("torch."),
        "bits": bits,
        "compile": compile,
        "input": str(image.name),
        "input_sha256": _sha256(image),
        "versions": _versions(),
    }
    stem = f"{image.stem}-{_slug(words)}"
    pictures = []
    for number, picture in enumerate(result.images):
        name = stem if num_images == 1 else f"{stem}-{number + 1}"
        text = generated(words)
        save_png(picture, out / f"{name}.png", text)
        save_png(side_by_side(photo, picture), out / f"{name}-beside.png", text)
        pictures.append(str(out / f"{name}.png"))
    written = as_json.dumps(settings, indent=1, ensure_ascii=False) + "\n"
    write_bytes(out / f"{stem}.json", written.encode())
    note(f"description: {result.descriptions[0]}")
    finish({"pictures": pictures, "settings": str(out / f"{stem}.json")}, json)


def _check_writable(out: Path) -> None:
    """Find out before the work whether its results can be kept."""
    import tempfile

    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written ({error.strerror})") from None


def _slug(words: str) -> str:
    kept = "".join(c if c.isalnum() else "-" for c in words.lower())
    return "-".join(part for part in kept.split("-") if part)[:60] or "action"


def _sha256(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("egoframe", "torch", "diffusers", "transformers")}
