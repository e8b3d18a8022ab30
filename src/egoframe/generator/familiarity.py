"""Is a photo, or an action, anything like what a model was trained on?

A picture is summed up by where its colours and edges are, and by what the enhancer sees in it; a
logistic regression tells the training frames from pictures unlike them (`unlike.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn

from egoframe.enhancer.model import Enhancer
from egoframe.generator.photos import to_frame, working_size
from egoframe.generator.unlike import unlike
from egoframe.images import upright, write_bytes
from egoframe.pairs import check_action

if TYPE_CHECKING:
    from egoframe.generator.pipeline import ActionFramePipeline

FILE = "familiarity.json"
HELD_OUT = 5  # every fifth training frame is kept out of the fit, to set the limit
QUANTILE = 0.01  # of the frames kept out lie below the limit
PENALTY = 1e-3  # on the squares of the weights

UNLIKE_PHOTO = (
    "this photo is unlike the pictures that the model was trained on: real photos need real weights"
)


class UnfamiliarWarning(UserWarning):
    """A photo or an action is unlike what the model learnt from; the picture may be poor."""


@dataclass(frozen=True)
class Familiarity:
    """A linear score (D,) of a picture's summary, its least familiar value, and what was learnt."""

    weights: np.ndarray
    offset: float
    limit: float
    words: frozenset[str]  # of the training's actions
    tasks: tuple[str, ...] = ()  # whose steps were learnt, such as "make a cup of tea"

    def score(self, picture: Image.Image, image_embeds: Tensor) -> float:
        """The log odds that a picture is of the training's kind; `image_embeds` (I, D) are the
        enhancer's of it."""
        return float(summary(picture, image_embeds) @ self.weights + self.offset)

    def knows(self, picture: Image.Image, image_embeds: Tensor) -> bool:
        """Whether a picture looks like the training frames."""
        return self.score(picture, image_embeds) >= self.limit

    def unknown_words(self, actions: Iterable[str]) -> Iterator[str]:
        """What to tell about (normalised) actions whose words the training never had."""
        for action in actions:
            unknown = [word for word in action.split() if word not in self.words]
            if unknown:
                some = ", ".join(sorted(self.words)[:: max(1, len(self.words) // 12)])
                yield f"{', '.join(unknown)!r}: not a word that the model learnt; it knows {some} …"


@torch.inference_mode()
def notes_on(
    pipe: ActionFramePipeline, photo: Image.Image, actions: Sequence[str] = ()
) -> list[str]:
    """In what a photo and actions are unlike what a model learnt from; a line for each.

    Raises:
        UserError: an action that cannot be one, or a photo that is too long and narrow.
    """
    known, config = pipe.familiarity, pipe.config
    if known is None:
        return []
    notes = list(known.unknown_words(check_action(text, config.articles) for text in actions))
    if pipe.enhancer is not None:
        photo = upright(photo)
        size = working_size(photo, config.sample_size, config.squeeze)
        frame = to_frame(photo, size, config.squeeze)
        seen = photo if config.enhancer_sees == "photo" else frame
        (embeds,) = Enhancer(pipe.enhancer, pipe.processor).embed_images([seen])
        if not known.knows(frame, embeds):
            notes.append(UNLIKE_PHOTO)
    return notes


def summary(picture: Image.Image, image_embeds: Tensor) -> np.ndarray:
    """(44 + 2 D,): `descriptor`, and mean and deviation of the embeddings (I, D) over tokens."""
    seen = image_embeds.detach().double().cpu()
    return np.concatenate((descriptor(picture), seen.mean(0), seen.std(0)))


def descriptor(picture: Image.Image) -> np.ndarray:
    """(44,): in each cell of a 2×2 grid the mean and deviation of the colours, the strength of fine
    and of coarse edges, and their directions' histogram of three bins.
    """
    small = picture.convert("RGB").resize((64, 64), Image.Resampling.BOX)
    values = np.asarray(small, np.float64) / 255
    grey = values.mean(-1)
    down, across = np.gradient(grey)
    strength = np.hypot(down, across)
    direction = np.mod(np.arctan2(down, across), np.pi)
    coarse = grey.reshape(16, 4, 16, 4).mean((1, 3))
    coarse_edges = np.hypot(*np.gradient(coarse))
    found: list[float] = []
    for i in range(2):
        for j in range(2):
            cell = (slice(32 * i, 32 * i + 32), slice(32 * j, 32 * j + 32))
            found += [*values[cell].mean((0, 1)), *values[cell].std((0, 1))]
            found += [float(np.log(strength[cell].mean() + 1e-3))]
            part = coarse_edges[8 * i : 8 * i + 8, 8 * j : 8 * j + 8]
            found += [float(np.log(part.mean() + 1e-3))]
            bins = ((direction[cell] / np.pi) * 3).astype(int).clip(0, 2)
            counts = np.bincount(bins.ravel(), strength[cell].ravel(), 3)
            found += [*(counts / (counts.sum() + 1e-6))]
    return np.array(found)


def fit(
    pictures: Sequence[Image.Image],
    actions: Iterable[str],
    embed: Callable[[list[Image.Image]], Tensor],
    tasks: Iterable[str] = (),
) -> Familiarity:
    """Learn what is familiar.

    Arguments:
        pictures: some thousand training frames.
        actions: all actions of the training.
        embed: the enhancer's image embeddings (B, I, D) of B pictures.
        tasks: all tasks of the training.
    """
    rows, others = (_summaries(some, embed) for some in (pictures, unlike(pictures)))
    kept_out = np.arange(len(rows)) % HELD_OUT == 0
    learnt = np.concatenate((rows[~kept_out], others))
    mean, deviation = rows.mean(0), rows.std(0) + 1e-6
    x = torch.from_numpy((learnt - mean) / deviation)
    y = (torch.arange(len(x)) < len(x) - len(others)).double()
    weights, offset = (
        torch.zeros(n, dtype=torch.double, requires_grad=True) for n in (x.shape[1], 1)
    )
    optimiser = torch.optim.LBFGS([weights, offset], max_iter=300, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        error = nn.functional.binary_cross_entropy_with_logits(x @ weights + offset, y)
        total = error + PENALTY * weights.square().sum()
        total.backward()
        return total

    optimiser.step(loss)  # type: ignore[arg-type]
    slope = weights.detach().numpy() / deviation
    start = offset.item() - float(mean @ slope)
    limit = float(np.quantile(rows[kept_out] @ slope + start, QUANTILE))
    words = frozenset(word for action in actions for word in action.split())
    return Familiarity(slope, start, limit, words, tuple(sorted(tasks)))


def _summaries(
    pictures: Sequence[Image.Image], embed: Callable[[list[Image.Image]], Tensor]
) -> np.ndarray:
    found = []
    starts = range(0, len(pictures), 32)
    for start in track(starts, "what is familiar", console=Console(stderr=True), transient=True):
        some = [picture.convert("RGB") for picture in pictures[start : start + 32]]
        found += list(map(summary, some, embed(some)))
    return np.stack(found)


def save(familiarity: Familiarity, folder: Path) -> None:
    """Write it into a model's folder."""
    told = {
        "weights": np.round(familiarity.weights, 5).tolist(),
        "offset": round(familiarity.offset, 4),
        "limit": round(familiarity.limit, 4),
        "words": sorted(familiarity.words),
        "tasks": familiarity.tasks,
    }
    write_bytes(folder / FILE, (json.dumps(told) + "\n").encode())


def load(folder: str | Path) -> Familiarity | None:
    """What a model's folder says is familiar; None if it says nothing."""
    path = Path(folder) / FILE
    if not path.is_file():
        return None
    told = json.loads(path.read_text(encoding="utf-8"))
    weights, words = np.array(told["weights"]), frozenset(told["words"])
    return Familiarity(weights, told["offset"], told["limit"], words, tuple(told.get("tasks", ())))
