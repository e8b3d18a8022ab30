"""Ray Serve with two replicas of the default model, one of which is killed while it draws."""

import asyncio
import contextlib
import io
import os
import signal
from functools import partial

import numpy as np
import psutil
import pytest
from PIL import Image

import egoframe
from egoframe.apps.server.batching import Batcher
from egoframe.apps.server.jobs import FrameRequest, Job
from egoframe.apps.server.metrics import Metrics
from egoframe.apps.server.replicas import ClusterDrawer
from egoframe.apps.server.settings import Settings
from egoframe.errors import UserError
from egoframe.images import open_photo

pytestmark = pytest.mark.slow
SETTINGS = Settings(batch=2, waiting=40, limit=240, grace=60)


def replicas() -> set[int]:
    """Numbers of their processes."""
    found = set()
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it has just ended
            if "ServeReplica:egoframe" in " ".join(process.cmdline()):
                found.add(process.pid)
    return found


def test_no_job_is_lost_with_a_replica(ray):
    photo = open_photo("examples/kitchen.png")
    open_model = partial(egoframe.load, "kitchen", "cpu")

    async def main() -> list[Job]:
        backend = Batcher(ClusterDrawer(open_model, None, 2), SETTINGS, Metrics())
        await backend.start()
        before = replicas()
        assert len(before) == 2
        jobs = [Job(FrameRequest(photo, "open the microwave", seed=seed)) for seed in range(16)]
        for job in jobs:
            await backend.submit(job)
        while not any(job.state == "running" and job.step for job in jobs):
            await asyncio.sleep(0.01)
        os.kill(min(before), signal.SIGKILL)
        await asyncio.gather(*(job.wait() for job in jobs))
        bad = Job(FrameRequest(photo, "open the microwave", steps=0))
        await backend.submit(bad)
        await bad.wait()
        assert bad.problem is not None
        assert bad.problem[0] == 422
        with pytest.raises(UserError, match="the action is empty"):
            backend.check(FrameRequest(photo, " "))
        await backend.stop()
        return jobs

    jobs = asyncio.run(main())
    assert [(job.state, len(job.frames)) for job in jobs] == [("done", 1)] * 16
    pipe = open_model()
    for seed in (0, 7, 15):
        (true,) = pipe(photo, "open the microwave", seed=seed).images
        drawn = Image.open(io.BytesIO(jobs[seed].frames[0].png))
        assert np.abs(np.asarray(true, int) - np.asarray(drawn, int)).max() <= 1
    assert not replicas()
