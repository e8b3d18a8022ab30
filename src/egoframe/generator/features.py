"""What the generator learns from: latents, tokens, and what the enhancer sees and says.

Worked out once, on all cores, and kept in parts, so that a stopped run goes on; read back without
loading them whole. Image embeddings are kept as they are before the enhancer's projector: at its
vision tower's width, for LEGO a fifth of the language model's.

With mirror images, row 2i of a tensor is pair i, and row 2i + 1 its mirror image.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image
from rich.console import Console
from rich.progress import track
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from egoframe.engine import WorkerDied, run_tasks
from egoframe.enhancer.model import Enhancer
from egoframe.enhancer.opening import parts
from egoframe.enhancer.prompts import mirrored
from egoframe.errors import UserError, first_line
from egoframe.frames import to_tensor
from egoframe.generator.autoencoder import encode, open_autoencoder
from egoframe.generator.pipeline import named
from egoframe.generator.tokenizer import LENGTH
from egoframe.models import fingerprint
from egoframe.pairs import FRAMES, digest, open_described, open_pairs
from egoframe.training import Batch
from egoframe.training.checkpoints import read_json, write_whole

BATCH = 32  # pairs
LATENTS = ("input_latents", "action_latents")
EMBEDS = ("image_states", "text_embeds")
PART = 16 * BATCH  # pairs in a file
SCALES = "_scale"  # after the name of what it scales
Mirror = Literal["none", "frames", "all"]


@dataclass(frozen=True)
class Recipe:
    """What features are made of.

    Arguments:
        dataset, vae, enhancer: folders.
        tokenizer: of the text encoder.
        mirror: make those of mirror images too: of "all", or as the release does, of the "frames"
            alone, whose words and embeddings stay those of the frames as they were.
        written_by: "dataset" takes its descriptions; "enhancer" lets the enhancer write its own, as
            LEGO does, so that the generator learns from what it will be given.
        name_action: the action's own words stand before its description.
        embeds: how the enhancer's embeddings are kept: int8 with one scale for each token takes
            half the room of float16.
        device: to work them out on; on a CPU, all cores do.
    """

    dataset: Path
    vae: Path
    enhancer: Path
    tokenizer: Any
    mirror: Mirror
    written_by: str
    name_action: bool = True
    embeds: Literal["float16", "int8"] = "float16"
    device: str = "cpu"

    def open(self) -> Any:
        """The training split.

        Raises:
            UserError: it has no descriptions, where they are learnt from.
        """
        needed = open_described if self.written_by == "dataset" else open_pairs
        return needed(self.dataset, "train")

    def versions(self, name: str) -> int:
        """Rows that a tensor has for each pair."""
        return 2 if self.mirror == "all" or (self.mirror == "frames" and name in LATENTS) else 1


class CachedFeatures:
    """The features of a training split, in files; rows are read when they are asked for."""

    def __init__(self, paths: Sequence[Path], recipe: Recipe) -> None:
        self.recipe = recipe
        self.parts = [_open_part(path) for path in paths]

    def rows(
        self, indices: Sequence[int], turned: Sequence[bool], latents_only: bool = False
    ) -> dict[str, Tensor]:
        """The features of some pairs, of their mirror images where `turned`.

        Returns:
            input_latents, action_latents (B, C, H, W), tokens, label_tokens (B, 77), image_states
            (B, I, V), text_embeds (B, 77, D).
        """
        found: dict[str, list[Tensor]] = {}
        for index, turn in zip(indices, turned, strict=True):
            part = self.parts[index // PART]
            for name, tensor in part.items():
                if latents_only and name not in LATENTS:
                    continue
                versions = self.recipe.versions(name.removesuffix(SCALES))
                row = versions * (index % PART) + (int(turn) if versions == 2 else 0)
                found.setdefault(name, []).append(tensor[row])
        return unpack({name: torch.stack(rows) for name, rows in found.items()})


class FreshFeatures:
    """The same, worked out whenever they are asked for: nothing is kept, each step takes longer."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.dataset = recipe.open()

    def rows(
        self, indices: Sequence[int], turned: Sequence[bool], latents_only: bool = False
    ) -> dict[str, Tensor]:
        """As `CachedFeatures.rows`."""
        batches = [
            make(self.recipe, self.dataset[list(indices[k : k + BATCH])], latents_only)
            for k in range(0, len(indices), BATCH)
        ]
        made = {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}
        chosen = {}
        for name, tensor in made.items():
            versions = self.recipe.versions(name.removesuffix(SCALES))
            rows = [versions * k + (int(turn) if versions == 2 else 0)
                    for k, turn in enumerate(turned)]  # fmt: skip
            chosen[name] = tensor[rows]
        return unpack(chosen)


def open_features(
    kind: Literal["cached", "fresh"], folder: Path, recipe: Recipe
) -> CachedFeatures | FreshFeatures:
    """What is learnt from: made once and kept in `folder`, or made whenever it is needed."""
    return FreshFeatures(recipe) if kind == "fresh" else make_features(folder, recipe)


def fetcher(
    features: CachedFeatures | FreshFeatures, mirror: Mirror
) -> Callable[[Batch], dict[str, Tensor]]:
    """Reads the features of a batch, half of them of mirror images."""

    def fetch(batch: Batch) -> dict[str, Tensor]:
        turned = batch.chance(0.0 if mirror == "none" else 0.5)
        return features.rows(batch.indices.tolist(), turned.tolist())

    return fetch


def pack(name: str, embeds: Tensor, kind: str) -> dict[str, Tensor]:
    """Embeddings (..., D) as they are kept, in float16, or in int8 with a scale (..., 1)."""
    if kind == "float16":
        return {name: embeds.half()}
    scale = embeds.float().abs().amax(-1, keepdim=True) / 127
    rounded = (embeds.float() / scale.clamp(min=1e-12)).round().to(torch.int8)
    return {name: rounded, f"{name}{SCALES}": scale}


def unpack(kept: dict[str, Tensor]) -> dict[str, Tensor]:
    """Features with embeddings as numbers again."""
    return {
        name: value.float() * kept[f"{name}{SCALES}"] if f"{name}{SCALES}" in kept else value
        for name, value in kept.items()
        if not name.endswith(SCALES)
    }


def make_features(folder: Path, recipe: Recipe) -> CachedFeatures:
    """Open the features of a training split in `folder`, once those that lack are made there.

    Raises:
        UserError: `folder` holds features of another dataset, autoencoder, enhancer or recipe, or
            a damaged file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _check_same_recipe(folder / "recipe.json", recipe)
    count = len(recipe.open())
    paths = {start: _part(folder, start) for start in range(0, count, PART)}
    todo = [start for start, path in paths.items() if not path.exists()]
    workers = min(os.cpu_count() or 1, len(todo)) if recipe.device == "cpu" else 1
    if workers == 1:
        for start in track(todo, "features", console=Console(stderr=True)):
            _make_part(recipe, folder, start)
        _models.cache_clear()  # a large enhancer would stand in the way
    elif workers > 1:
        made = run_tasks(partial(_make_part, recipe, folder), todo, workers=workers)
        shown = track(made, "features", len(todo), console=Console(stderr=True))
        for index, answer in shown:
            if isinstance(answer, WorkerDied):
                where = _part(folder, todo[index])
                raise UserError(
                    f"{where}: what makes it dies ({answer.why}), perhaps for want of memory"
                )
    return CachedFeatures(list(paths.values()), recipe)


def _check_same_recipe(path: Path, recipe: Recipe) -> None:
    told = {
        "dataset": digest(recipe.open()),
        "vae": fingerprint(recipe.vae),
        "enhancer": _sha256([fingerprint(Path(part)) for part in parts(recipe.enhancer)]),
        "tokenizer": _sha256(sorted(recipe.tokenizer.get_vocab().items())),
        "mirror": recipe.mirror,
        "written_by": recipe.written_by,
        "name_action": recipe.name_action,
        "embeds": recipe.embeds,
    }
    if not path.exists():
        write_whole(path, json.dumps(told, indent=1) + "\n")
        return
    before = read_json(path)
    changed = [key for key in told if before.get(key) != told[key]]
    if changed:
        raise UserError(
            f"{path.parent}: holds features of another {', '.join(changed)}; give another out "
            "folder, or delete this one to make them afresh"
        )


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def _part(folder: Path, start: int) -> Path:
    """The file of the pairs from `start` on."""
    return folder / f"{start // PART:05d}.safetensors"


def _make_part(recipe: Recipe, folder: Path, start: int) -> None:
    dataset, path = recipe.open(), _part(folder, start)
    stop = min(start + PART, len(dataset))
    batches = [make(recipe, dataset[k : min(k + BATCH, stop)]) for k in range(start, stop, BATCH)]
    temporary = path.with_suffix(".writing")
    joined = {key: torch.cat([b[key] for b in batches]).contiguous() for key in batches[0]}
    try:
        save_file(joined, temporary, {"checksum": str(_checksum(joined))})
        temporary.rename(path)
    except (OSError, SafetensorError) as error:
        temporary.unlink(missing_ok=True)
        raise UserError(
            f"{path}: cannot be written ({first_line(error)}); make room, and the same command "
            "goes on"
        ) from None


def _open_part(path: Path) -> dict[str, Tensor]:
    """The tensors of a part, which stay in its file until rows of them are read.

    Raises:
        UserError: it is damaged.
    """
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            whole = (file.metadata() or {}).get("checksum") == str(_checksum(tensors))
        why = "" if whole else "its checksum is another"
    except (OSError, SafetensorError) as error:
        why = first_line(error)
    if why:
        raise UserError(
            f"{path}: is damaged ({why}); delete it, and the same command makes it anew"
        )
    return tensors


def _checksum(tensors: dict[str, Tensor]) -> int:
    total = 0
    for name in sorted(tensors):
        total = zlib.crc32(tensors[name].view(torch.uint8).numpy(), total)  # type: ignore[arg-type]
    return total


@torch.inference_mode()
def make(
    recipe: Recipe, pairs: dict[str, list[Any]], latents_only: bool = False
) -> dict[str, Tensor]:
    """The features of some pairs, given as columns of a dataset, as they are kept."""
    vae, enhancer = _models(recipe.vae, recipe.enhancer, recipe.device)

    def versions(kind: str, values: list[Any], mirror: Callable[[Any], Any]) -> list[Any]:
        if recipe.versions(kind) == 1:
            return values
        return [v for value in values for v in (value, mirror(value))]

    def tokens(texts: list[str]) -> Tensor:
        settings = {"padding": "max_length", "truncation": True, "max_length": LENGTH}
        return recipe.tokenizer(texts, return_tensors="pt", **settings).input_ids

    frames = {name: [frame.convert("RGB") for frame in pairs[name]] for name in FRAMES}
    check_sizes(recipe.dataset, pairs["pair_id"], frames)
    latents = {
        kind: encode(
            vae, to_tensor(versions(kind, frames[name], _flipped)).to(recipe.device)
        ).half()
        for kind, name in zip(LATENTS, FRAMES, strict=True)
    }
    if latents_only:
        return {name: tensor.cpu() for name, tensor in latents.items()}
    labels = versions("tokens", pairs["action"], mirrored)
    given = None
    if recipe.written_by == "dataset":
        given = versions("tokens", pairs["description"], mirrored)
    seen = versions("image_states", frames["input_frame"], _flipped)
    out = enhancer(seen, labels, given)
    assert out.image_states is not None
    made = {
        **latents,
        "tokens": tokens(
            list(map(named, labels, out.descriptions)) if recipe.name_action else out.descriptions
        ),
        "label_tokens": tokens(labels),
        **pack("image_states", out.image_states, recipe.embeds),
        **pack("text_embeds", out.text_embeds, recipe.embeds),
    }
    return {name: tensor.cpu() for name, tensor in made.items()}


def check_sizes(dataset: Path, names: list[str], frames: dict[str, list[Image.Image]]) -> None:
    """Raises:
    UserError: the frames of these pairs are not all of one size; the first odd one is named.
    """
    size = frames[FRAMES[0]][0].size
    for kind in FRAMES:
        for name, frame in zip(names, frames[kind], strict=True):
            if frame.size != size:
                raise UserError(
                    f"{dataset}: pair {name} has a frame of {frame.size[0]}×{frame.size[1]} in a "
                    f"dataset of {size[0]}×{size[1]}; build it with one size"
                )


@lru_cache(maxsize=1)
def _models(vae: Path, enhancer: Path, device: str) -> tuple[Any, Enhancer]:
    dtype = torch.float32 if device == "cpu" else None  # half precision is slow on a CPU
    return open_autoencoder(vae).to(device), Enhancer.from_pretrained(enhancer, dtype, None, device)


def _flipped(picture: Image.Image) -> Image.Image:
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
