import io
from pathlib import Path

import pytest
import torch
from PIL import Image

from egoframe.enhancer.model import Enhancer
from egoframe.enhancer.tuning import EnhancerConfig, train_enhancer
from egoframe.errors import UserError
from egoframe.pairs import ActionPair, write_pairs
from egoframe.training import LoopConfig

COLORS = ("red", "blue")


def photo(color: str) -> Image.Image:
    return Image.new("RGB", (64, 64), color)


def write_dataset(folder: Path, described: bool = True) -> Path:
    """Pairs of which the picture alone tells the colour of the mug that is taken."""
    pairs = []
    for number in range(40):
        color = COLORS[number % 2]
        file = io.BytesIO()
        photo(color).save(file, "PNG")
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
    return folder


def config(folder: Path, steps: int) -> EnhancerConfig:
    return EnhancerConfig(
        dataset=folder / "pairs",
        out=folder / "run",
        vision_dim=48,
        text_dim=64,
        loop=LoopConfig(steps=steps, batch_size=8, lr=5e-3, warmup=5, ema=0.9),
    )


def test_it_learns_to_tell_what_the_picture_shows(tmp_path):
    write_dataset(tmp_path / "pairs")
    train_enhancer(config(tmp_path, steps=70))
    enhancer = Enhancer.from_pretrained(tmp_path / "run" / "enhancer")
    said = enhancer([photo(color) for color in COLORS], ["take mug"] * 2)
    assert said.descriptions == [f"The person takes the {color} mug." for color in COLORS]
    # A text that it would say itself has the same embeddings when it is given.
    given = enhancer([photo(color) for color in COLORS], ["take mug"] * 2, said.descriptions)
    torch.testing.assert_close(given.text_embeds, said.text_embeds)
    # Each embedding is that of the position which predicted its token.
    with torch.inference_mode():
        predicted = enhancer.model.lm_head(said.text_embeds[0]).argmax(-1)[said.text_mask[0]]
    words = enhancer.processor.tokenizer.decode(predicted, skip_special_tokens=True)
    assert words.strip() == said.descriptions[0]


def test_missing_descriptions_are_named(tmp_path):
    write_dataset(tmp_path / "pairs", described=False)
    with pytest.raises(UserError, match="40 of 40 pairs have no description"):
        train_enhancer(config(tmp_path, steps=1))
