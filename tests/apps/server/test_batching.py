"""The queue: what is drawn together, what is refused, what becomes of jobs nobody waits for."""

import asyncio
from dataclasses import replace

import pytest

from egoframe.apps.server.batching import Batcher, Refused
from egoframe.apps.server.jobs import Frame, FrameRequest, Job, Jobs, StoryRequest, Update
from egoframe.apps.server.metrics import Metrics
from egoframe.apps.server.settings import Settings
from egoframe.errors import UserError
from tests.apps.server.fakes import FakeDrawer, photo

SETTINGS = Settings(batch=4, waiting=6, gather=0.02, limit=5, grace=5)


def run(script, drawer=None, settings=SETTINGS):
    async def main():
        backend = Batcher(drawer or FakeDrawer(), settings, Metrics())
        await backend.start()
        try:
            await script(backend, backend.drawer)
        finally:
            backend.drawer.gate.set()
            await backend.stop()

    asyncio.run(main())


def frame(action="open drawer", **settings) -> Job:
    return Job(FrameRequest(photo(), action, **settings))


async def taken(backend, *jobs):
    for job in jobs:
        await backend.submit(job)
    return jobs


async def until(told):
    while not told():
        await asyncio.sleep(0.005)


def test_what_waits_together_is_drawn_together_and_each_gets_its_own():
    async def script(backend, drawer):
        jobs = await taken(backend, *(frame(f"take mug {k}") for k in range(3)))
        await asyncio.gather(*(job.wait() for job in jobs))
        assert drawer.batches == [["take mug 0", "take mug 1", "take mug 2"]]
        assert [job.frames[0].action for job in jobs] == drawer.batches[0]
        assert {job.state for job in jobs} == {"done"}

    run(script)


def test_others_are_drawn_apart_and_in_their_order():
    async def script(backend, drawer):
        drawer.gate.clear()
        first = (await taken(backend, frame("first")))[0]
        await until(lambda: first.state == "running")
        story = Job(StoryRequest(photo(), "make tea"))
        tall = Job(FrameRequest(photo(size=(48, 64)), "tall"))
        jobs = await taken(backend, frame("a"), tall, frame("b"), story, frame("c"))
        drawer.gate.set()
        await asyncio.gather(*(job.wait() for job in jobs))
        assert drawer.batches == [["first"], ["a", "b", "c"], ["tall"], ["storyboard"]]
        assert len(story.frames) == 3

    run(script)


def test_a_full_queue_refuses_and_says_when_to_come_again():
    async def script(backend, drawer):
        drawer.gate.clear()
        first = (await taken(backend, frame()))[0]
        await until(lambda: first.state == "running")
        await taken(backend, *(frame() for _ in range(SETTINGS.waiting)))
        with pytest.raises(Refused) as error:
            await backend.submit(frame())
        assert error.value.status == 429
        assert 1 <= error.value.wait <= 10

    run(script)


def test_a_cancelled_job_leaves_the_queue_or_the_drawer_and_harms_no_other():
    async def script(backend, drawer):
        drawer.gate.clear()
        alone = (await taken(backend, frame("alone")))[0]
        await until(lambda: alone.state == "running")
        waiting, other = await taken(backend, frame("waiting"), frame("other"))
        backend.cancel(waiting)
        backend.cancel(alone)  # the drawer leaves it although its gate is shut
        await until(lambda: drawer.stops == 1)
        drawer.gate.set()
        await other.wait()
        assert (alone.state, waiting.state, other.state) == ("cancelled", "cancelled", "done")
        assert drawer.batches == [["alone"], ["other"]]

    run(script)


def test_one_of_a_batch_is_cancelled_and_the_others_go_on():
    async def script(backend, drawer):
        drawer.gate.clear()
        one, two = await taken(backend, frame("one"), frame("two"))
        await until(lambda: two.state == "running")
        backend.cancel(one)
        drawer.gate.set()
        await two.wait()
        assert (one.state, one.frames, two.state) == ("cancelled", [], "done")
        assert drawer.stops == 0

    run(script)


def test_what_takes_too_long_is_told_so_and_left():
    async def script(backend, drawer):
        drawer.gate.clear()
        running, waiting = await taken(backend, frame("a"), Job(StoryRequest(photo(), "tea")))
        await asyncio.gather(running.wait(), waiting.wait())
        assert running.problem == waiting.problem
        assert running.problem[0] == 504
        assert "longer than 0.2 s" in running.problem[1]
        await until(lambda: drawer.stops == 1)
        assert drawer.batches == [["a"]]

    run(script, settings=replace(SETTINGS, limit=0.2))


def test_one_that_fails_takes_no_other_with_it():
    async def script(backend, drawer):
        jobs = await taken(backend, frame("cut"), frame("explode"), frame("refuse it"), frame("go"))
        await asyncio.gather(*(job.wait() for job in jobs))
        assert [job.state for job in jobs] == ["done", "failed", "failed", "done"]
        assert [len(job.frames) for job in jobs] == [1, 0, 0, 1]
        assert jobs[1].problem[0] == 500
        assert "secret" not in jobs[1].problem[1]
        assert jobs[2].problem == (422, "this cannot be drawn; say it otherwise")

    run(script)


def test_stopping_finishes_what_was_taken_and_takes_no_more():
    async def script(backend, drawer):
        drawer.gate.clear()
        jobs = await taken(backend, frame("a"), Job(StoryRequest(photo(), "tea")))
        await until(lambda: jobs[0].state == "running")
        stopping = asyncio.ensure_future(backend.stop())
        await asyncio.sleep(0.05)
        with pytest.raises(Refused, match="stopping") as error:
            await backend.submit(frame())
        assert error.value.status == 503
        drawer.gate.set()
        await stopping
        assert [job.state for job in jobs] == ["done", "done"]

    run(script)


def test_stopping_waits_no_longer_than_its_grace():
    async def script(backend, drawer):
        drawer.gate.clear()
        jobs = await taken(backend, frame("a"), Job(StoryRequest(photo(), "tea")))
        await until(lambda: jobs[0].state == "running")
        await backend.stop()
        assert [job.problem[0] for job in jobs] == [503, 503]

    run(script, settings=replace(SETTINGS, grace=0.1))


def test_every_change_of_a_job_is_seen():
    async def script(backend, drawer):
        job, seen = frame(preview=True), []
        await backend.submit(job)
        async for _ in job.changes():
            seen.append((job.state, job.step))
        assert seen[0] == ("queued", 0)
        assert seen[-1] == ("done", 3)
        assert ("running", 1) in seen

    run(script, FakeDrawer(seconds=0.3))


def test_a_bad_action_is_refused_before_it_waits():
    async def script(backend, drawer):
        with pytest.raises(UserError, match="action is empty"):
            backend.check(FrameRequest(photo(), " "))

    run(script)


def test_finished_jobs_are_forgotten_by_age_number_and_size():
    async def finished(jobs, count):
        made = []
        for _ in range(count):
            job = frame()
            request = job.hand_over()
            assert request.photo is not None
            job.end("done")
            jobs.add(job)
            made.append(job)
            await asyncio.sleep(0.01)
        return made

    async def main():
        few = Jobs(replace(SETTINGS, kept_jobs=2))
        made = await finished(few, 4)
        assert [few.get(job.id) is not None for job in made] == [False, False, True, True]
        brief = Jobs(replace(SETTINGS, keep=0.02))
        made = await finished(brief, 1)
        await asyncio.sleep(0.03)
        assert brief.get(made[0].id) is None
        running = frame()
        brief.add(running)
        await asyncio.sleep(0.03)
        assert brief.get(running.id) is running

    asyncio.run(main())


def test_a_change_that_comes_while_another_is_told_is_told_as_well():
    """The last frame and the end fall into the time that a reader takes for the frame before."""

    async def read() -> list[tuple[str, int]]:
        job = Job(FrameRequest(photo(), "take mug"))
        seen = []
        async for _ in job.changes():
            seen.append((job.state, len(job.frames)))
            if len(seen) == 1:
                job.apply(Update(frame=Frame(b"", "take mug")))
                job.end("done")
        return seen

    assert asyncio.run(read()) == [("queued", 0), ("done", 1)]
