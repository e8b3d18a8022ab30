"""Ray of this machine's own."""

import pytest

from egoframe.engine import WorkerDied, run_tasks
from egoframe.errors import UserError
from tests.engine import jobs

pytestmark = pytest.mark.slow


def test_ray_does_the_same_as_processes_however_full_the_memory(ray, monkeypatch):
    monkeypatch.setenv("RAY_memory_usage_threshold", "0.01")
    done = list(run_tasks(jobs.square, [3, 4, 5, 6], "ray", workers=2))
    assert sorted(done) == [(0, 9), (1, 16), (2, 25), (3, 36)]
    with pytest.raises(UserError, match="three: no good"):
        list(run_tasks(jobs.refuse, range(6), "ray", workers=2))


def test_a_ray_that_does_not_start_is_told_in_one_line(ray, monkeypatch):
    def init(**_: object) -> None:
        raise Exception("The current node timed out during startup.\nMore.")

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(UserError, match=r"cannot be started or reached .*during startup\.\)$"):
        list(run_tasks(jobs.square, [3], "ray"))


def test_a_task_that_kills_every_worker_is_given_up_and_the_rest_done(ray):
    done = dict(run_tasks(jobs.crash_at, range(5), "ray", workers=2))
    assert isinstance(done.pop(2), WorkerDied)
    assert done == {0: 0, 1: 1, 3: 3, 4: 4}


def test_a_cluster_on_which_nothing_works_is_to_blame_itself(ray, monkeypatch):
    monkeypatch.setattr("egoframe.engine.cluster.RETRIES", 1)
    with pytest.raises(UserError, match="Ray gave up on every task"):
        list(run_tasks(jobs.crash_at, [2, 2], "ray", workers=2))
