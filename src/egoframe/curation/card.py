"""The card of a dataset: what it holds, where that comes from, and under which licence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from egoframe import __version__
from egoframe.pairs import SPLITS, read_rows, shards
from egoframe.storage import Folder

LICENCES = {  # by source: the hub's name of the licence, and what to know of it
    "kitchen": ("apache-2.0", "Apache-2.0: rendered by egoframe's built-in kitchen"),
    "workshop": ("apache-2.0", "Apache-2.0: rendered by egoframe's built-in bicycle workshop"),
    "epic-kitchens-100": ("cc-by-nc-4.0", "CC BY-NC 4.0, as EPIC-KITCHENS-100 and VISOR are"),
    "hd-epic": ("cc-by-nc-4.0", "CC BY-NC 4.0, as HD-EPIC is"),
    "lego-epic-kitchens-100": ("cc-by-nc-4.0", "CC BY-NC 4.0, as EPIC-KITCHENS-100 is"),
    "ego4d": ("other", "Ego4D's licence agreement, which does not let frames be passed on"),
    "lego-ego4d": ("other", "Ego4D's licence agreement, which does not let frames be passed on"),
    "lerobot": ("other", "as the card of the LeRobot dataset says that they come from"),
    "clips": ("other", "whatever those allow who made the videos"),
}
CLOSED = ("ego4d", "lego-ego4d")  # sources whose frames may not be passed on
EPIC = """\
Damen et al., *Rescaling Egocentric Vision: Collection, Pipeline and Challenges for \
EPIC-KITCHENS-100*, IJCV 130, 2022"""
EGO4D = "Grauman et al., *Ego4D: Around the World in 3,000 Hours of Egocentric Video*, CVPR 2022"
REFERENCES = {  # by source: whose work its annotations and recordings are
    "epic-kitchens-100": EPIC
    + "; of boxes: Darkhalil et al., *EPIC-KITCHENS VISOR Benchmark*, NeurIPS 2022",
    "lego-epic-kitchens-100": EPIC,
    "hd-epic": "Perrett et al., *HD-EPIC: A Highly-Detailed Egocentric Video Dataset*, CVPR 2025",
    "ego4d": EGO4D,
    "lego-ego4d": EGO4D,
}
COLUMNS = """\
| column | what |
|---|---|
| `pair_id`, `source`, `split`, `video_id` | which annotation of which recording |
| `narration`, `action`, `verb`, `noun` | as annotated, and in plain words |
| `description`, `description_source`, `description_flags` | the enriched action, who or what \
wrote it, and what it names that nobody annotated; null where there is none |
| `input_frame`, `action_frame` | shortly before the action, and while it happens |
| `input_time`, `action_time` | of the frames, in seconds from the video's first |
| `input_boxes`, `action_boxes` | hands and things, where somebody annotated them; corners in 0..1 \
of width and height, and what a hand touches |
| `similarity`, `sharpness`, `exposure`, `camera_motion`, `hands`, `aesthetic` | what the filters \
looked at; null where nothing told |
| `facts` | what only a simulator knows, as JSON |"""
PEOPLE = "- Recordings show people's hands and homes; do not try to find out whose they are.\n"
LEGO = """\
@inproceedings{lai2024lego,
  title     = {{LEGO}: Learning {EGO}centric Action Frame Generation via Visual Instruction Tuning},
  author    = {Lai, Bolin and Dai, Xiaoliang and Chen, Lawrence and Pang, Guan and Rehg, James M.
               and Liu, Miao},
  booktitle = {European Conference on Computer Vision (ECCV)},
  year      = {2024}
}"""


def card(folder: Folder, told: Mapping[str, Any]) -> str:
    """A dataset's README.md, with the front matter that hubs and `datasets.load_dataset` read.

    Arguments:
        folder: the dataset, whose shards are written.
        told: the fields of its `curation.build.BuildReport`.
    """
    from huggingface_hub import DatasetCardData

    kept: dict[str, int] = told["kept"]
    total = sum(kept.values())
    splits = [split for split in SPLITS if kept[split]]
    found = sources(folder, shards(folder)) if total else Counter()
    licences = sorted({_licence(source)[0] for source in found})
    origins = "".join(f"| {s} | {n:,} | {_licence(s)[1]} |\n" for s, n in sorted(found.items()))
    references = sorted({REFERENCES[source] for source in found if source in REFERENCES})
    front = DatasetCardData(
        pretty_name="Egocentric action pairs",
        license=licences[0] if len(licences) == 1 else licences or None,
        language=["en"],
        task_categories=["image-to-image"],
        tags=["egocentric", "action-frame-generation"],
        size_categories=[_size_category(total)],
        configs=[
            {
                "config_name": "default",
                "data_files": [{"split": s, "path": f"{s}/*.parquet"} for s in splits],
            }
        ]
        if splits
        else None,
    )
    rejected = "".join(f"| {reason} | {n:,} |\n" for reason, n in told["rejected"].items())
    return f"""\
---
{front.to_yaml().strip()}
---

# Egocentric action pairs

Of every action two frames, as the person who acts sees them: one shortly before, and one while it
happens. Made by egoframe {__version__} for the task of LEGO (Lai et al., ECCV 2024): draw the
second from the first and from words.

```python
from datasets import load_dataset

pairs = load_dataset("PATH OR NAME OF THIS DATASET", split="{(splits or SPLITS)[0]}")
pairs[0]["input_frame"], pairs[0]["action"], pairs[0]["action_frame"]
```

## What it holds

{COLUMNS}

Of {told["clips"]:,} annotated actions, {total:,} are here ({_listed(kept)}). The others are in
`rejected.parquet`, each with its reason, the figures that decided, and thumbnails:

| reason | clips |
|---|---:|
{rejected}
`report.json` has the counts and every setting, `egoframe data report` shows them as a page.

## How it was made

- Frames are chosen by time, unless a source has chosen them: the moments that were annotated as
  critical, where there are such, else one before the action's start and one within the action.
- Pairs are dropped whose frames are too much or too little alike, blurred, dark or bright, or
  between which the camera turned; `report.json` has the thresholds. They were set on rendered
  pictures: of real recordings, look at some pairs before you rely on them.
- The whole frame is squeezed into {told["settings"]["size"]}×{told["settings"]["size"]} pixels, \
whatever its shape was, and kept as JPEG.
- Descriptions are not checked by people, unless `description_source` is `annotation`.
- No box need not mean that nothing is there: `hands` is null where nobody annotated the frame.
{PEOPLE if set(found) - {"kitchen", "workshop"} else ""}
## Where it comes from, and its licence

| source | pairs | licence of the frames |
|---|---:|---|
{origins}
## Citation

```bibtex
{LEGO}
```
{_cited(references)}"""


def sources(folder: Folder, names: Iterable[str]) -> Counter[str]:
    """How many rows of some of a dataset's files come from each source."""
    return Counter(row["source"] for name in names for row in read_rows(folder, name, ["source"]))


def _licence(source: str) -> tuple[str, str]:
    return LICENCES.get(source, ("other", "as of the recordings"))


def _cited(references: Iterable[str]) -> str:
    lines = "".join(f"- {reference}\n" for reference in references)
    return f"\nand those whose recordings these are:\n\n{lines}" if lines else ""


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


def _size_category(pairs: int) -> str:
    """The hub's name for a dataset of this many rows."""
    bounds = ((1_000, "1K"), (10_000, "10K"), (100_000, "100K"), (1_000_000, "1M"))
    below = "n<1K"
    for (bound, name), (_, following) in zip(bounds, (*bounds[1:], (0, "10M")), strict=True):
        if pairs >= bound:
            below = f"{name}<n<{following}"
    return below
