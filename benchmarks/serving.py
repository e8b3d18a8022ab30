"""A server under load: more clients than it can serve.

    python -m benchmarks.serving --out docs/results/serving.json

`egoframe serve` is a process of its own with one thread for torch, and draws with the default
model; clients ask over loopback. First its capacity is measured with as many clients as it draws
together, with batching and without (`--batch 1`). Then clients come at `--times` the capacity: each
is told to send at its own turn, one that is refused (429) is counted and tries at its next turn.
`/healthz` is asked four times a second meanwhile. Memory is resident, from /proc.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np

EGOFRAME = "from egoframe.cli import main; main()"
PHOTO = Path(__file__).parents[1] / "examples" / "kitchen.png"
ACTIONS = ("open the microwave", "take the knife", "close the microwave", "take the spatula")
BATCH, LIMIT = 8, 60.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--times", type=float, default=3, help="of its capacity")
    parser.add_argument("--capacity-seconds", type=float, default=30)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    told: dict[str, Any] = {"machine": f"{platform.machine()}, {os.cpu_count()} cores"}
    for name, batch in (("without_batching", 1), ("batching", BATCH)):
        server = Server("--batch", str(batch))
        try:
            told[name] = capacity(server, arguments.capacity_seconds)
        finally:
            server.stop()
    told["gain"] = round(told["batching"]["per_second"] / told["without_batching"]["per_second"], 2)
    rate = arguments.times * told["batching"]["per_second"]
    server = Server("--batch", str(BATCH), "--limit", str(LIMIT))
    try:
        told["overload"] = Load(server, arguments.clients, arguments.seconds, rate).run()
    finally:
        told["exit_status"] = server.stop()
    text = json.dumps(told, indent=1)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")


class Server:
    """`egoframe serve` as a process."""

    def __init__(self, *options: str, temporary: Path | None = None) -> None:
        variables = {**os.environ, "OMP_NUM_THREADS": "1"}
        if temporary is not None:
            variables["TMPDIR"] = str(temporary)
        self.process = subprocess.Popen(
            [sys.executable, "-c", EGOFRAME, "serve", "--port", "0", *options],
            stderr=subprocess.PIPE, text=True, env=variables,
        )  # fmt: skip
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if line.startswith("serving"):
                self.url = line.split()[3].rstrip(";")
                break
        threading.Thread(target=self.process.stderr.read, daemon=True).start()

    def memory(self) -> int:
        """Resident, in MB."""
        told = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(told.partition("VmRSS:")[2].split()[0]) // 1024

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(90)


def ask(web: httpx.Client, number: int) -> tuple[int, float]:
    """Status and seconds."""
    started = time.monotonic()
    answer = web.post(
        "/v1/action-frames",
        files={"image": ("kitchen.png", PHOTO.read_bytes())},
        data={"action": ACTIONS[number % len(ACTIONS)], "seed": str(number)},
        headers={"Accept": "image/png"},
    )
    drawn = answer.content.startswith(b"\x89PNG")
    assert drawn == (answer.status_code == 200), answer.text
    return answer.status_code, time.monotonic() - started


def capacity(server: Server, seconds: float) -> dict[str, float]:
    """Pictures a second, with as many clients as pictures in two batches."""
    with (
        httpx.Client(base_url=server.url, timeout=60) as web,
        ThreadPoolExecutor(2 * BATCH) as pool,
    ):
        for _ in range(2):
            list(pool.map(lambda k: ask(web, k), range(BATCH)))
        end, drawn = time.monotonic() + seconds, [0] * (2 * BATCH)

        def keep_asking(client: int) -> None:
            while time.monotonic() < end:
                status, _ = ask(web, client)
                drawn[client] += status == 200

        started = time.monotonic()
        list(pool.map(keep_asking, range(2 * BATCH)))
        spent = time.monotonic() - started
    return {"pictures": sum(drawn), "per_second": round(sum(drawn) / spent, 2)}


class Load:
    """Clients at a steady rate, all together `rate` requests a second."""

    def __init__(self, server: Server, clients: int, seconds: float, rate: float) -> None:
        self.server, self.clients, self.seconds, self.rate = server, clients, seconds, rate
        self.answers: list[tuple[int, float]] = []
        self.failures: list[str] = []
        self.health: list[float] = []
        self.memory: list[int] = []
        self.over = threading.Event()

    def run(self) -> dict[str, Any]:
        self.start = time.monotonic()
        watch = threading.Thread(target=self.watch)
        watch.start()
        processes = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        health = processes.submit(watch_health, self.server.url, self.seconds)
        threads = [threading.Thread(target=self.client, args=(k,)) for k in range(self.clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.over.set()
        watch.join()
        self.health = health.result()
        processes.shutdown()
        seconds = {s: [t for status, t in self.answers if status == s] for s in (200, 429)}
        warm = self.memory[len(self.memory) // 5 :]
        return {
            "clients": self.clients,
            "seconds": round(time.monotonic() - self.start, 1),
            "asked_per_second": round(self.rate, 2),
            "answers": {
                str(s): sum(status == s for status, _ in self.answers)
                for s in sorted({status for status, _ in self.answers})
            },
            "without_an_answer": self.failures[:5] + [str(len(self.failures))],
            "drawn_per_second": round(len(seconds[200]) / self.seconds, 2),
            "slowest_answer_s": round(max(t for _, t in self.answers), 2),
            "p95_drawn_s": quantile(seconds[200]),
            "p95_refused_s": quantile(seconds[429]),
            "healthz_p50_ms": round(1000 * quantile(self.health, 0.5), 1),
            "healthz_p95_ms": round(1000 * quantile(self.health), 1),
            "healthz_asked": len(self.health),
            "memory_mb": {"warm": warm[0], "most": max(warm), "end": warm[-1]},
            "memory_growth": round(warm[-1] / warm[0] - 1, 3),
        }

    def client(self, number: int) -> None:
        with httpx.Client(base_url=self.server.url, timeout=LIMIT + 10) as web:
            turn = number
            while turn / self.rate < self.seconds:
                time.sleep(max(0.0, self.start + turn / self.rate - time.monotonic()))
                try:
                    self.answers.append(ask(web, turn))
                except (httpx.HTTPError, AssertionError) as error:
                    self.failures.append(f"{type(error).__name__}: {error}")
                late = (
                    time.monotonic() - self.start
                ) * self.rate  # turns that were missed are left
                turn += self.clients * max(1, -(-int(late - turn) // self.clients))

    def watch(self) -> None:
        while not self.over.wait(0.25):
            self.memory.append(self.server.memory())


def watch_health(url: str, seconds: float) -> list[float]:
    """Seconds of each answer; in a process of its own, which the clients do not slow."""
    taken, end = [], time.monotonic() + seconds
    with httpx.Client(base_url=url, timeout=30) as web:
        while time.monotonic() < end:
            started = time.monotonic()
            web.get("/healthz")
            taken.append(time.monotonic() - started)
            time.sleep(0.25)
    return taken


def quantile(values: list[float], share: float = 0.95) -> float:
    return round(float(np.quantile(values, share)), 4) if values else 0.0


if __name__ == "__main__":
    main()
