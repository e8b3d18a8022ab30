"""Reads LeRobot's datasets, format v3.0: a robot's episodes, each with its task in words.

```
meta/info.json                       codebase_version, fps, features, splits, video_path, data_path
meta/episodes/chunk-000/file-000.parquet
    episode_index, tasks, length, data/{chunk,file}_index
    videos/CAMERA/{chunk,file}_index, …/{from,to}_timestamp     where in which file an episode is
meta/tasks.parquet                   task_index, task
meta/subtasks.parquet                subtask_index, subtask     if there are any
data/chunk-000/file-000.parquet      a row for each frame: episode_index, frame_index, task_index, …
videos/CAMERA/chunk-000/file-000.mp4
```
The layout is that of lerobot's documentation (huggingface.co/docs/lerobot/lerobot-dataset-v3).
A file holds many episodes; frame k of one is shown k/fps after its `from_timestamp`, and a clip
ends with the last frame of its episode.

What is one clip:
- where `meta/subtasks.parquet` is, each run of frames with one `subtask_index`;
- of an episode with several tasks, which are listed in no order, each run with one `task_index`;
- else the episode.

The input frame is the first of a clip; the action frame lies `at` of the way from it to the last.
Nobody annotates when the scene changes in an episode, but half way a robot is mostly at it: such a
picture is the subgoal that a robot can be led by (SuSIE, Black et al., 2023, arXiv 2310.10639).

Of several cameras the only one is taken whose name says that it moves with the wearer or the hand:
one of its words starts with wrist, hand, gripper, head, ego or first_person. Depth maps are none.

Validation is what `splits` gives to another split than train, or does not give to train. Most
datasets give all to train, for so lerobot writes them: then the last tenth of the episodes is held
out, one at the least, if there are two.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from egoframe.errors import UserError
from egoframe.sources.clip import ActionClip, flawed
from egoframe.sources.lerobot_meta import MAX_FILES, Dataset, open_dataset
from egoframe.sources.narration import plain_action, verb_and_noun
from egoframe.sources.reading import number, safe_name, sequence, text, unique
from egoframe.sources.tables import read_parquet

SOURCE = "lerobot"
WHOSE = "LeRobot's"
MAX_SECONDS = 10**7  # of a video
NO_NAME = "__index_level_0__"  # so pandas writes an index without one


class Run(NamedTuple):
    """Frames of an episode that have one label, both ends included."""

    label: int  # below 0: none
    first: int
    last: int


class Episode(NamedTuple):
    """Where an episode lies in its video."""

    number: int
    video: str
    media: Path
    begin: float  # seconds
    frames: int


@dataclass
class LerobotSource:
    """A folder of a LeRobot dataset.

    Attributes:
        camera: its name, or the last part of it; else chosen as said above.
        at: where in a clip the action frame lies, above 0 (the first frame) to 1 (the last).
        anomalies: how many annotations have each flaw that costs no pair; counted while reading.
    """

    folder: Path
    camera: str | None = None
    at: float = 0.5
    anomalies: Counter[str] = field(default_factory=Counter)

    def clips(self) -> Iterator[ActionClip]:
        """Every episode, or part of one that has its own words, in order.

        Raises:
            UserError: no LeRobot dataset of this version, or none with videos; no such camera, or
                several to choose from.
        """
        if not 0 < self.at <= 1:
            raise UserError(f"at {self.at}: above 0, the first frame, and at most 1, the last")
        return unique(self._clips(open_dataset(self.folder, self.camera)))

    def _clips(self, dataset: Dataset) -> Iterator[ActionClip]:
        columns = ["episode_index", "tasks", *_where("data"), *_where(f"videos/{dataset.camera}")]
        labels = Labels(dataset, self.anomalies)
        position = 0
        for table in dataset.tables:
            for row in read_parquet(table, columns, WHOSE, ["length"]):
                yield from self._episode(dataset, labels, row, position)
                position += 1

    def _episode(
        self, dataset: Dataset, labels: Labels, row: dict[str, Any], position: int
    ) -> Iterator[ActionClip]:
        """The clips that an episode is made of; `position` stands in for a lost number."""
        index = _whole(row["episode_index"])
        index = index if index is not None and index >= 0 else None
        name = f"row_{position:06d}" if index is None else f"episode_{index:06d}"
        split = dataset.split(position if index is None else index)
        tasks = _tasks(row["tasks"])
        task = tasks[0] if tasks else None
        try:
            episode = self._place(dataset, row, index)
            parts: list[tuple[str | None, Run]] = [(task, Run(0, 0, episode.frames - 1))]
            if dataset.labels == "subtask" or len(tasks) > 1:
                parts = labels.parts(row, episode) or parts
        except ValueError as flaw:
            video = safe_name(dataset.camera)
            yield flawed(name, SOURCE, split, video, self.folder, str(flaw), task or "")
            return
        for k, (words, run) in enumerate(parts):
            clip_id = name if len(parts) == 1 else f"{name}_{k}"
            try:
                yield self._clip(dataset, episode, clip_id, split, words, run)
            except ValueError as flaw:
                yield flawed(
                    clip_id, SOURCE, split, episode.video, episode.media, str(flaw), words or ""
                )

    def _place(self, dataset: Dataset, row: dict[str, Any], index: int | None) -> Episode:
        """Raises ValueError, which says why, if an episode has no place in a video."""
        *place, begin, end = (row[name] for name in _where(f"videos/{dataset.camera}"))
        chunk, file = map(_file_number, place)
        begin, end = number(begin), number(end)
        if index is None:
            raise ValueError("episode_index cannot be read")
        if chunk is None or file is None:
            raise ValueError("no video file told")
        if begin is None or end is None or max(begin, end) > MAX_SECONDS:
            raise ValueError("timestamps cannot be read")
        if begin < 0 or end < 0:
            raise ValueError("negative time")
        if end <= begin:
            raise ValueError("stops before it starts")
        frames = round((end - begin) * dataset.fps)
        if frames < 2:
            raise ValueError("too short")
        length = number(row.get("length"))
        if length is not None and abs(length - frames) > 1:
            self.anomalies["length disagrees with its timestamps"] += 1
        video = f"{safe_name(dataset.camera.lstrip('-.'))[:80]}-{chunk:03d}-{file:03d}"
        return Episode(index, video, dataset.video(chunk, file), begin, frames)

    def _clip(
        self,
        dataset: Dataset,
        episode: Episode,
        clip_id: str,
        split: str,
        words: str | None,
        run: Run,
    ) -> ActionClip:
        """Raises ValueError, which says why, if no pair can be made of it."""
        if words is None:
            raise ValueError("no task in words")
        if not 0 <= run.first <= run.last < episode.frames:
            raise ValueError("frames outside the episode's video")
        if run.first == run.last:
            raise ValueError("too short")
        action = plain_action(words)
        verb, noun = verb_and_noun(action)
        during = run.first + max(1, round(self.at * (run.last - run.first)))
        times = [episode.begin + frame / dataset.fps for frame in (run.first, during, run.last)]
        return ActionClip(
            clip_id=clip_id,
            source=SOURCE,
            split=split,
            video_id=episode.video,
            media=episode.media,
            fps=dataset.fps,
            start=times[0],
            stop=times[2],
            narration=words,
            verb=verb,
            noun=noun,
            critical={"pre": times[0], "pnr": times[1]},
            action=action,
        )


class Labels:
    """What frames are labelled with; the data file read last is kept."""

    def __init__(self, dataset: Dataset, anomalies: Counter[str]) -> None:
        self.dataset, self.anomalies = dataset, anomalies
        self.kept: tuple[Path | None, dict[int, list[Run]]] = (None, {})

    @cached_property
    def texts(self) -> dict[int, str]:
        """The words of each label.

        Raises:
            UserError: they cannot be read.
        """
        kind = self.dataset.labels
        path = self.dataset.folder / "meta" / f"{kind}s.parquet"
        rows = read_parquet(path, [f"{kind}_index"], WHOSE, [kind, NO_NAME])
        told = [
            (_whole(row[f"{kind}_index"]), text(row.get(kind, row.get(NO_NAME)))) for row in rows
        ]
        return {index: words for index, words in told if index is not None and words}

    def parts(self, row: dict[str, Any], episode: Episode) -> list[tuple[str | None, Run]]:
        """The runs of an episode that have a label, with its words.

        Raises:
            ValueError: its data file cannot be read, or has none of its frames.
        """
        chunk, file = (_file_number(row[name]) for name in _where("data"))
        if chunk is None or file is None:
            raise ValueError("no data file told")
        path = self.dataset.data(chunk, file)
        if path != self.kept[0]:
            try:
                self.kept = path, self._read(path)
            except UserError:
                raise ValueError("data file cannot be read") from None
        found = self.kept[1].get(episode.number)
        if not found:
            raise ValueError("no frames in the data file")
        if any(run.label < 0 for run in found):
            self.anomalies[f"some frames have no {self.dataset.labels}"] += 1
        return [(self.texts.get(run.label), run) for run in found if run.label >= 0]

    def _read(self, path: Path) -> dict[int, list[Run]]:
        """The runs of each episode in a data file."""
        found: dict[int, list[Run]] = {}
        columns = ["episode_index", "frame_index", f"{self.dataset.labels}_index"]
        for row in read_parquet(path, columns, WHOSE):
            episode, frame, label = (_whole(row[name]) for name in columns)
            if episode is None or frame is None:
                self.anomalies["frame without its number"] += 1
                continue
            label = -1 if label is None else label
            runs = found.setdefault(episode, [])
            if runs and (runs[-1].label, runs[-1].last) == (label, frame - 1):
                runs[-1] = runs[-1]._replace(last=frame)
            else:
                runs.append(Run(label, frame, frame))
        return found


def _where(what: str) -> list[str]:
    """The columns that say in which file, and of a video when, an episode is."""
    times = ("from_timestamp", "to_timestamp") if what.startswith("videos/") else ()
    return [f"{what}/{name}" for name in ("chunk_index", "file_index", *times)]


def _tasks(value: Any) -> list[str]:
    told = [text(task) for task in ([value] if isinstance(value, str) else sequence(value))]
    return [task for task in dict.fromkeys(told) if task]


def _whole(value: Any) -> int | None:
    """A whole number, also as the float that pandas makes of it."""
    told = number(value)
    return int(told) if told is not None and told.is_integer() else None


def _file_number(value: Any) -> int | None:
    """That of a chunk or file."""
    told = _whole(value)
    return told if told is not None and 0 <= told < MAX_FILES else None
