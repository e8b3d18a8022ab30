"""Records episodes in the form of EPIC-KITCHENS-100, with what only a simulator knows beside it."""

from __future__ import annotations

import copy
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from egoframe.engine import WorkerDied, run_tasks
from egoframe.errors import UserError
from egoframe.simulator.style import Split
from egoframe.simulator.tables import part_of, write_annotations, write_text

if TYPE_CHECKING:
    from egoframe.simulator.episode import Episode
    from egoframe.simulator.family import Family
    from egoframe.simulator.world import World

FPS = 50
CRITICAL = ("pre", "contact", "pnr", "post")
PAIR = ("pre", "pnr")  # the frames of a pair: these carry boxes
JPEG_QUALITY = 95
IN_VIEW = 0.9  # of the picture's half: what a still video shows should lie within
UNNAMED = "kitchen"  # the family that records do not name: there was no other


@dataclass(frozen=True)
class RecordConfig:
    """What a recording holds; two runs with equal settings give byte-identical frames."""

    scenes: int = 10
    actions: int = 40  # in each scene; still videos have as many as their task
    seed: int = 0
    size: int = 256  # pixels, width and height
    frames_only: bool = False  # the frames of each pair as JPEG, instead of whole videos
    validation_share: float = 0.1  # of the scenes, at least one
    tasks: float = 0.0  # share of the videos in which one task is done after another
    still: bool = False  # one task a video, before an eye that does not move


def record(
    out: Path, config: RecordConfig, family: Family, workers: int | None = None
) -> Iterator[str]:
    """Record scenes of a family on all cores; yields the id of each finished video.

    The same call again goes on where it was.

    Raises:
        UserError: unusable settings, no renderer or one that only crashes, another recording in
            `out`, or `out` cannot be written.
    """
    from egoframe.simulator.render import unavailable

    _check(out, config, family)
    if (reason := unavailable()) is not None:
        raise UserError(reason)
    language = family.language
    number = 2 if config.still else 1  # of the videos of one participant
    videos = [f"{language.participant}{k + 1:02d}_{number:02d}" for k in range(config.scenes)]
    os.environ.setdefault("LP_NUM_THREADS", "1")  # one software-rendering thread a process
    todo = [k for k, video in enumerate(videos) if not part_of(out, video).exists()]
    yield from (video for k, video in enumerate(videos) if k not in set(todo))
    jobs = [(videos[k], k) for k in todo]
    for index, video in run_tasks(
        partial(_record_scene, out, config, language.scene), jobs, workers=workers
    ):
        if isinstance(video, WorkerDied):
            raise UserError(f"{out}: the renderer crashes in {jobs[index][0]} ({video.why})")
        yield video
    write_annotations(out, videos, language, FPS)


def split_of(config: RecordConfig, scene: int) -> Split:
    """The last scenes of a recording are its validation split."""
    held_out = min(max(1, round(config.scenes * config.validation_share)), config.scenes - 1)
    return "validation" if scene >= config.scenes - held_out else "train"


def _check(out: Path, config: RecordConfig, family: Family) -> None:
    if config.scenes < 2:
        raise UserError(f"--{family.name}s {config.scenes}: at least 2, one for each split")
    if config.actions < 1:
        raise UserError(f"--actions {config.actions}: at least 1")
    if not 32 <= config.size <= 1024 or config.size % 2:
        raise UserError(f"--size {config.size}: an even number of pixels from 32 to 1024")
    if config.seed < 0:
        raise UserError(f"--seed {config.seed}: 0 or more")
    if not 0 <= config.validation_share < 1:
        raise UserError(f"--validation-share {config.validation_share}: from 0 to below 1")
    if not 0 <= config.tasks <= 1:
        raise UserError(f"--tasks {config.tasks}: a share, from 0 to 1")
    settings = {"family": family.name, **asdict(config)}
    path = out / "recording.json"
    try:
        if path.exists():
            if _settings_of(path) != settings:
                raise UserError(
                    f"{out}: holds a recording with other settings; give another folder"
                )
            return
        out.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror})") from None


def _settings_of(path: Path) -> dict[str, object]:
    """The settings of a recording, also of one from before there were families and tasks."""
    found = json.loads(path.read_text(encoding="utf-8"))
    if "kitchens" in found:
        found["scenes"] = found.pop("kitchens")
    return {"family": "kitchen", "tasks": 0.0, "still": False, **found}


def _record_scene(out: Path, config: RecordConfig, scene: str, job: tuple[str, int]) -> str:
    """Record one scene's video and its annotations; the annotations come last."""
    from egoframe.scenes import open_family
    from egoframe.simulator.render import Renderer
    from egoframe.simulator.world import World

    video, number = job
    split = split_of(config, number)
    seed = config.seed * 100_003 + number
    family = open_family(scene)
    world = World(seed, split, family=family)
    episode = _plan(world, seed, config)
    renderer = Renderer(world, config.size)
    try:
        records = []
        wanted: dict[int, None] = {}
        before = 0.0
        for number, performed in enumerate(episode.actions):
            times = {key: round(t * FPS) / FPS for key, t in performed.times.items()}
            if config.still:  # a step's input frame is the one before on the storyboard
                times["pre"], before = before, times["pnr"]
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
                    **({} if scene == UNNAMED else {"scene": scene}),
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
    write_text(part_of(out, video), "\n".join(lines) + "\n")
    return video


def _plan(world: World, seed: int, config: RecordConfig) -> Episode:
    """What happens in a video."""
    import numpy as np

    from egoframe.simulator.episode import plan_episode, plan_task_episode
    from egoframe.simulator.tasks import feasible_tasks

    rng, chance = np.random.default_rng([seed, 23]), np.random.default_rng([seed, 29])
    if not config.still:
        return plan_episode(world, rng, config.actions, tasks=chance.random() < config.tasks)
    world.update()
    plans = feasible_tasks(world, world.family.first_state(world))
    if not plans:
        raise UserError(f"--still: no task can be done in the {world.family.name} of seed {seed}")
    steps = np.array([len(plan) for _, plan in plans])  # long tasks rather than short ones
    best = None
    for k in chance.choice(len(plans), len(plans), replace=False, p=steps / steps.sum()):
        # Rooms are wide: not every task is seen as a whole.
        episode = plan_task_episode(world, copy.deepcopy(rng), plans[k], still=True)
        if best is None or episode.spread() < best.spread():
            best = episode
        if best.spread() < IN_VIEW:
            break
    assert best is not None
    return best


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
