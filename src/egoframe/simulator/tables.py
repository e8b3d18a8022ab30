"""The tables of a recording, with EPIC-KITCHENS-100's columns and formats, and nothing more."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from egoframe.simulator.language import Classes, Language

COLUMNS = [
    "narration_id",
    "participant_id",
    "video_id",
    "narration_timestamp",
    "start_timestamp",
    "stop_timestamp",
    "start_frame",
    "stop_frame",
    "narration",
    "verb",
    "verb_class",
    "noun",
    "noun_class",
    "all_nouns",
    "all_noun_classes",
]


def part_of(out: Path, video: str) -> Path:
    """The annotations of one video; once they are there, it is recorded."""
    return out / "parts" / f"{video}.jsonl"


def write_annotations(out: Path, videos: list[str], language: Language, fps: int) -> None:
    """EPIC-KITCHENS-100's tables, and simulator.jsonl, from the parts of all videos."""
    rows: dict[str, list[dict[str, object]]] = {"train": [], "validation": []}
    info, simulator = [], []
    for video in videos:
        head, *lines = part_of(out, video).read_text(encoding="utf-8").splitlines()
        told = json.loads(head)
        resolution = f"{told['size']}x{told['size']}"
        info.append({"video_id": video, "duration": told["duration"], "fps": float(fps),
                     "resolution": resolution})  # fmt: skip
        for line in lines:
            record = json.loads(line)
            rows[record["split"]].append(_row(record, language, fps))
            simulator.append(line)
    for split, table in rows.items():
        _write_csv(out / f"EPIC_100_{split}.csv", COLUMNS, table)
    _write_csv(out / "EPIC_100_video_info.csv", ["video_id", "duration", "fps", "resolution"], info)
    for kind, classes in (("verb", language.verb_classes), ("noun", language.noun_classes)):
        _write_csv(out / f"EPIC_100_{kind}_classes.csv", ["id", "key", "instances", "category"],
                   _class_rows(classes))  # fmt: skip
    write_text(out / "simulator.jsonl", "\n".join(simulator) + "\n")


def count_actions(out: Path) -> int:
    """How many actions a finished recording holds."""
    with (out / "simulator.jsonl").open(encoding="utf-8") as file:
        return sum(1 for _ in file)


def _row(record: dict, language: Language, fps: int) -> dict[str, object]:  # type: ignore[type-arg]
    start, stop = record["times"]["start"], record["times"]["stop"]
    noun_class = language.noun_classes[record["noun"]][0]
    return {
        "narration_id": record["narration_id"],
        "participant_id": record["video_id"].partition("_")[0],
        "video_id": record["video_id"],
        "narration_timestamp": _clock(start, 3),
        "start_timestamp": _clock(start, 2),
        "stop_timestamp": _clock(stop, 2),
        "start_frame": round(start * fps) + 1,
        "stop_frame": round(stop * fps) + 1,
        "narration": record["narration"],
        "verb": record["verb"],
        "verb_class": language.verb_classes[record["verb"]][0],
        "noun": record["noun"],
        "noun_class": noun_class,
        "all_nouns": [record["noun"]],
        "all_noun_classes": [noun_class],
    }


def _class_rows(classes: Classes) -> list[dict[str, object]]:
    words: dict[tuple[int, str], list[str]] = {}
    for word, key in sorted(classes.items(), key=lambda pair: pair[1]):
        words.setdefault(key, []).append(word)
    return [
        {"id": number, "key": key, "instances": found, "category": ""}
        for (number, key), found in words.items()
    ]


def _clock(seconds: float, digits: int) -> str:
    """EPIC-KITCHENS' timestamps: 00:01:02.34."""
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes) // 60:02d}:{int(minutes) % 60:02d}:{rest:0{3 + digits}.{digits}f}"


def _write_csv(path: Path, columns: list[str], rows: list[dict[str, object]]) -> None:
    temporary = path.with_suffix(".writing")
    with temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    temporary.rename(path)


def write_text(path: Path, text: str) -> None:
    """Write a file that is whole or absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".writing")
    temporary.write_text(text, encoding="utf-8")
    temporary.rename(path)
