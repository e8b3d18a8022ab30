"""A dataset of little pairs with validation kitchens, and folders of pictures drawn of them."""

import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

from egoframe.pairs import ActionPair, Box, write_pairs
from egoframe.storage import Folder

ACTIONS = ("open drawer", "take mug", "close drawer")
SIZE = 48


def noise(seed: int, size: tuple[int, int] = (SIZE, SIZE)) -> Image.Image:
    """A smooth random picture."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def encoded(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def truth(number: int) -> Image.Image:
    """The action frame: the input, half of which changes."""
    picture = noise(number)
    picture.paste(noise(1000 + number).crop((0, 0, SIZE, SIZE // 2)), (0, SIZE // 2))
    return picture


def write_dataset(folder: Path, count: int = 12, train: int = 2) -> Path:
    """Write it, and return its folder."""
    pairs = []
    for number in range(count + train):
        action = ACTIONS[number % 3]
        box = {"label": "thing_1", "x0": 0.25, "y0": 0.5, "x1": 0.75, "y1": 0.75}
        facts = {"verb": action.split()[0], "item": {"name": "thing_1"},
                 "frames": {"pre": {"boxes": [box]}, "pnr": {"boxes": [box]}}}  # fmt: skip
        pairs.append(
            ActionPair(
                pair_id=f"v{number}",
                source="test",
                split="validation" if number < count else "train",
                video_id="v",
                narration=action,
                action=action,
                verb=action.split()[0],
                noun=action.split()[1],
                description=f"The person does it: {action}.",
                description_source="test",
                input_frame=encoded(noise(number)),
                action_frame=encoded(truth(number)),
                input_time=0.0,
                action_time=1.0,
                input_boxes=[],
                action_boxes=[Box("right hand", 0, 0.5, 0.5, 1), Box("red mug", 0.5, 0.5, 1, 1)],
                similarity=0.9,
                sharpness=1.0,
                exposure=0.5,
                camera_motion=0.0,
                facts=json.dumps(facts),
            )
        )
    write_pairs(Folder(folder), pairs)
    return folder


def write_pictures(folder: Path, count: int = 12, blur: int = 3) -> Path:
    """Blurred true frames, as if drawn."""
    folder.mkdir(parents=True)
    for number in range(count):
        small = truth(number).resize((SIZE // blur, SIZE // blur), Image.Resampling.BOX)
        small.resize((SIZE, SIZE), Image.Resampling.BICUBIC).save(folder / f"v{number}.png")
    return folder
