"""A miniature of the dataset that LEGO's authors released."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CLIP = "0b1c2d3e-aaaa-bbbb"  # of Ego4D; EPIC-KITCHENS' are P01_01, …


def still(moved: int) -> Image.Image:
    """Patches of grey, 96×64, upon which a square has moved."""
    values = np.kron(np.random.default_rng(0).integers(0, 200, (8, 12)), np.ones((8, 8)))
    values[8:24, moved : moved + 12] = 255
    return Image.fromarray(values.astype(np.uint8)).convert("RGB")


def annotation(clip: str, action: str, narration: str, **more: Any) -> dict[str, Any]:
    """What the release tells of an action; frames are called 120 and 135."""
    stills = {f"image_{k}": f"{clip}/{action}/frame_{n}.jpg" for k, n in ((0, 120), (1, 135))}
    return {**stills, "action": narration, **more}


def conversation(image: str, answer: str) -> dict[str, Any]:
    """An example of the tuning data."""
    question = "<image>\nHow does the person properly act that is displayed in the video frame?"
    turns = [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]
    return {"id": image, "image": image, "conversations": turns}


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def write_stills(folder: Path, told: dict[str, Any]) -> None:
    """Both frames of an annotation, in the folder of its set and split."""
    for key, moved in (("image_0", 10), ("image_1", 30)):
        path = folder / told[key]
        path.parent.mkdir(parents=True, exist_ok=True)
        still(moved).save(path, quality=100, subsampling=0)


def write_release(folder: Path) -> Path:
    """Four pairs: two of Ego4D's train, one of its val, one of EPIC-KITCHENS' train."""
    tables = {
        ("ego4d", "ego4d.fho", "train"): {
            CLIP: {
                "0": annotation(CLIP, "0", "#C C opens the drawer", llava_forecast_finetune="So."),
                "1": annotation(CLIP, "1", "#C C picks up a mug.", llava_forecast_finetune="Up."),
            }
        },
        ("ego4d", "ego4d.fho", "val"): {
            "c2": {"0": annotation("c2", "0", "#C C stirs", llava_forecast_finetune="Round.")}
        },
        ("epickitchen", "epickitchen", "train"): {
            "P01_01": {"P01_01_7": annotation("P01_01", "7", "Turn-on tap")}
        },
    }
    for (name, frames, split), clips in tables.items():
        write_json(folder / f"{name}_{split}.json", clips)
        for actions in clips.values():
            for told in actions.values():
                write_stills(folder / "EgoGen" / frames / split, told)
    write_json(folder / "ego4d_metadata.json", {CLIP: {"fps": 30.0, "height": 64, "boxes": []}})
    tuning = [
        conversation(f"{CLIP}/0/frame_120.jpg", "The right hand pulls the drawer."),
        conversation("c2/0/frame_120.jpg", "Of the train split, not of val."),
    ]
    write_json(folder / "curation_from_gpt" / "ego4d_for_tuning_forecasting.json", tuning)
    return folder
