"""A little dataset to ask about, and what models drew of it."""

from dataclasses import replace
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from egoframe.pairs import ActionPair, write_pairs
from egoframe.storage import Folder
from tests.finished_dataset import pair, picture

VERBS, NOUNS = ("open", "take", "cut"), ("drawer", "mug", "bread")
SIZE = (16, 16)


def pairs(count: int = 12) -> list[ActionPair]:
    """Pairs of the validation split; three actions, each in two videos of its own."""
    return [
        pair(
            k,
            pair_id=f"clip/{k}",
            split="validation",
            verb=VERBS[k % 3],
            noun=NOUNS[k % 3],
            action=f"{VERBS[k % 3]} {NOUNS[k % 3]}",
            video_id=f"v{k % 6}",
            input_frame=picture(8 * k),
            action_frame=picture(250 - 8 * k),
            description=f"Hand {k} does {VERBS[k % 3]} the {NOUNS[k % 3]}.",
        )
        for k in range(count)
    ]


def write_dataset(folder: Path, *changes: ActionPair, count: int = 12) -> Path:
    """Write the dataset, some pairs changed."""
    other = {change.pair_id: change for change in changes}
    write_pairs(Folder(folder), [other.get(p.pair_id, p) for p in pairs(count)])
    return folder


def color(model: int, k: int) -> tuple[int, int, int]:
    """Of the picture that a model drew of a pair."""
    return (10 + model * 60, 20 * k % 256, 200)


def draw(folder: Path, model: int, count: int = 12) -> Path:
    """A model's pictures, with metadata that tell who drew them."""
    told = PngInfo()
    told.add_text("Comment", f"drawn by model {model}")
    for k in range(count):
        path = folder / "clip" / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", SIZE, color(model, k)).save(path, pnginfo=told)
    return folder


def changed(k: int, **more: object) -> ActionPair:
    """A pair of the dataset, with other values."""
    return replace(pairs()[k], **more)  # type: ignore[arg-type]
