"""How fast sparse frames are extracted and written, beside PyAV merely decoding.

    python -m benchmarks.decoding --folder runs/decoding --out docs/results/decoding.json

Makes videos of moving, noisy content (or takes those that are in the folder), wants pairs of frames
at random times, and lets three things take turns, with as many processes and the same list:

    sparse  `read_frames` fitted into 256², and JPEG files of quality 95: the work of curation
    gops    PyAV decodes every GOP that holds a wanted frame, from end to end, and keeps nothing
    needed  PyAV decodes those GOPs, each only as far as its last wanted frame
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import av
import numpy as np
from PIL import Image

from egoframe.curation.video import UnreadableMedia, read_frames

RATE = Fraction(60000, 1001)
KINDS = [(456, 256, 60), (456, 256, 250), (1280, 720, 60), (1280, 720, 250)]  # width, height, GOP


@dataclass(frozen=True)
class Task:
    """Some frames that are wanted of a video, and the GOPs that hold them."""

    video: Path
    times: list[float]
    gops: list[tuple[int, int, int]]  # presentation times: keyframe, last wanted, last


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("runs/decoding"))
    parser.add_argument("--seconds", type=int, default=40, help="how long each video is")
    parser.add_argument("--pairs", type=int, default=20, help="wanted of each video")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with get_context("spawn").Pool(arguments.workers) as pool:
        jobs = [(arguments.folder, kind, arguments.seconds) for kind in KINDS]
        videos = pool.starmap(make_video, jobs, chunksize=1)
        result = {
            "videos": f"{arguments.seconds} s each, 59.94 frames/s, H.264 with B-frames",
            "pairs of each": arguments.pairs,
            "workers": arguments.workers,
            "turns": arguments.turns,
        }
        for kind, video in zip(KINDS, videos, strict=True):
            # As many equal tasks as processes, so that none waits for another's.
            tasks = [wanted(video, arguments.pairs, seed) for seed in range(arguments.workers)]
            result[video.stem] = measure(pool, tasks, arguments.turns) | {"GOP": kind[2]}
    text = json.dumps(result, indent=1)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n")


def measure(pool, tasks: list[Task], turns: int) -> dict[str, float]:  # type: ignore[no-untyped-def]
    """Frames per second of each, medians over the turns, and how they compare in the same turn."""
    ways = {"sparse": extract, "gops": decode_gops, "needed": decode_needed}
    frames = sum(len(task.times) for task in tasks)
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(turns):
        for name, way in ways.items():
            started = time.monotonic()
            pool.map(way, tasks, chunksize=1)
            rates[name].append(frames / (time.monotonic() - started))
    result = {f"{name}, frames/s": round(statistics.median(r), 1) for name, r in rates.items()}
    for limit in ("gops", "needed"):
        ratios = [ours / most for ours, most in zip(rates["sparse"], rates[limit], strict=True)]
        result[f"sparse / {limit}"] = round(statistics.median(ratios), 3)
        result[f"sparse / {limit}, worst turn"] = round(min(ratios), 3)
    return result


def extract(task: Task) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for index, picture in read_frames(task.video, task.times, float(RATE), 256):
            if isinstance(picture, UnreadableMedia):
                raise picture
            path = f"{folder}/{index:06d}.jpg"
            Image.fromarray(picture).save(path, "JPEG", quality=95, subsampling=0)


def decode_gops(task: Task) -> None:
    _decode(task.video, [(first, last) for first, _, last in task.gops])


def decode_needed(task: Task) -> None:
    _decode(task.video, [(first, wanted) for first, wanted, _ in task.gops])


def _decode(video: Path, spans: list[tuple[int, int]]) -> None:
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for first, last in spans:
            container.seek(first, stream=stream)
            for frame in container.decode(stream):
                if frame.pts is not None and frame.pts >= last:
                    break


def wanted(video: Path, pairs: int, seed: int) -> Task:
    """Random pairs, 0.3 to 1.5 seconds apart, and where they lie, looked up once in the packets."""
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        packets = [(p.pts, p.is_keyframe) for p in container.demux(stream) if p.pts is not None]
        base = float(stream.time_base or 0)
    shown = np.array(sorted(pts for pts, _ in packets))
    keys = sorted(pts for pts, is_key in packets if is_key)
    rng = np.random.default_rng(seed)
    starts = rng.uniform(0, (shown[-1] - shown[0]) * base - 2, pairs)
    times = sorted([*starts, *(starts + rng.uniform(0.3, 1.5, pairs))])
    last_wanted: dict[int, int] = {}
    for moment in times:
        pts = int(shown[np.abs((shown - shown[0]) * base - moment).argmin()])
        last_wanted[bisect_right(keys, pts) - 1] = pts
    ends = [int(shown[shown < after][-1]) for _, after in pairwise([*keys, shown[-1] + 1])]
    gops = [(keys[gop], pts, ends[gop]) for gop, pts in last_wanted.items()]
    return Task(video, [float(moment) for moment in times], gops)


def make_video(folder: Path, kind: tuple[int, int, int], seconds: int) -> Path:
    """x264's own settings but for the GOP; made once."""
    width, height, gop = kind
    path = folder / f"{width}x{height}-gop{gop}-{seconds}s.mp4"
    if path.exists():
        return path
    unfinished = path.with_suffix(".part.mp4")
    with av.open(str(unfinished), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.thread_count = 1
        stream.options = {"g": str(gop), "crf": "23"}
        for picture in moving_content(width, height, seconds * 60):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    unfinished.rename(path)
    return path


def moving_content(width: int, height: int, count: int) -> Iterator[np.ndarray]:
    """A head that turns over a textured room in which things move, as a noisy camera sees it."""
    rng = np.random.default_rng(0)
    room = np.zeros((2 * height, 2 * width, 3))
    for grain in (2, 8, 32, 128):  # about as much in coarse structure as in fine, as in nature
        coarse = rng.uniform(0, 255, (2 * height // grain + 1, 2 * width // grain + 1, 3))
        layer = Image.fromarray(coarse.astype(np.uint8)).resize((2 * width, 2 * height))
        room += np.asarray(layer, float) / 4
    noise = [rng.normal(0, 3, (height, width, 3)) for _ in range(7)]
    for number in range(count):
        second = number / 60
        x = int(width * (0.5 + 0.4 * np.sin(0.9 * second) + 0.03 * np.sin(5 * second)))
        y = int(height * (0.5 + 0.3 * np.sin(0.7 * second) + 0.03 * np.sin(7 * second)))
        picture = room[y : y + height, x : x + width] + noise[number % len(noise)]
        for thing in range(3):
            across = int((width - width // 6) * (0.5 + 0.5 * np.sin((1 + thing) * second)))
            down = height // 8 + thing * height // 4
            piece = picture[down : down + height // 5, across : across + width // 6]
            piece[:] = 255 - piece[::-1]
        yield np.clip(picture, 0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()
