"""Records episodes in the form of EPIC-KITCHENS-100, with what only a simulator knows beside it."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from egoframe.engine import WorkerDied, run_tasks
from egoframe.errors import UserError
from egoframe.kitchen.style import Split

FPS = 50
CRITICAL = ("pre", "contact", "pnr", "post")
PAIR = ("pre", "pnr")  # the frames of a pair: these carry boxes
JPEG_QUALITY = 95
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

# The words of the kitchen within EPIC-KITCHENS-100's classes: word → (class number, key).
VERB_CLASSES = {
    "take": (0, "take"), "put-down": (1, "put"), "wash": (2, "wash"), "open": (3, "open"),
    "close": (4, "close"), "turn-on": (6, "turn-on"), "cut": (7, "cut"),
    "turn-off": (8, "turn-off"), "pour": (9, "pour"), "stir": (10, "mix"), "press": (21, "press"),
    "wipe": (2, "wash"),
}  # fmt: skip
NOUN_CLASSES = {
    "tap": (0, "tap"), "spoon": (1, "spoon"), "plate": (2, "plate"), "cupboard": (3, "cupboard"),
    "knife": (4, "knife"), "pan": (5, "pan"), "bowl": (7, "bowl"), "drawer": (8, "drawer"),
    "sponge": (9, "sponge"), "glass": (10, "glass"), "mug": (13, "cup"), "bottle": (15, "bottle"),
    "cloth": (17, "cloth"), "spatula": (20, "spatula"), "hob": (24, "hob"), "water": (27, "water"),
    "pot": (29, "pot"), "oil": (31, "oil"), "bread": (33, "bread"), "jar": (40, "jar"),
    "carrot": (41, "carrot"), "counter": (42, "top"), "tomato": (43, "tomato"),
    "kettle": (44, "kettle"), "oven": (46, "oven"), "microwave": (90, "microwave"),
    "button": (92, "button"),
}  # fmt: skip


@dataclass(frozen=True)
class RecordConfig:
    """What a recording holds; two runs with equal settings give byte-identical frames."""

    kitchens: int = 10
    actions: int = 40  # in each kitchen
    seed: int = 0
    size: int = 256  # pixels, width and height
    frames_only: bool = False  # the frames of each pair as JPEG, instead of whole videos
    validation_share: float = 0.1  # of the kitchens, at least one


def record(out: Path, config: RecordConfig, workers: int | None = None) -> Iterator[str]:
    """Record kitchens on all cores; yields the id of each finished video.

    The same call again goes on where it was.

    Raises:
        UserError: unusable settings, no renderer or one that only crashes, another recording in
            `out`, or `out` cannot be written.
    """
    from egoframe.kitchen.render import unavailable

    _check(out, config)
    if (reason := unavailable()) is not None:
        raise UserError(reason)
    videos = [f"P{k + 1:02d}_01" for k in range(config.kitchens)]
    os.environ.setdefault("LP_NUM_THREADS", "1")  # one software-rendering thread a process
    todo = [k for k, video in enumerate(videos) if not _done(out, video).exists()]
    yield from (video for k, video in enumerate(videos) if k not in set(todo))
    for index, video in run_tasks(partial(_record_kitchen, out, config), todo, workers=workers):
        if isinstance(video, WorkerDied):
            name = videos[todo[index]]
            raise UserError(f"{out}: the renderer crashes in {name} ({video.why})")
        yield video
    _write_annotations(out, config, videos)


def split_of(config: RecordConfig, kitchen: int) -> Split:
    """The last kitchens of a recording are its validation split."""
    held_out = min(max(1, round(config.kitchens * config.validation_share)), config.kitchens - 1)
    return "validation" if kitchen >= config.kitchens - held_out else "train"


def _check(out: Path, config: RecordConfig) -> None:
    if config.kitchens < 2:
        raise UserError(f"--kitchens {config.kitchens}: at least 2, one for each split")
    if config.actions < 1:
        raise UserError(f"--actions {config.actions}: at least 1")
    if not 32 <= config.size <= 1024 or config.size % 2:
        raise UserError(f"--size {config.size}: an even number of pixels from 32 to 1024")
    if config.seed < 0:
        raise UserError(f"--seed {config.seed}: 0 or more")
    if not 0 <= config.validation_share < 1:
        raise UserError(f"--validation-share {config.validation_share}: from 0 to below 1")
    settings = asdict(config)
    path = out / "recording.json"
    try:
        if path.exists():
            if json.loads(path.read_text(encoding="utf-8")) != settings:
                raise UserError(
                    f"{out}: holds a recording with other settings; give another folder"
                )
            return
        out.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror})") from None


def _done(out: Path, video: str) -> Path:
    return out / "parts" / f"{video}.jsonl"


def _record_kitchen(out: Path, config: RecordConfig, kitchen: int) -> str:
    """Record one kitchen's video and its annotations; the annotations come last."""
    import numpy as np

    from egoframe.kitchen.episode import plan_episode
    from egoframe.kitchen.render import Renderer
    from egoframe.kitchen.world import World

    participant = f"P{kitchen + 1:02d}"
    video = f"{participant}_01"
    split = split_of(config, kitchen)
    seed = config.seed * 100_003 + kitchen
    world = World(seed, split)
    episode = plan_episode(world, np.random.default_rng([seed, 23]), config.actions)
    renderer = Renderer(world, config.size)
    try:
        records = []
        wanted: dict[int, None] = {}
        for number, performed in enumerate(episode.actions):
            times = {key: round(t * FPS) / FPS for key, t in performed.times.items()}
            frames: dict[str, dict[str, object]] = {key: {} for key in CRITICAL}
            for key in PAIR:
                episode.apply(times[key])
                names = [str(part["name"]) for part in _named(performed.facts)]
                frames[key] = {"boxes": [_describe(world, b) for b in renderer.boxes(names)]}
                wanted[round(times[key] * FPS)] = None
            records.append(
                {
                    "narration_id": f"{video}_{number}",
                    "video_id": video,
                    "split": split,
                    "narration": performed.action.narration,
                    "times": times,
                    "frames": frames,
                    **performed.facts,
                }
            )
        if config.frames_only:
            _write_frames(out, video, episode, renderer, sorted(wanted))
        else:
            _write_video(out, video, episode, renderer)
    finally:
        renderer.close()
    duration = round(episode.duration * FPS) / FPS
    lines = [json.dumps({"video_id": video, "duration": duration, "size": config.size})]
    lines += [json.dumps(record) for record in records]
    _write_text(_done(out, video), "\n".join(lines) + "\n")
    return video


def _named(facts: dict) -> list[dict]:  # type: ignore[type-arg]
    """The items that a record speaks of."""
    parts = [
        facts["item"],
        facts["tool"],
        facts["from"],
        facts["to"],
        facts["other_hand"].get("item"),
    ]
    seen = {part["name"]: part for part in parts if part and "color" in part}
    return list(seen.values())


def _describe(world, box: dict) -> dict:  # type: ignore[no-untyped-def, type-arg]
    item = world.items.get(box["label"])
    return box if item is None else {**box, "noun": item.noun, "color": item.color}


def _write_frames(out: Path, video: str, episode, renderer, frames: list[int]) -> None:  # type: ignore[no-untyped-def]
    from PIL import Image

    participant = video.partition("_")[0]
    final = out / "rgb_frames" / participant / video
    temporary = final.with_name(f"{video}.writing")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    for frame in frames:
        episode.apply(frame / FPS)
        path = temporary / f"frame_{frame + 1:010d}.jpg"
        Image.fromarray(renderer.rgb()).save(path, quality=JPEG_QUALITY, subsampling=0)
    shutil.rmtree(final, ignore_errors=True)
    temporary.rename(final)


def _write_video(out: Path, video: str, episode, renderer) -> None:  # type: ignore[no-untyped-def]
    import av

    participant = video.partition("_")[0]
    final = out / "videos" / participant / f"{video}.MP4"
    temporary = final.with_suffix(".writing.mp4")
    final.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(temporary), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width = stream.height = renderer.size
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "18", "preset": "fast", "threads": "1"}
        for frame in range(round(episode.duration * FPS)):
            episode.apply(frame / FPS)
            picture = av.VideoFrame.from_ndarray(renderer.rgb(), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    temporary.rename(final)


def _write_annotations(out: Path, config: RecordConfig, videos: list[str]) -> None:
    """EPIC-KITCHENS-100's tables, and simulator.jsonl, from the parts of all videos."""
    rows: dict[str, list[dict[str, object]]] = {"train": [], "validation": []}
    info, simulator = [], []
    for video in videos:
        head, *lines = _done(out, video).read_text(encoding="utf-8").splitlines()
        told = json.loads(head)
        resolution = f"{told['size']}x{told['size']}"
        info.append({"video_id": video, "duration": told["duration"], "fps": float(FPS),
                     "resolution": resolution})  # fmt: skip
        for line in lines:
            record = json.loads(line)
            rows[record["split"]].append(_row(record))
            simulator.append(line)
    for split, table in rows.items():
        _write_csv(out / f"EPIC_100_{split}.csv", COLUMNS, table)
    _write_csv(out / "EPIC_100_video_info.csv", ["video_id", "duration", "fps", "resolution"], info)
    for kind, classes in (("verb", VERB_CLASSES), ("noun", NOUN_CLASSES)):
        _write_csv(out / f"EPIC_100_{kind}_classes.csv", ["id", "key", "instances", "category"],
                   _class_rows(classes))  # fmt: skip
    _write_text(out / "simulator.jsonl", "\n".join(simulator) + "\n")


def _row(record: dict) -> dict[str, object]:  # type: ignore[type-arg]
    start, stop = record["times"]["start"], record["times"]["stop"]
    noun_class = NOUN_CLASSES[record["noun"]][0]
    return {
        "narration_id": record["narration_id"],
        "participant_id": record["video_id"].partition("_")[0],
        "video_id": record["video_id"],
        "narration_timestamp": _clock(start, 3),
        "start_timestamp": _clock(start, 2),
        "stop_timestamp": _clock(stop, 2),
        "start_frame": round(start * FPS) + 1,
        "stop_frame": round(stop * FPS) + 1,
        "narration": record["narration"],
        "verb": record["verb"],
        "verb_class": VERB_CLASSES[record["verb"]][0],
        "noun": record["noun"],
        "noun_class": noun_class,
        "all_nouns": [record["noun"]],
        "all_noun_classes": [noun_class],
    }


def _class_rows(classes: dict[str, tuple[int, str]]) -> list[dict[str, object]]:
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


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".writing")
    temporary.write_text(text, encoding="utf-8")
    temporary.rename(path)
