"""Where work runs: this machine's processes, or a Ray cluster. Both run the same functions."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

EngineName = Literal["processes", "ray"]


@dataclass(frozen=True)
class WorkerDied:
    """What comes of a task that kills every process it is given to."""

    why: str


def run_tasks(
    function: Callable[[Any], Any],
    tasks: Sequence[Any],
    engine: EngineName = "processes",
    workers: int | None = None,
) -> Iterator[tuple[int, Any]]:
    """Run a function on every task; yields (number of the task, what came of it) as they finish.

    What a task raises ends the others, and is raised here. A worker that dies is replaced, and its
    task given to another one; after some tries `WorkerDied` comes of it.

    Arguments:
        function: importable by name, as every process imports it anew; a task as well.
        workers: processes; as many as there are cores, where nothing is said.
    """
    if engine == "ray":
        from egoframe.engine.cluster import run_on_ray

        return run_on_ray(function, tasks, workers)
    from egoframe.engine.processes import run_here

    return run_here(function, tasks, workers)


def attempt(function: Callable[[Any], Any], task: Any) -> tuple[Any, Exception | None]:
    """What a function gives, or what it raises, as something that can be sent home."""
    try:
        return function(task), None
    except Exception as error:
        import traceback

        told = traceback.format_exc()  # the traceback itself cannot be sent
        error.add_note(told)
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            return None, RuntimeError(told)
        return None, error
