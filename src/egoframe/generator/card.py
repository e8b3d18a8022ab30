"""The card of a model: its task, its use, what is known of it, and whose work it is."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from egoframe import __version__
from egoframe.curation.card import LEGO, LICENCES
from egoframe.errors import UserError, first_line
from egoframe.released import RECORD

CARD = "README.md"
STARTS = ("start_from", "model")  # settings that name what a training went on from


@dataclass(frozen=True)
class Learnt:
    """What a model learnt from.

    Attributes:
        sources: pairs of each source.
        settings: of the run, by their dotted names.
    """

    sources: Mapping[str, int]
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, dataset: Any, run: Path) -> Learnt:
        """From a dataset's `source` column and the `settings.json` of a run's folder, if it has
        one; paths of this machine are left out."""
        path = run / "settings.json"
        told = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        settings = {
            key: value
            for key, value in told.items()
            if key != "out" and not (isinstance(value, str) and ("/" in value or "\\" in value))
        }
        begun = {key: "a folder" for key in STARTS if told.get(key) and key not in settings}
        return cls(Counter(dataset["source"]), settings | begun)

    @property
    def licence(self) -> str:
        """The hub's name of the licence of what was learnt from; "other" where it is not one."""
        found = {LICENCES.get(source, ("other", ""))[0] for source in self.sources}
        begun = any(self.settings.get(name) for name in STARTS)
        return found.pop() if len(found) == 1 and not begun else "other"


def model_card(folder: Path, name: str | None = None, learnt: Learnt | None = None) -> str:
    """A model's README.md, with the front matter that hubs read.

    Arguments:
        folder: the model, in diffusers' layout.
        name: its id on the hub, where it has one.
    Raises:
        UserError: a file of the folder cannot be read.
    """
    from huggingface_hub import ModelCardData

    front = ModelCardData(
        license=learnt.licence if learnt else "other",
        language="en",
        library_name="egoframe",
        pipeline_tag="image-to-image",
        tags=["diffusers", "egocentric", "action-frame-generation"],
    )
    index = read_object(folder / "model_index.json")
    model = name or "FOLDER OR HUB ID OF THIS MODEL"
    return f"""\
---
{front.to_yaml().strip()}
---

# Egocentric action frames

From a first-person photo and an action ("open the drawer") this model draws what the person would
see while doing it: the task of LEGO (Lai et al., ECCV 2024). Written by egoframe {__version__}.

## How to use it

```python
import egoframe
from PIL import Image

pipe = egoframe.load("{model}")
picture = pipe(Image.open("photo.jpg"), "open the drawer").images[0]
```

or `egoframe generate photo.jpg "open the drawer" --model "{model}"`, or by diffusers, where
egoframe is installed too; this runs `pipeline.py`, which only imports it:

```python
import torch
from diffusers import DiffusionPipeline

pipe = DiffusionPipeline.from_pretrained(
    "{model}",
    custom_pipeline="{model}",
    trust_remote_code=True,
    dtype=torch.float32,  # on a GPU torch.float16
)
```

Schedulers, LoRA, offloading and `save_pretrained` work as in diffusers' own pipelines. Warnings of
photos and words that the model never learnt from come with `egoframe.load` alone.

## What it is made of

| part | kind | parameters |
|---|---|---:|
{_parts(folder, index)}
{_settings({key: value for key, value in index.items() if key[0] != "_"})}
## What it learnt from

{_origin(folder, learnt)}
## Limits

- It draws a likely moment, not what will happen or did happen: its pictures are no evidence.
- Photos unlike those that it learnt from are drawn poorly, and so are hands and what they hold.
{_words(folder)}- How good it is, this card does not say: `egoframe evaluate` measures it.

## Licence

{_licence(folder, learnt)}
## Citation

```bibtex
{LEGO}
```
"""


def _parts(folder: Path, index: Mapping[str, Any]) -> str:
    lines = ""
    for part, kind in sorted(index.items()):
        if isinstance(kind, list) and kind[0] is not None:
            size = _parameters(folder / part)
            lines += f"| `{part}` | `{kind[1]}` | {f'{size:,}' if size else '–'} |\n"
    return lines


def _parameters(part: Path) -> int:
    from safetensors import SafetensorError, safe_open

    total = 0
    for file in sorted(part.glob("*.safetensors")):
        try:
            with safe_open(file, "numpy") as weights:
                shapes = [weights.get_slice(key).get_shape() for key in weights.offset_keys()]
        except (OSError, SafetensorError) as error:
            raise UserError(f"{file}: cannot be read ({first_line(error)})") from None
        total += sum(map(math.prod, shapes))
    return total


def _settings(settings: Mapping[str, Any]) -> str:
    plain = {key: value for key, value in settings.items() if not isinstance(value, list | dict)}
    lines = "".join(f"{key}: {json.dumps(value)}\n" for key, value in sorted(plain.items()))
    return f"```yaml\n{lines}```\n"


def _origin(folder: Path, learnt: Learnt | None) -> str:
    if learnt is not None:
        rows = "".join(
            f"| {source} | {count:,} | {LICENCES.get(source, ('', 'as of the recordings'))[1]} |\n"
            for source, count in sorted(learnt.sources.items())
        )
        told = f"\nThe run's settings:\n\n{_settings(learnt.settings)}" if learnt.settings else ""
        return f"""\
| source | pairs | licence of the frames |
|---|---:|---|
{rows}{told}"""
    if (folder / RECORD).exists():
        made = "".join(
            f"- {part}: {told.get('repo') or 'files at hand'}"
            + (f" at {told['revision']}" if told.get("revision") else "")
            + "\n"
            for part, told in read_object(folder / RECORD).items()
            if isinstance(told, dict)
        )
        return f"""\
Its authors tell. It was converted from their files:

{made}"""
    return "This card was made from the model's files alone, which do not tell: say it here.\n"


def _licence(folder: Path, learnt: Learnt | None) -> str:
    if learnt is not None:
        return f"""\
`{learnt.licence}`, going by the frames. What their licences ask for, and that of a model from which
training went on, may bind the weights too: see to it before you pass them on.
"""
    if (folder / RECORD).exists():
        return "The terms of its authors, of its language model and of its CLIP.\n"
    return "Whoever made it says who may use it, and for what: say it here.\n"


def _words(folder: Path) -> str:
    path = folder / "familiarity.json"
    words = read_object(path).get("words") if path.exists() else None
    if not words:
        return ""
    return f"- Of actions it learnt these {len(words)} words, and no others: {', '.join(words)}.\n"


def read_object(path: Path) -> dict[str, Any]:
    """The object that a JSON file holds.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({first_line(error)})") from None
    if not isinstance(told, dict):
        raise UserError(f"{path}: cannot be read (no JSON object)")
    return told
