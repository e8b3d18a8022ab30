"""The work on Ray Serve: replicas of the model, on a Ray of this machine's own or on a cluster."""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from egoframe.apps.server.batching import Stopped
from egoframe.apps.server.drawing import PipelineDrawer, batch_key
from egoframe.apps.server.jobs import Request, Update
from egoframe.apps.server.provenance import Sealer, Signature
from egoframe.engine.cluster import start_ray
from egoframe.errors import UserError, first_line

if TYPE_CHECKING:
    from egoframe.generator.pipeline import ActionFramePipeline

APPLICATION = "egoframe"
RETRIES = 10  # of a batch whose replica died; Ray starts another one meanwhile
WANTED = ("sample_size", "squeeze", "articles")  # of a model's settings, to tell batches apart


class Replica:
    """One of them; Ray Serve makes it, in a process of its own."""

    def __init__(
        self, open_model: Callable[[], ActionFramePipeline], signature: Signature | None
    ) -> None:
        self.drawer = PipelineDrawer(open_model, Sealer(signature))
        self.drawer.load()

    def settings(self) -> dict[str, Any]:
        """What of the model's settings tells batches apart."""
        return {name: self.drawer.pipe.config[name] for name in WANTED}

    def draw(self, requests: Sequence[Request]) -> Iterator[tuple[int, Update]]:
        """What there is to tell of each request, as it comes."""
        told: queue.SimpleQueue[tuple[int, Update] | Exception | None] = queue.SimpleQueue()
        gone = threading.Event()

        def work() -> None:
            try:
                self.drawer.draw(requests, lambda *one: told.put(one), gone.is_set)
                told.put(None)
            except Exception as error:
                told.put(error)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            while (one := told.get()) is not None:
                if isinstance(one, Exception):
                    raise one
                yield one
        finally:
            gone.set()
            thread.join()


class ClusterDrawer:
    """Draws with replicas; a batch whose replica dies is drawn by another.

    Arguments:
        open_model: opens it, in each replica's process.
        signature: of the pictures, see `provenance.py`.
        replicas: how many; each has a core, or a GPU where the machines have some.
    """

    def __init__(
        self,
        open_model: Callable[[], ActionFramePipeline],
        signature: Signature | None,
        replicas: int,
    ) -> None:
        self.open_model, self.signature, self.parallel = open_model, signature, replicas

    def load(self) -> None:
        start_ray()
        import ray
        from ray import serve

        logging.getLogger("ray.serve").setLevel(logging.ERROR)
        gpus = ray.cluster_resources().get("GPU", 0)
        deployment = serve.deployment(
            num_replicas=self.parallel,
            max_ongoing_requests=1,
            ray_actor_options={"num_cpus": 1, "num_gpus": 1 if gpus >= self.parallel else 0},
            logging_config={"log_level": "ERROR"},
        )(Replica)
        serve.start(proxy_location="Disabled")  # this process answers requests
        try:
            self.handle = serve.run(
                deployment.bind(self.open_model, self.signature),
                name=APPLICATION,
                route_prefix=None,
            )
            self.config = SimpleNamespace(**self.handle.settings.remote().result())
        except RuntimeError as error:
            raise UserError(
                f"the replicas cannot be started ({first_line(error)}); Ray Serve's logs say why"
            ) from None

    def key(self, request: Request) -> Hashable:
        return batch_key(self.config, request)

    def draw(
        self,
        requests: Sequence[Request],
        tell: Callable[[int, Update], None],
        stopped: Callable[[], bool],
    ) -> None:
        from ray.exceptions import RayActorError, RayTaskError

        frames = [0] * len(requests)  # that each was told of; a second try draws the same again
        for _ in range(RETRIES):
            again = [0] * len(requests)
            updates: Any = self.handle.options(stream=True).draw.remote(list(requests))
            try:
                for place, update in updates:
                    if stopped():
                        updates.cancel()
                        raise Stopped
                    if update.frame is not None:
                        again[place] += 1
                        if again[place] <= frames[place]:
                            continue
                        frames[place] += 1
                    tell(place, update)
                return
            except RayTaskError as error:
                raise error.cause from None
            except RayActorError:
                continue
        raise RuntimeError(f"{RETRIES} replicas died of one batch")

    def close(self) -> None:
        """Give the machines back; a Ray of this machine's own ends its Serve as well."""
        from ray import serve

        if "RAY_ADDRESS" in os.environ:
            serve.delete(APPLICATION)
        else:
            serve.shutdown()
