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

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, TypeVar
from urllib.parse import quote

from egoframe.errors import UserError
from egoframe.pairs import normalise_action
from egoframe.sources.clip import ActionClip
from egoframe.sources.narration import plain_action

FRAMES = {"ego4d": "ego4d.fho", "epickitchen": "epickitchen"}  # folder of each set
SOURCES = {"ego4d": "lego-ego4d", "epickitchen": "lego-epic-kitchens-100"}
SPLITS = {"train": "train", "val": "validation"}
GPT, VLLM = "gpt-curation", "lego-vllm"  # who wrote a description
FILE_NAME = re.compile(r"\w[\w.-]{0,99}", re.ASCII)
FRAME_NUMBER = re.compile(r"(?<!\d)\d{3,10}$", re.ASCII)

Json = TypeVar("Json", dict, list)


@dataclass
class LegoSource:
    """A folder of LEGO's dataset.

    Attributes:
        anomalies: how many annotations have each flaw; counted while reading.
    """

    folder: Path
    anomalies: Counter[str] = field(default_factory=Counter)

    def clips(self) -> Iterator[ActionClip]:
        """Every annotated action that can be read, in the order of the tables.

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
        seen: set[str] = set()
        for (name, split), path in tables.items():
            rates = self._rates(name)
            written = self._written_by_gpt(name) if split == "train" else {}
            for clip_id, action_id, told in self._annotations(path):
                clip = self._clip(name, split, clip_id, action_id, told, rates, written)
                if clip is None:
                    continue
                if clip.clip_id in seen:
                    self.anomalies["action given twice"] += 1
                    continue
                seen.add(clip.clip_id)
                yield clip

    def _annotations(self, path: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Clip, action and what is told of it."""
        for clip_id, actions in _read_json(path, dict).items():
            if not FILE_NAME.fullmatch(clip_id) or not isinstance(actions, dict):
                self.anomalies["clip cannot be read"] += 1
                continue
            for action_id, told in actions.items():
                yield clip_id, action_id, told if isinstance(told, dict) else {}

    def _clip(
        self,
        name: str,
        split: str,
        clip_id: str,
        action_id: str,
        told: dict[str, Any],
        rates: dict[str, float],
        written: dict[str, str],
    ) -> ActionClip | None:
        first, second, narration = (_text(told.get(k)) for k in ("image_0", "image_1", "action"))
        if first is None or second is None or narration is None:
            self.anomalies["no image_0, image_1 or action"] += 1
            return None
        if _leaves_folder(first) or _leaves_folder(second):
            self.anomalies["frame outside the folder"] += 1
            return None
        try:
            action = plain_action(narration) if name == "ego4d" else narration
        except ValueError as error:
            self.anomalies[str(error)] += 1
            return None
        words = normalise_action(action).split()
        if not words:
            self.anomalies["no action in the narration"] += 1
            return None
        by_vllm = _text(told.get("llava_forecast_finetune"))
        description, author = (written[first], GPT) if first in written else (by_vllm, VLLM)
        before, during = self._times(first, second, rates.get(clip_id))
        return ActionClip(
            clip_id=f"{clip_id}_{quote(action_id, safe='', errors='replace')}",
            source=SOURCES[name],
            split=SPLITS[split],
            video_id=clip_id,
            media=self.folder / "EgoGen" / FRAMES[name] / split,
            fps=rates.get(clip_id, math.nan),
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

    def _times(self, first: str, second: str, fps: float | None) -> tuple[float, float]:
        """Of both frames, in seconds; nan where they are not known."""
        a, b = (FRAME_NUMBER.search(PurePosixPath(name).stem) for name in (first, second))
        if fps and a and b and int(a[0]) < int(b[0]):
            return int(a[0]) / fps, int(b[0]) / fps
        self.anomalies["times unknown"] += 1
        return math.nan, math.nan

    def _rates(self, name: str) -> dict[str, float]:
        """Frames/s of each clip whose metadata tell it."""
        clips = _read_json(self.folder / f"{name}_metadata.json", dict)
        rates = {key: told.get("fps") for key, told in clips.items() if isinstance(told, dict)}
        return {key: float(fps) for key, fps in rates.items()
                if isinstance(fps, (int, float)) and 0 < fps < math.inf}  # fmt: skip

    def _written_by_gpt(self, name: str) -> dict[str, str]:
        """GPT's descriptions, by input frame."""
        path = self.folder / "curation_from_gpt" / f"{name}_for_tuning_forecasting.json"
        written: dict[str, str] = {}
        for conversation in _read_json(path, list):
            image, answer = _answered(conversation)
            if image is None or answer is None:
                self.anomalies["conversation cannot be read"] += 1
            else:
                written.setdefault(image, answer)
        return written


def _answered(conversation: Any) -> tuple[str | None, str | None]:
    """The picture that a conversation is about, and the first answer in it."""
    told = conversation if isinstance(conversation, dict) else {}
    turns = told.get("conversations")
    said = (
        turn.get("value")
        for turn in (turns if isinstance(turns, list) else [])
        if isinstance(turn, dict) and turn.get("from") == "gpt"
    )
    return _text(told.get("image")), _text(next(said, None))


def _text(value: Any) -> str | None:
    """Text without space around it or half characters, which no file can hold; else None."""
    if not isinstance(value, str):
        return None
    return value.encode("utf-8", "ignore").decode().strip() or None


def _leaves_folder(name: str) -> bool:
    """Whether a path may lead out of the folder it is read from, on any system."""
    path = PureWindowsPath(name)  # knows slashes, backslashes and drives
    return bool(path.anchor) or ".." in path.parts or "\0" in name


def _read_json(path: Path, kind: type[Json]) -> Json:
    """What a file holds; nothing if there is no such file."""
    if not path.exists():
        return kind()
    try:
        told = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({error})") from None
    if not isinstance(told, kind):
        raise UserError(f"{path}: no JSON {kind.__name__}; is this LEGO's file?")
    return told
