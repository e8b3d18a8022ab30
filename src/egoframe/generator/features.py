"""What the generator learns from, worked out once: latents, tokens and the enhancer's embeddings.

They are kept in parts, made on all cores, so that a stopped run goes on. With `mirror`, every pair
is kept twice: row 2i is pair i, row 2i + 1 its mirror image.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from rich.console import Console
from rich.progress import track
from safetensors.torch import load_file, save_file
from torch import Tensor

from egoframe.enhancer.model import Enhancer
from egoframe.enhancer.prompts import mirrored
from egoframe.errors import UserError
from egoframe.frames import to_tensor
from egoframe.generator.autoencoder import encode, open_autoencoder
from egoframe.generator.pipeline import named
from egoframe.generator.tokenizer import LENGTH
from egoframe.models import fingerprint
from egoframe.pairs import open_pairs

BATCH = 32  # pairs
FRAMES = ["input_frame", "action_frame"]
PART = 16 * BATCH  # pairs in a file


@dataclass(frozen=True)
class Features:
    """One row for each pair, or with mirror images two (N)."""

    input_latents: Tensor  # float16 (N, C, H, W)
    action_latents: Tensor  # float16 (N, C, H, W)
    tokens: Tensor  # int64 (N, 77), of action and description
    label_tokens: Tensor  # int64 (N, 77), of the bare action
    image_embeds: Tensor  # float16 (N, I, D)
    text_embeds: Tensor  # float16 (N, 77, D)


@dataclass(frozen=True)
class Recipe:
    """What features are made of.

    Arguments:
        dataset, vae, enhancer: folders.
        tokenizer: of the text encoder.
        mirror: make those of the mirror images too.
        written_by: "dataset" takes its descriptions; "enhancer" lets the enhancer write its own, as
            LEGO does, so that the generator learns from what it will be given.
    """

    dataset: Path
    vae: Path
    enhancer: Path
    tokenizer: Any
    mirror: bool
    written_by: str


def load_features(folder: Path, recipe: Recipe) -> Features:
    """Read the features of a training split from `folder`, once those that lack are made there.

    Raises:
        UserError: `folder` holds features of another dataset, autoencoder, enhancer or recipe.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _check_same_recipe(folder / "recipe.json", recipe)
    count = len(open_pairs(recipe.dataset, "train"))
    paths = {start: folder / f"{start // PART:05d}.safetensors" for start in range(0, count, PART)}
    todo = [start for start, path in paths.items() if not path.exists()]
    if todo:
        context = multiprocessing.get_context("spawn")
        workers = min(os.cpu_count() or 1, len(todo))
        with ProcessPoolExecutor(workers, context, torch.set_num_threads, (1,)) as pool:
            running = [pool.submit(_make_part, recipe, start, paths[start]) for start in todo]
            for future in track(running, "features", console=Console(stderr=True)):
                future.result()
    parts = [load_file(path) for path in paths.values()]
    names = [field.name for field in fields(Features)]
    return Features(**{name: torch.cat([part[name] for part in parts]) for name in names})


def _check_same_recipe(path: Path, recipe: Recipe) -> None:
    told = {
        "dataset": _sha256(open_pairs(recipe.dataset, "train").remove_columns(FRAMES).to_dict()),
        "vae": fingerprint(recipe.vae),
        "enhancer": fingerprint(recipe.enhancer),
        "tokenizer": _sha256(sorted(recipe.tokenizer.get_vocab().items())),
        "mirror": recipe.mirror,
        "written_by": recipe.written_by,
    }
    if not path.exists():
        path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        return
    before = json.loads(path.read_text(encoding="utf-8"))
    changed = [key for key in told if before.get(key) != told[key]]
    if changed:
        raise UserError(
            f"{path.parent}: holds features of another {', '.join(changed)}; give another out "
            "folder, or delete this one to make them afresh"
        )


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def _make_part(recipe: Recipe, start: int, path: Path) -> None:
    dataset = open_pairs(recipe.dataset, "train")
    stop = min(start + PART, len(dataset))
    batches = [_make(recipe, dataset[k : min(k + BATCH, stop)]) for k in range(start, stop, BATCH)]
    temporary = path.with_suffix(".writing")
    joined = {key: torch.cat([b[key] for b in batches]).contiguous() for key in batches[0]}
    save_file(joined, temporary)
    temporary.rename(path)


@torch.inference_mode()
def _make(recipe: Recipe, pairs: dict[str, list[Any]]) -> dict[str, Tensor]:
    """The features of some pairs, given as columns of a dataset."""
    vae, enhancer = _models(recipe.vae, recipe.enhancer)

    def versions(values: list[Any], mirror: Callable[[Any], Any]) -> list[Any]:
        return [v for value in values for v in (value, mirror(value))] if recipe.mirror else values

    def tokens(texts: list[str]) -> Tensor:
        settings = {"padding": "max_length", "truncation": True, "max_length": LENGTH}
        return recipe.tokenizer(texts, return_tensors="pt", **settings).input_ids

    inputs, actions = (
        versions([frame.convert("RGB") for frame in pairs[name]], _flipped) for name in FRAMES
    )
    labels = versions(pairs["action"], str)
    given = versions(pairs["description"], mirrored) if recipe.written_by == "dataset" else None
    out = enhancer(inputs, labels, given)
    return {
        "input_latents": encode(vae, to_tensor(inputs)).half(),
        "action_latents": encode(vae, to_tensor(actions)).half(),
        "tokens": tokens(list(map(named, labels, out.descriptions))),
        "label_tokens": tokens(labels),
        "image_embeds": out.image_embeds.half(),
        "text_embeds": out.text_embeds.half(),
    }


@lru_cache(maxsize=1)
def _models(vae: Path, enhancer: Path) -> tuple[Any, Enhancer]:
    return open_autoencoder(vae), Enhancer.from_pretrained(enhancer)


def _flipped(picture: Image.Image) -> Image.Image:
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
