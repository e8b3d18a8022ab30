"""Reads the dataset that LEGO's authors released: pairs of stills, with their descriptions.

```
ego4d_train.json ego4d_val.json epickitchen_train.json epickitchen_val.json    # any of them
    clip → action → image_0, image_1, action (the narration), llava_forecast_finetune (what their
    language model wrote)
ego4d_metadata.json epickitchen_metadata.json                                  # clip → fps, …
EgoGen/{ego4d.fho,epickitchen}/{train,val}/CLIP/ACTION/NAME.jpg
curation_from_gpt/{ego4d,epickitchen}_for_tuning_forecasting.json
    conversations in LLaVA's format, about some input frames of train: what GPT wrote
```
GPT's description goes before the language model's, which learnt from it. Frames have times where
both their names end in a number of three digits or more, taken for the frame's in the clip, and the
frame rate is known; elsewhere times are nan.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any
from urllib.parse import quote

from egoframe.errors import UserError
from egoframe.pairs import normalise_action
from egoframe.sources.clip import ActionClip, flawed
from egoframe.sources.narration import plain_action
from egoframe.sources.reading import (
    FILE_NAME,
    mapping,
    number,
    read_json,
    safe_name,
    sequence,
    text,
    unique,
)

FRAMES = {"ego4d": "ego4d.fho", "epickitchen": "epickitchen"}  # folder of each set
SOURCES = {"ego4d": "lego-ego4d", "epickitchen": "lego-epic-kitchens-100"}
SPLITS = {"train": "train", "val": "validation"}
GPT, VLLM = "gpt-curation", "lego-vllm"  # who wrote a description
FRAME_NUMBER = re.compile(r"(?<!\d)\d{3,10}$", re.ASCII)


@dataclass
class LegoSource:
    """A folder of LEGO's dataset.

    Attributes:
        anomalies: how many annotations have each flaw that costs no pair; counted while reading.
    """

    folder: Path
    anomalies: Counter[str] = field(default_factory=Counter)

    def clips(self) -> Iterator[ActionClip]:
        """Every annotated action, in the order of the tables.

        Raises:
            UserError: no annotations or no frames here, or a file that is not LEGO's.
        """
        tables = {(s, split): self.folder / f"{s}_{split}.json" for s in FRAMES for split in SPLITS}
        if not any(path.exists() for path in tables.values()):
            raise UserError(
                f"{self.folder}: none of {', '.join(path.name for path in tables.values())} here; "
                "give the folder that holds LEGO's annotations"
            )
        if not (self.folder / "EgoGen").is_dir():
            raise UserError(
                f"{self.folder}: no folder EgoGen here; unpack LEGO's frames beside its annotations"
            )
        return unique(
            clip
            for (name, split), path in tables.items()
            for clip in self._table(name, split, path)
        )

    def _table(self, name: str, split: str, path: Path) -> Iterator[ActionClip]:
        rates = self._rates(name)
        written = self._written_by_gpt(name) if split == "train" else {}
        for clip_id, actions in read_json(path, dict, "LEGO's").items():
            if not FILE_NAME.fullmatch(clip_id) or not isinstance(actions, dict):
                yield self._flawed(name, split, safe_name(clip_id), "clip cannot be read")
                continue
            for action_id, told in actions.items():
                rate = rates.get(clip_id, math.nan)
                yield self._clip(name, split, clip_id, action_id, mapping(told), rate, written)

    def _flawed(
        self, name: str, split: str, video: str, flaw: str, clip_id: str = "", narration: str = ""
    ) -> ActionClip:
        media = self.folder / "EgoGen" / FRAMES[name] / split
        clip_id = clip_id or video
        return flawed(clip_id, SOURCES[name], SPLITS[split], video, media, flaw, narration)

    def _clip(
        self,
        name: str,
        split: str,
        video: str,
        action_id: str,
        told: dict[str, Any],
        fps: float,
        written: dict[str, str],
    ) -> ActionClip:
        clip_id = f"{video}_{quote(action_id, safe='', errors='replace')}"
        try:
            first, second, narration, action = _read(told, conjugated=name == "ego4d")
        except ValueError as flaw:
            narration = text(told.get("action")) or ""
            return self._flawed(name, split, video, str(flaw), clip_id, narration)
        words = normalise_action(action).split()
        by_vllm = text(told.get("llava_forecast_finetune"))
        description, author = (written[first], GPT) if first in written else (by_vllm, VLLM)
        before, during = self._times(first, second, fps)
        return ActionClip(
            clip_id=clip_id,
            source=SOURCES[name],
            split=SPLITS[split],
            video_id=video,
            media=self.folder / "EgoGen" / FRAMES[name] / split,
            fps=fps,
            start=before,
            stop=during,
            narration=narration,
            verb=words[0],
            noun=words[-1] if len(words) > 1 else "",
            critical={"pre": before, "pnr": during},
            action=action,
            stills=(first, second),
            description=description,
            description_source=author if description else None,
        )

    def _times(self, first: str, second: str, fps: float) -> tuple[float, float]:
        """Of both frames, in seconds; nan where they are not known."""
        a, b = (FRAME_NUMBER.search(PurePosixPath(name).stem) for name in (first, second))
        if fps > 0 and a and b and int(a[0]) < int(b[0]):
            return int(a[0]) / fps, int(b[0]) / fps
        self.anomalies["times unknown"] += 1
        return math.nan, math.nan

    def _rates(self, name: str) -> dict[str, float]:
        """Frames/s of each clip whose metadata tell it."""
        clips = read_json(self.folder / f"{name}_metadata.json", dict, "LEGO's")
        rates = {key: number(mapping(told).get("fps")) for key, told in clips.items()}
        return {key: fps for key, fps in rates.items() if fps and fps > 0}

    def _written_by_gpt(self, name: str) -> dict[str, str]:
        """GPT's descriptions, by input frame."""
        path = self.folder / "curation_from_gpt" / f"{name}_for_tuning_forecasting.json"
        written: dict[str, str] = {}
        for conversation in read_json(path, list, "LEGO's"):
            image, answer = _answered(mapping(conversation))
            if image is None or answer is None:
                self.anomalies["conversation cannot be read"] += 1
            else:
                written.setdefault(image, answer)
        return written


def _read(told: dict[str, Any], conjugated: bool) -> tuple[str, str, str, str]:
    """Both frames of an action, its narration, and the action in plain words.

    Raises:
        ValueError: no pair can be made of it; says why.
    """
    first, second, narration = (text(told.get(k)) for k in ("image_0", "image_1", "action"))
    if first is None or second is None or narration is None:
        raise ValueError("no image_0, image_1 or action")
    if _leaves_folder(first) or _leaves_folder(second):
        raise ValueError("frame outside the folder")
    action = plain_action(narration) if conjugated else narration
    if not normalise_action(action):
        raise ValueError("no action in the narration")
    return first, second, narration, action


def _answered(told: dict[str, Any]) -> tuple[str | None, str | None]:
    """The picture that a conversation is about, and the first answer in it."""
    turns = map(mapping, sequence(told.get("conversations")))
    said = (turn.get("value") for turn in turns if turn.get("from") == "gpt")
    return text(told.get("image")), text(next(said, None))


def _leaves_folder(name: str) -> bool:
    """Whether a path may lead out of the folder it is read from, on any system."""
    path = PureWindowsPath(name)  # knows slashes, backslashes and drives
    return bool(path.anchor) or ".." in path.parts or "\0" in name
