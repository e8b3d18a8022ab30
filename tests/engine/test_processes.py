import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from egoframe.engine import WorkerDied, processes, run_tasks
from egoframe.errors import UserError
from tests.engine import jobs


@pytest.mark.parametrize("workers", [1, 3, None])
def test_every_task_is_done_once(workers):
    done = list(run_tasks(jobs.square, [3, 4, 5, 6], workers=workers))
    assert sorted(done) == [(0, 9), (1, 16), (2, 25), (3, 36)]


def test_no_tasks():
    assert list(run_tasks(jobs.square, [])) == []


def test_what_a_task_raises_is_raised_here():
    with pytest.raises(UserError, match="three: no good"):
        list(run_tasks(jobs.refuse, range(6), workers=2))


def test_a_task_whose_worker_crashed_is_tried_again(tmp_path):
    assert list(run_tasks(jobs.crash_once, [tmp_path], workers=1)) == [(0, 7)]


def test_a_task_that_kills_every_worker_is_given_up_and_the_rest_done():
    done = dict(run_tasks(jobs.crash_at, range(5), workers=2))
    assert done.pop(2) == WorkerDied("SIGSEGV")
    assert done == {0: 0, 1: 1, 3: 3, 4: 4}


def test_killed_workers_are_replaced(tmp_path):
    """One is killed every half second, while eight tasks of 0.3 s are done, but not so often that
    a task is given up: where starting takes long, the last one would be killed every time."""
    stop = threading.Event()

    def kill() -> None:
        killed: set[Path] = set()
        while len(killed) < processes.KILLS - 1 and not stop.wait(0.5):
            left = set(tmp_path.glob("*.pid")) - killed
            if left:
                killed.add(oldest := min(left, key=lambda path: path.stat().st_mtime))
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(oldest.stem), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    done = dict(run_tasks(jobs.tell_who, [tmp_path] * 8, workers=2))
    stop.set()
    killer.join()
    assert sorted(done) == list(range(8))
    assert len(list(tmp_path.glob("*.pid"))) > 2  # as few as two may have done all the tasks
    assert all(isinstance(pid, int) for pid in done.values())


def test_stopping_ends_the_workers_at_once(tmp_path):
    results = run_tasks(jobs.sleep_long, [tmp_path] * 3, workers=2)

    def wait_for_both() -> None:
        while len(list(tmp_path.glob("*.pid"))) < 2:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # some parents ignore it
    threading.Thread(target=wait_for_both).start()
    started = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            next(results)
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - started < 20
    for path in tmp_path.glob("*.pid"):
        with pytest.raises(ProcessLookupError):
            os.kill(int(path.stem), 0)


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_at_once_with_a_killed_parent(tmp_path, kill):
    code = (
        "from pathlib import Path; from egoframe.engine import run_tasks; from tests.engine import "
        f"jobs; list(run_tasks(jobs.sleep_long, [Path({str(tmp_path)!r})] * 2, workers=2))"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    while len(found := list(tmp_path.glob("*.pid"))) < 2:
        time.sleep(0.05)
    parent.send_signal(kill)
    parent.wait()
    deadline = time.monotonic() + 20  # they were to sleep for a minute
    for path in found:
        while Path("/proc", path.stem).exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_worker_uses_one_core_and_the_parents_settings_stay(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    names = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"]
    assert [answer for _, answer in run_tasks(jobs.threads, names, workers=1)] == ["1", "1"]
    assert [os.environ.get(name) for name in names] == ["5", None]


def test_what_kills_from_outside_does_not_count_as_the_tasks_crash(tmp_path):
    assert list(run_tasks(jobs.killed_often, [tmp_path], workers=1)) == [(0, 7)]


def test_what_kills_workers_as_they_start_blames_no_task(tmp_path, monkeypatch):
    work = jobs.KilledAtStart(tmp_path, processes.KILLS + 2)
    assert list(run_tasks(work, [7], workers=1)) == [(0, 7)]
    monkeypatch.setattr(processes, "STARTS", 3)
    with pytest.raises(UserError, match=r"end as they start \(SIGKILL\), 3 in a row"):
        list(run_tasks(jobs.KilledAtStart(tmp_path, 99), [7], workers=1))


def test_a_function_of_any_size_waits_for_no_dead_worker(tmp_path, monkeypatch):
    """More than a pipe holds, and a process that ends without reading it."""
    work = partial(jobs.ignore, bytes(2**22))
    assert list(run_tasks(work, [7], workers=1)) == [(0, 7)]
    deaf = tmp_path / "python"
    deaf.write_text("#!/bin/sh\nexit 3\n")
    deaf.chmod(0o755)
    monkeypatch.setattr("multiprocessing.spawn._python_exe", os.fsencode(deaf))
    with pytest.raises(UserError, match=r"cannot start \(status 3"):
        list(run_tasks(work, [7], workers=1))


def test_an_error_that_cannot_be_sent_is_told_all_the_same():
    with pytest.raises(RuntimeError, match="Odd: a, b"):
        list(run_tasks(jobs.odd, [0], workers=1))


def test_a_worker_that_cannot_start_blames_no_task(tmp_path):
    """As in a script that builds without asking whether it is the main module."""
    script = tmp_path / "script.py"
    script.write_text(
        "from egoframe.engine import run_tasks\n"
        "from tests.engine.jobs import square\n"
        "print(list(run_tasks(square, [1, 2], workers=1)))\n"
    )
    root = str(Path(__file__).parents[2])
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True,
                          env=os.environ | {"PYTHONPATH": root})  # fmt: skip
    assert "UserError: a worker process cannot start" in done.stderr
    assert done.stdout == ""
