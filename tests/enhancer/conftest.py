import io
import random
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from egoframe.pairs import ActionPair, write_pairs

COUNT = 48


def photo(side: str, color: str, y: int = 16) -> Image.Image:
    """A grey picture with a square of a colour on one side."""
    picture = Image.new("RGB", (64, 64), (128, 128, 128))
    x = 6 if side == "left" else 34
    ImageDraw.Draw(picture).rectangle((x, y, x + 24, y + 24), fill=color)
    return picture


def description(side: str, color: str) -> str:
    return f"The {side} hand takes the {color} mug."


def write_dataset(folder: Path, described: bool = True) -> None:
    """Pairs of which the picture alone tells which hand takes a mug of which colour."""
    rng = random.Random(0)
    pairs = []
    for number in range(COUNT):
        side, color = ("left", "right")[number % 2], ("red", "blue")[number // 2 % 2]
        file = io.BytesIO()
        photo(side, color, rng.randrange(4, 36)).save(file, "PNG")
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
                description=description(side, color) if described else None,
                description_source=None,
                input_frame=file.getvalue(),
                action_frame=file.getvalue(),
                input_time=0.0,
                action_time=1.0,
                input_boxes=[],
                action_boxes=[],
                similarity=0.9,
                sharpness=1.0,
                camera_motion=0.0,
            )
        )
    write_pairs(folder, pairs)


@pytest.fixture(scope="session")
def tuned(tmp_path_factory):
    """A very small enhancer, tuned on pictures of squares."""
    from egoframe.enhancer.tuning import EnhancerConfig, train_enhancer
    from egoframe.training import LoopConfig

    folder = tmp_path_factory.mktemp("enhancer")
    write_dataset(folder / "pairs")
    config = EnhancerConfig(
        dataset=folder / "pairs",
        out=folder / "run",
        vision_dim=48,
        text_dim=64,
        loop=LoopConfig(steps=120, batch_size=16, lr=3e-3, warmup=10, ema=0.9, log_every=1),
    )
    return config, train_enhancer(config)
