"""A dataset of forty little pairs, of which the picture alone tells the colour of the mug."""

import io
from pathlib import Path

from PIL import Image, ImageDraw

from egoframe.pairs import ActionPair, write_pairs
from egoframe.storage import Folder

COLORS = ("red", "blue")


def photo(color: str, taken: bool = False) -> Image.Image:
    """A table of that colour; a mug stands on its right, or is taken."""
    picture = Image.new("RGB", (64, 64), color)
    if not taken:
        ImageDraw.Draw(picture).rectangle((40, 24, 56, 40), "white")
    return picture


def write_dataset(folder: Path, described: bool = True) -> Path:
    """Write the dataset, as a train split, and return its folder."""

    def encoded(picture: Image.Image) -> bytes:
        file = io.BytesIO()
        picture.save(file, "PNG")
        return file.getvalue()

    pairs = []
    for number in range(40):
        color = COLORS[number % 2]
        pairs.append(
            ActionPair(
                pair_id=str(number),
                source="test",
                split="train",
                video_id="v",
                narration="take mug",
                action="take mug",
                verb="take",
                noun="mug",
                description=f"The person takes the {color} mug." if described else None,
                description_source=None,
                input_frame=encoded(photo(color)),
                action_frame=encoded(photo(color, taken=True)),
                input_time=0.0,
                action_time=1.0,
                input_boxes=[],
                action_boxes=[],
                similarity=0.9,
                sharpness=1.0,
                exposure=0.5,
                camera_motion=0.0,
            )
        )
    write_pairs(Folder(folder), pairs)
    return folder
