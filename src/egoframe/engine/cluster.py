"""Tasks as Ray Data, on a cluster or on a Ray of this machine's own.

Ray joins the cluster that RAY_ADDRESS names, and starts one here where it names none. On a cluster,
recordings and dataset must lie where every machine finds them: in a shared folder, or at a URL.
"""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from egoframe.engine import WorkerDied, attempt
from egoframe.errors import UserError, first_line

RETRIES = 5  # of a task whose worker died


def start_ray(cores: int | None = None) -> None:
    """Join the cluster that RAY_ADDRESS names; without one, start a Ray of this machine's own.

    Arguments:
        cores: of a Ray that is started; all, if not given.
    Raises:
        UserError: Ray cannot be started or reached.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # A thread that Ray Data left behind would start another Ray while this one starts.
    os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")
    # Ray of this machine's own: whatever else fills the memory, Ray would kill every worker and try
    # again for ever. The system itself ends workers first where memory is short.
    os.environ.setdefault("RAY_memory_monitor_refresh_ms", "0")
    import ray

    if not ray.is_initialized():
        cores = None if "RAY_ADDRESS" in os.environ else cores or os.cpu_count()
        try:
            ray.init(
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                num_cpus=cores,
            )
        except Exception as error:  # Ray raises it so where a part of it does not start
            raise UserError(f"Ray cannot be started or reached ({first_line(error)})") from None


def run_on_ray(
    function: Callable[[Any], Any], tasks: Sequence[Any], workers: int | None = None
) -> Iterator[tuple[int, Any]]:
    """`run_tasks` on Ray, which itself replaces workers and machines that die.

    Raises:
        UserError: the cluster cannot be reached, or gave up on a task.
    """
    start_ray(workers)
    import ray

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = len(tasks)  # a task that kills its workers ends no other

    def unpack(task: bytes) -> Any:
        return function(pickle.loads(task))

    def answer(row: dict[str, Any]) -> dict[str, Any]:
        return {
            "index": row["index"],
            "answer": pickle.dumps(attempt(unpack, row["task"])),
        }

    rows = [{"index": k, "task": pickle.dumps(task)} for k, task in enumerate(tasks)]
    dataset = ray.data.from_items(rows, override_num_blocks=len(rows))
    try:
        left = set(range(len(tasks)))
        for row in dataset.map(answer, concurrency=workers, max_retries=RETRIES).iter_rows():
            result, trouble = pickle.loads(row["answer"])
            if trouble is not None:
                raise trouble
            left.remove(row["index"])
            yield row["index"], result
        if tasks and len(left) == len(tasks):  # it is not the tasks that are to blame
            raise UserError(
                "Ray gave up on every task; its logs say why (egoframe must be installed on every "
                "machine)"
            )
        for index in sorted(left):
            yield index, WorkerDied("on the cluster")
    except ray.exceptions.RayError as error:
        raise UserError(f"Ray gave up ({first_line(error)}); the same command goes on") from None
