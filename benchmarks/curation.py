"""How fast a kitchen's recording becomes pairs, beside a loop of one OpenCV seek per frame.

    pip install opencv-python-headless
    python -m benchmarks.curation runs/kitchen/videos-256 --out docs/results/curation.json

Both read the same frames of the same videos, fit them into 256², and write them as JPEG; ours also
works out the figures of every pair, filters, and writes the dataset. They take turns, and the
median of the turns counts. `--copies` tells a recording several times over, to see the memory.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil

from egoframe.curation.build import BuildConfig, build_dataset, report
from egoframe.curation.selection import Moments, choose_moments
from egoframe.sources.clip import ActionClip
from egoframe.sources.epic import EpicSource
from egoframe.storage import Folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("recording", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--no-opencv", action="store_true")
    arguments = parser.parse_args()
    clips = list(EpicSource(arguments.recording).clips())
    config = BuildConfig()
    turns: dict[str, list[float]] = {"egoframe": [], "opencv": []}
    peaks = []
    for _ in range(arguments.turns):
        with tempfile.TemporaryDirectory() as folder, PeakMemory() as memory:
            started = time.monotonic()
            out = Folder(folder)
            list(build_dataset(copies(clips, arguments.copies), out, config, arguments.workers))
            turns["egoframe"].append(time.monotonic() - started)
            told = report(out)
        peaks.append(memory.peak / 2**20)
        if not arguments.no_opencv:
            started = time.monotonic()
            read_with_opencv(clips, config)
            turns["opencv"].append(time.monotonic() - started)
    result = {
        "actions": len(clips) * arguments.copies,
        "workers": arguments.workers,
        "kept": sum(told.kept.values()),
        "rejected": told.rejected,
        "seconds": {name: [round(t, 1) for t in times] for name, times in turns.items()},
        "peak_memory_mib": round(max(peaks)),
    }
    if not arguments.no_opencv:
        ours, theirs = (statistics.median(turns[name]) for name in ("egoframe", "opencv"))
        result["times_as_fast"] = round(theirs / ours, 2)
    text = json.dumps(result, indent=1)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")


def copies(clips: list[ActionClip], count: int) -> Iterator[ActionClip]:
    """The same clips several times over, under other names."""
    for k in range(count):
        for clip in clips:
            yield (
                clip
                if k == 0
                else replace(clip, clip_id=f"{clip.clip_id}-{k}", video_id=f"{clip.video_id}-{k}")
            )


def read_with_opencv(clips: list[ActionClip], config: BuildConfig) -> None:
    """A straightforward loop: a video is opened once, and sought for every frame."""
    import cv2

    videos: dict[Path, list[ActionClip]] = {}
    for clip in clips:
        videos.setdefault(clip.media, []).append(clip)
    folder = Path(tempfile.mkdtemp())
    quality = [cv2.IMWRITE_JPEG_QUALITY, config.jpeg_quality]
    for media, some in videos.items():
        capture = cv2.VideoCapture(str(media))
        rate = capture.get(cv2.CAP_PROP_FPS)
        for clip in some:
            moments = choose_moments([clip], config.selection)[clip.clip_id]
            assert isinstance(moments, Moments)
            for name, time_ in (("input", moments.before[0]), ("action", moments.during[0])):
                capture.set(cv2.CAP_PROP_POS_FRAMES, round(time_ * rate))
                found, frame = capture.read()
                assert found, clip.clip_id
                small = cv2.resize(frame, (config.size, config.size), interpolation=cv2.INTER_AREA)
                cv2.imwrite(str(folder / f"{clip.clip_id}-{name}.jpg"), small, quality)
        capture.release()
    shutil.rmtree(folder)


class PeakMemory:
    """The most memory that this process and its children had together, in bytes."""

    def __enter__(self) -> PeakMemory:
        self.peak = 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()
        return self

    def _watch(self) -> None:
        this = psutil.Process()
        while not self.stop.wait(0.1):
            total = 0
            for process in (this, *this.children(recursive=True)):
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.peak = max(self.peak, total)

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()


if __name__ == "__main__":
    main()
