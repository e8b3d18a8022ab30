"""Mutated pictures against a server: it may refuse them, and must neither fail nor keep anything.

    python -m benchmarks.serving_images --out docs/results/serving-images.json

Truncations, flipped bits, spliced files, bombs, polyglots and other types go to `egoframe serve`
over loopback, by the interface and by the page's upload in turn. Its memory is read from /proc, and
its temporary folder is searched for files that are no PNG of its own.
"""

from __future__ import annotations

import argparse
import collections
import json
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from benchmarks.serving import Server
from tests.apps.server.mutations import KINDS, mutated

PATHS = ("/v1/action-frames", "/gradio_api/upload")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        told = run(Path(folder), arguments.pictures, arguments.clients, arguments.seed)
    text = json.dumps(told, indent=1)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")


def run(folder: Path, pictures: int, clients: int, seed: int) -> dict[str, Any]:
    """Send them all."""
    answers: dict[str, collections.Counter[int]] = {kind: collections.Counter() for kind in KINDS}
    server, started = Server(temporary=folder), time.monotonic()
    memory = [server.memory()]
    try:
        with httpx.Client(base_url=server.url, timeout=120) as web:

            def send(numbered: tuple[int, tuple[str, str, bytes]]) -> tuple[str, int]:
                number, (kind, name, data) = numbered
                sent = {"files": {"image": (name, data)}, "data": {"action": "open the drawer"}}
                while True:
                    answer = web.post(PATHS[number % 2], **sent)  # type: ignore[arg-type]
                    if answer.status_code != 429:
                        return kind, answer.status_code
                    time.sleep(0.1)

            with ThreadPoolExecutor(clients) as pool:
                results = pool.map(send, enumerate(mutated(seed, pictures)))
                for number, (kind, status) in enumerate(results):
                    answers[kind][status] += 1
                    if number % 100 == 0:
                        memory.append(server.memory())
            alive = web.get("/healthz").status_code == 200
        left = [p for p in folder.rglob("*") if p.is_file() and p.suffix != ".png"]
    finally:
        status = server.stop()
    return {
        "pictures": pictures,
        "seconds": round(time.monotonic() - started, 1),
        "answers": {kind: dict(sorted(found.items())) for kind, found in answers.items()},
        "failures": sum(n for found in answers.values() for s, n in found.items() if s >= 500),
        "alive": alive,
        "exit_status": status,
        "files_of_another_kind": len(left),
        "files_after_the_end": sum(p.is_file() for p in folder.rglob("*")),
        "memory_mb": {"ready": memory[0], "most": max(memory), "end": memory[-1]},
    }


if __name__ == "__main__":
    main()
