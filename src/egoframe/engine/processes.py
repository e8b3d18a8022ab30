"""Tasks on this machine's cores. `concurrent.futures` gives up when one worker dies, and does not
say whose task killed it; here every worker has a pipe of its own, so that it is known."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import pickle
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from typing import Any

from egoframe.engine import WorkerDied, attempt
from egoframe.errors import UserError

CRASHES = 3  # of one task's workers, before it is given up: the task is to blame
KILLS = 20  # by somebody else, or for want of memory
STARTS = 50  # in a row that no worker survives; no task has begun then, and none is to blame
OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
READY = "ready"
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def run_here(
    function: Callable[[Any], Any], tasks: Sequence[Any], workers: int | None = None
) -> Iterator[tuple[int, Any]]:
    """`run_tasks` in processes of this machine; they end with it, whatever ends it."""
    waiting = deque(range(len(tasks)))
    crashes: Counter[int] = Counter()
    kills: Counter[int] = Counter()
    starts = 0  # that failed, since one did not
    work = pickle.dumps(function)
    crew: list[_Worker] = []
    try:
        while len(crew) < min(workers or os.cpu_count() or 1, len(tasks)):
            crew.append(_Worker(work))
        for worker in crew:
            worker.give(waiting.popleft(), tasks)
        while busy := {worker.pipe: worker for worker in crew if worker.task is not None}:
            for pipe in wait(list(busy)):
                worker = busy[pipe]  # type: ignore[index]
                index = worker.task
                assert index is not None
                try:
                    answer = worker.pipe.recv()
                except (EOFError, OSError):
                    code = worker.end(5)
                    if code > 0 and not worker.ready:
                        raise UserError(
                            f"a worker process cannot start (status {code}, it says why above); a "
                            'script of your own needs `if __name__ == "__main__":`'
                        ) from None
                    if worker.ready:
                        (kills if -code in OUTSIDE else crashes)[index] += 1
                    elif (starts := starts + 1) == STARTS:
                        raise UserError(
                            f"worker processes end as they start ({_name(code)}), {STARTS} in a row"
                        ) from None
                    crew.remove(worker)
                    crew.append(worker := _Worker(work))
                    if kills[index] < KILLS and crashes[index] < CRASHES:
                        worker.give(index, tasks)
                        continue
                    answer = WorkerDied(_name(code)), None
                if answer == READY:
                    worker.ready, starts = True, 0
                    continue
                result, error = answer
                if error is not None:
                    raise error
                worker.task = None
                if waiting:
                    worker.give(waiting.popleft(), tasks)
                yield index, result
    finally:
        for worker in crew:
            worker.end(1 if worker.task is None else 0)


class _Worker:
    """A process that is given one task after another."""

    def __init__(self, work: bytes) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs,), daemon=True)
        with _one_thread():
            self.process.start()
        theirs.close()
        self.task: int | None = None
        self.ready = False
        # Not among `args`: those go through a pipe whose other end stays open here, so that more
        # than it holds would wait for ever for a process that died.
        with contextlib.suppress(OSError):
            self.pipe.send_bytes(work)

    def give(self, index: int, tasks: Sequence[Any]) -> None:
        self.task, task = index, tasks[index]
        with contextlib.suppress(OSError):  # it died: waiting for its answer shows that
            self.pipe.send(task)

    def end(self, patience: float) -> int:
        """Stop it, whatever it does: files are written whole or not at all. Returns its status.

        Arguments:
            patience: seconds it has to end by itself.
        """
        self.pipe.close()
        self.process.join(patience)
        self.process.kill()
        self.process.join()
        return self.process.exitcode or 0


@contextmanager
def _one_thread() -> Iterator[None]:
    """A process that starts meanwhile has one core: its libraries start no thread for each."""
    before = {name: os.environ[name] for name in THREADS if name in os.environ}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name in THREADS:
            del os.environ[name]
        os.environ.update(before)


def _work(pipe: Connection) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # as `cli.main` does
    try:
        function = pickle.loads(pipe.recv_bytes())
    except EOFError:
        return
    with contextlib.suppress(OSError):
        pipe.send(READY)
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        answer = attempt(function, task)
        try:
            pipe.send(answer)
        except OSError:
            return  # nobody waits for it


def _end_with_parent() -> None:
    """A parent that is killed says nothing; what it wanted, nobody wants any more."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _name(code: int) -> str:
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"status {code}"
