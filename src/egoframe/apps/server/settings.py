"""What a server allows, keeps and waits for."""

from __future__ import annotations

from dataclasses import dataclass

from egoframe.images import Limits

MIB = 2**20
PHOTO = Limits(bytes=20 * MIB, pixels=50_000_000, side=16_384)


@dataclass(frozen=True)
class Settings:
    """Of one server process.

    Arguments:
        token: asked for as a bearer, and by the page; None asks for none.
        hosts: names by which the server may be called; None for any. Against pages elsewhere whose
            name is made to point here.
        photo: what an upload may have at most.
        photo_side: longer photos are averaged down to it, in pixels, before they wait.
        decoders: photos that are decoded at once.
        waiting: jobs that wait at most; beyond, requests are refused with 429.
        batch: pictures drawn together at most.
        gather: seconds that the first of a batch waits for others.
        limit: seconds for a job, waiting included.
        grace: seconds in which a server that is stopped finishes what it has taken.
        keep: seconds for which a finished job is kept.
        kept_jobs, kept_bytes: how many, and how large, the finished ones may be together; the
            oldest go first. The bytes count for the page's folder, too.
        steps: of the sampler that one may ask for.
        frames: of a storyboard.
        top: next actions that one may ask for.
    """

    token: str | None = None
    hosts: frozenset[str] | None = None
    photo: Limits = PHOTO
    photo_side: int = 2048
    decoders: int = 2
    waiting: int = 32
    batch: int = 8
    gather: float = 0.01
    limit: float = 120.0
    grace: float = 60.0
    keep: float = 900.0
    kept_jobs: int = 1000
    kept_bytes: int = 256 * MIB
    steps: int = 100
    frames: int = 20
    top: int = 20

    @property
    def body(self) -> int:
        """Bytes of a request: a photo, and some words."""
        return self.photo.bytes + MIB
