"""Pictures for a whole split: resumable, in this machine's processes or on a Ray cluster.

A picture's noise depends on the seed and its pair alone, and which pairs are drawn together on
their order alone, so that a set drawn with stops equals one drawn without, whoever drew it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal

from egoframe.engine import EngineName, WorkerDied, run_tasks
from egoframe.errors import UserError
from egoframe.images import generated, make_folder, save_png, write_bytes
from egoframe.models import fingerprint, resolve, usable_device
from egoframe.pairs import digest, open_pairs
from egoframe.pictures import choose_pairs, picture_path

BATCH = 8  # pairs drawn together
SETTINGS = "settings.json"
Words = Literal["enhancer", "dataset", "label"]


@dataclass(frozen=True)
class SetConfig:
    """What is drawn, and how; what is None is the model's own."""

    dataset: str
    model: str
    split: str = "validation"
    pairs: int | None = None  # at random; all, if None
    words: Words = "enhancer"  # who describes the action; "label": nobody
    seed: int = 0
    sampler: str | None = None
    steps: int | None = None
    text_guidance: float | None = None
    image_guidance: float | None = None
    protocol: str = "corrected"
    device: str | None = None
    dtype: str | None = None
    bits: Literal[4, 8] | None = None
    lora: str | None = None  # adapters: a file, a folder or a hub id
    lora_scale: float = 1.0


def generate_set(
    config: SetConfig, out: Path, engine: EngineName = "processes", workers: int | None = None
) -> Iterator[tuple[int, int]]:
    """Draw a picture for each pair, `out/PAIR_ID.png`; yields (pictures that are there, in all).

    The same call again goes on where it was. Under the protocol "paper", whose noise comes from one
    stream, each batch is what the release calls a chunk: it begins a stream.

    Raises:
        UserError: the dataset, the model or the settings cannot be drawn from, or `out` holds
            pictures of other settings.
    """
    names = list(choose_pairs(config.dataset, config.split, config.pairs, config.seed)["pair_id"])
    config = replace(config, model=str(resolve(config.model)))
    _check_same_settings(config, out)
    batches = [range(k, min(k + BATCH, len(names))) for k in range(0, len(names), BATCH)]
    paths = {name: picture_path(out, name) for name in names}
    todo = [batch for batch in batches if not all(paths[names[k]].exists() for k in batch)]
    done = len(names) - sum(map(len, todo))
    yield done, len(names)
    if workers is None and usable_device(config.device).type != "cpu":
        workers = 1  # they would stand in each other's way
    work = partial(_draw_batch, config, out)
    for index, result in run_tasks(work, todo, engine, workers):
        if isinstance(result, WorkerDied):
            raise UserError(
                f"drawing {names[todo[index][0]]} and those after it kills its process "
                f"({result.why}), perhaps for want of memory; give fewer --workers"
            )
        done += len(todo[index])
        yield done, len(names)


def _check_same_settings(config: SetConfig, out: Path) -> None:
    drawn_from = ["pair_id", "action", *(["description"] if config.words == "dataset" else [])]
    told = {
        **asdict(config),
        "model_sha256": fingerprint(Path(config.model)),
        "pairs_sha256": digest(open_pairs(config.dataset, config.split), drawn_from),
    }
    if config.lora is None:
        del told["lora_scale"]
    else:
        from egoframe.generator.adapters import lora_digest

        told["lora"] = lora_digest(config.lora) or config.lora  # a file may lie elsewhere, too
    for name in ("device", "dataset", "model"):  # may lie elsewhere the next time
        del told[name]
    path = make_folder(out) / SETTINGS
    try:
        before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be used ({error}); give another folder") from None
    if before is None:
        write_bytes(path, (json.dumps(told, indent=1) + "\n").encode())
        return
    changed = [key for key in told if before.get(key) != told[key]]
    if changed:
        raise UserError(
            f"{out}: holds pictures drawn with another {', '.join(changed)}; give another folder"
        )


def _draw_batch(config: SetConfig, out: Path, batch: Sequence[int]) -> None:
    pairs = _pairs(config.dataset, config.split, config.pairs, config.seed)[list(batch)]
    draw = _drawer(config)
    pictures = draw(
        [frame.convert("RGB") for frame in pairs["input_frame"]],
        pairs["action"],
        pairs["description"],
        pairs["pair_id"],
    )
    for name, action, picture in zip(pairs["pair_id"], pairs["action"], pictures, strict=True):
        path = picture_path(out, name)
        make_folder(path.parent)
        save_png(picture, path, generated(action))


@lru_cache(maxsize=1)
def _pairs(*chosen: Any) -> Any:
    return choose_pairs(*chosen)


@lru_cache(maxsize=1)
def _drawer(config: SetConfig) -> Any:
    """Draws pictures of (photos, actions, descriptions, ids of pairs)."""
    import torch

    from egoframe.generator.adapters import merge_lora
    from egoframe.generator.instruct_pix2pix import InstructPix2Pix, is_instruct_pix2pix
    from egoframe.models import load

    weights = getattr(torch, config.dtype) if config.dtype else None
    if is_instruct_pix2pix(Path(config.model)):
        if config.lora is not None:
            raise UserError(
                f"{config.model}: InstructPix2Pix is drawn without adapters; leave out --lora"
            )
        stock = InstructPix2Pix(
            Path(config.model), config.device, weights, config.steps, config.text_guidance,
            config.image_guidance,
        )  # fmt: skip
        return lambda photos, actions, _, names: stock(photos, actions, config.seed, names)
    pipeline = load(config.model, config.device, weights, config.bits)
    if config.lora is not None:
        merge_lora(pipeline, config.lora, config.lora_scale)

    def draw(photos: Any, actions: Any, descriptions: Any, names: Any) -> Any:
        given = descriptions if config.words == "dataset" else None
        if given is not None and None in given:
            raise UserError(
                f"pair {names[given.index(None)]}: has no description; write them with `egoframe "
                f"describe {config.dataset}`, or leave out --words dataset"
            )
        return pipeline(
            photos,
            actions,
            given,
            config.words != "label",
            sampler=config.sampler,
            steps=config.steps,
            text_guidance=config.text_guidance,
            image_guidance=config.image_guidance,
            seed=config.seed,
            pair_ids=names,
            protocol=config.protocol,
        ).images

    return draw
