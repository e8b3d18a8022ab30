"""A dataset built from hand-made clips: pairs of two splits and sources, and every kind of flaw."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from egoframe.curation.build import BuildConfig, build_dataset
from egoframe.pairs import SPLITS, Box, read_rows, write_shard
from egoframe.sources.clip import ActionClip, flawed
from egoframe.storage import Folder

SIZE = 64
CONFIG = BuildConfig(size=SIZE)
HOSTILE = "</script><script>window.ran = 1</script><img src=x onerror='window.ran = 2'>"
BAD_FILE = "<b>damaged&.png"
HAND = Box("right hand", 0.125, 0.25, 0.5, 0.75, in_contact="mug")
OTHER_HAND = Box("left hand", 0.6, 0.1, 0.9, 0.4)
MUG = Box("mug", 0.5, 0.5, 1.0, 0.875)
VERBS = {"take": 9, "put": 7, "open": 5, "cut": 3, "wash": 2}
PAIRS = sum(VERBS.values()) + 1  # and a hostile one
FLAGGED = {"take-0": ["whisk"], "put-1": ["whisk", "a+b [x]"]}


def board(number: int, square: int, level: int = 120) -> Image.Image:
    """A checkerboard of its own, upon which a bright square lies so far from the left."""
    tiles = np.random.default_rng(number).integers(0, 2, (8, 8)) * level
    values = np.kron(tiles, np.ones((8, 8), int)) + level // 4
    values[20:36, square : square + 16] = min(2 * level, 255)
    return Image.fromarray(values.astype(np.uint8)).convert("RGB")


def clip(folder: Path, name: str, verb: str, noun: str, number: int = 0, **more) -> ActionClip:
    """A clip whose two frames lie in the folder as NAME-0.png and NAME-1.png, a hand in both."""
    boxes = {1.0 + number: [HAND, MUG], 2.0 + number: [HAND, OTHER_HAND, MUG]}
    told = dict(
        clip_id=name, source="kitchen", split="train", video_id=f"P0{number % 3}", media=folder,
        fps=math.nan, start=math.nan, stop=math.nan, narration=f"{verb} {noun}", verb=verb,
        noun=noun, critical={"pre": 1.0 + number, "pnr": 2.0 + number}, boxes=boxes,
        stills=(f"{name}-0.png", f"{name}-1.png"),
    )  # fmt: skip
    return ActionClip(**(told | more))


def write_frames(folder: Path, name: str, before: Image.Image, during: Image.Image) -> None:
    for which, picture in enumerate((before, during)):
        picture.save(folder / f"{name}-{which}.png")


def good_clips(folder: Path) -> list[ActionClip]:
    clips = []
    for verb, count in VERBS.items():
        for k in range(count):
            name, number = f"{verb}-{k}", len(clips)
            write_frames(folder, name, board(number, 2), board(number, 4 + 2 * k))
            made = clip(folder, name, verb, ("mug", "größe", "pan")[k % 3], number)
            if k % 4 == 3:
                made = replace(made, split="validation", source="epic-kitchens-100", boxes={})
            clips.append(made)
    write_frames(folder, "hostile", board(90, 2), board(90, 12))
    label = replace(MUG, label="<i>mug</i>")
    told = {"narration": HOSTILE, "action": HOSTILE, "boxes": {1.0: [label]}}
    return [*clips, clip(folder, "hostile", "<b>take</b>", HOSTILE, **told)]


def bad_clips(folder: Path) -> list[ActionClip]:
    """Of most reasons two, and three clips of one file that is damaged."""
    clips = []
    for k in (0, 1):
        for kind, before, during in (
            ("still", board(50 + k, 2), board(50 + k, 2)),
            ("jump", board(60 + k, 2), Image.eval(board(60 + k, 2), lambda v: 180 - v)),
            ("dark", board(70 + k, 2, 12), board(70 + k, 6, 12)),
            ("handless", board(80 + k, 2), board(80 + k, 6)),
        ):
            name = f"{kind}-{k}"
            write_frames(folder, name, before, during)
            more = {"boxes": {2.0 + k: [MUG]}} if kind == "handless" else {}
            clips.append(clip(folder, name, "take", "mug", k, **more))
    (folder / BAD_FILE).write_bytes((folder / "still-0-0.png").read_bytes()[:150])
    for k in range(3):
        clips.append(clip(folder, f"bad-{k}", "open", "pan", k, stills=(BAD_FILE, "take-0-1.png")))
    clips.append(clip(folder, "absent", "open", "pan"))
    clips.append(
        flawed("flaw", "kitchen", "train", "P09", folder, "stops before it starts", HOSTILE)
    )
    return clips


def describe(folder: Folder) -> None:
    """Two of three pairs described, by two writers; some flagged."""
    for split in SPLITS:
        rows = list(read_rows(folder, f"{split}/00000.parquet"))
        for k, row in enumerate(rows):
            if k % 3 < 2 or row["pair_id"] in FLAGGED:
                row["description"] = f"The whisk of {row['pair_id']} & a+b [x] are used."
                row["description_source"] = ("teacher", "<i>model</i>")[k % 2]
                row["description_flags"] = FLAGGED.get(row["pair_id"], [])
        write_shard(folder, f"{split}/00000.parquet", rows)


def build(clips: list[ActionClip], where: Path | str, config: BuildConfig = CONFIG) -> Folder:
    folder = Folder(where)
    anomalies = {"VISOR object without a <shape>": 3}
    list(build_dataset(clips, folder, config, workers=1, anomalies=anomalies))
    return folder


def write_dataset(frames: Path, where: Path | str) -> Folder:
    """The whole dataset, described; its clips' frames lie in `frames`."""
    folder = build([*good_clips(frames), *bad_clips(frames)], where)
    describe(folder)
    return folder
