"""A study under load: raters who answer while its server is killed again and again.

    python -m benchmarks.study --out docs/results/study.json

Simulated raters answer over HTTP on loopback, at a steady rate, by known preferences; a tenth of
them answer at random. `egoframe study serve` is a process of its own, which gets SIGKILL at moments
chosen at random and is started again. A rater sends an answer until it is acknowledged, as the page
does. Then the acknowledged answers are compared with those in the database, and the report with the
preferences; the latter also for more studies of the same size, simulated without a server.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import math
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from egoframe.pairs import ActionPair, write_pairs
from egoframe.storage import Folder
from egoframe.study.create import create_study
from egoframe.study.design import Question, Study, assigned
from egoframe.study.report import make_report
from egoframe.study.store import Store, Stored

STRENGTHS = {"lego": 0.7, "label": 0.1, "copy": -0.8}  # Bradley–Terry
TIE = -1.0
CARELESS = 0.1  # share of raters who answer at random
ACTIONS = (("open", "drawer"), ("take", "mug"), ("cut", "bread"), ("wash", "plate"))
PAIRS, SIZE, VIDEOS = 60, (64, 64), 12
EGOFRAME = "from egoframe.cli import main; main()"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--raters", type=int, default=200)
    parser.add_argument("--each", type=int, default=44, help="questions, besides six checks")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--rate", type=float, default=22, help="answers a second")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--studies", type=int, default=100, help="simulated without a server")
    parser.add_argument("--database", help="a URL; SQLite if not given")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        study = make_study(Path(name), arguments.each, arguments.seed)
        store = Store(arguments.database or Path(name) / "study" / "answers.db")
        load = Load(
            study, Path(name) / "study", store, arguments.raters, arguments.kills, arguments.rate,
            arguments.seed, arguments.database,
        )  # fmt: skip
        told = {"database": store.engine.dialect.name} | load.run()
        told |= recovered(study, store.answers())
        told["more_studies"] = coverage(study, arguments.raters, arguments.studies)
    text = json.dumps(told, indent=1)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")


def make_study(folder: Path, each: int, seed: int) -> Study:
    """A ranking of three models, whose pictures are noise, in `folder/study`."""
    draw = np.random.default_rng(seed)

    def noise() -> Image.Image:
        return Image.fromarray(draw.integers(256, size=(*SIZE, 3), dtype=np.uint8))

    def encoded() -> bytes:
        file = io.BytesIO()
        noise().save(file, "PNG")
        return file.getvalue()

    pairs = []
    for k in range(PAIRS):
        verb, noun = ACTIONS[k % len(ACTIONS)]
        action = f"{verb} {noun}"
        pairs.append(
            ActionPair(
                f"p{k}", "noise", "validation", f"v{k % VIDEOS}", action, action, verb, noun, None,
                None, encoded(), encoded(), 0.0, 1.0, [], [], 0.9, 1.0, 0.5, 0.0,
            )
        )  # fmt: skip
        for model in STRENGTHS:
            (folder / model).mkdir(exist_ok=True)
            noise().save(folder / model / f"p{k}.png")
    write_pairs(Folder(folder / "pairs"), pairs)
    drawn = {model: folder / model for model in STRENGTHS}
    dataset = str(folder / "pairs")
    return create_study(folder / "study", dataset, drawn, "ranking", each=each, seed=seed)


def names(raters: int) -> list[str]:
    """Of all raters; the last ones are careless."""
    return [f"{'careless' if k >= raters * (1 - CARELESS) else 'rater'}-{k}" for k in range(raters)]


def choose(question: Question, order: Sequence[str], name: str, seed: int) -> str | None:
    """What a rater prefers, by Davidson's model; the same whenever they are asked."""
    draw = random.Random(f"{seed} {name} {question.pair_id} {list(question.options)}")
    if name.startswith("careless"):
        return draw.choice(sorted(order))
    if question.right:
        return question.right
    models = sorted(order)
    strengths = [STRENGTHS[model] for model in models]
    weights = [math.exp(strength) for strength in strengths]
    weights.append(math.exp(TIE + sum(strengths) / len(strengths)))
    return draw.choices([*models, None], weights)[0]


class Server:
    """`egoframe study serve` on loopback, at one port all the time."""

    def __init__(self, folder: Path, database: str | None = None) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        more = ["--database", database] if database else []
        self.command = [
            sys.executable, "-c", EGOFRAME, "study", "serve", str(folder), "--port", str(self.port),
            *more,
        ]  # fmt: skip
        self.start()

    def start(self) -> None:
        """Start it, and wait until it takes requests."""
        self.process = subprocess.Popen(self.command, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        said = self.process.stderr.readline()
        if not said.startswith("serving "):
            raise RuntimeError(said + self.process.stderr.read())

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.communicate()


class Load:
    """Raters who answer all that they are asked, and somebody who kills the server.

    Arguments:
        rate: answers a second, of all raters together.
    """

    def __init__(
        self,
        study: Study,
        folder: Path,
        store: Store,
        raters: int,
        kills: int,
        rate: float,
        seed: int = 0,
        database: str | None = None,
    ) -> None:
        self.study, self.store, self.rate, self.seed = study, store, rate, seed
        self.names = names(raters)
        self.total = raters * (study.each + study.checks_each)
        self.moments = sorted(random.Random(seed).sample(range(self.total * 49 // 50), kills))
        self.asked = {question.id: question for question in (*study.questions, *study.checks)}
        self.acknowledged: dict[tuple[str, str], str | None] = {}
        self.seconds: list[float] = []  # that an acknowledged request took
        self.kills = 0
        self.again = 0  # requests that had to be sent again
        self.lock, self.over = threading.Lock(), threading.Event()
        self.server = Server(folder, database)

    def run(self) -> dict[str, Any]:
        """Let all of them answer everything; what came of it."""
        tokens = self.store.invite(self.names)
        killer = threading.Thread(target=self.kill_again_and_again)
        try:
            for name in self.names:  # their numbers do not depend on who is quick
                self.send(tokens[name], "consent", {})
            self.start = time.monotonic()
            killer.start()
            with ThreadPoolExecutor(len(self.names)) as pool:
                links = [tokens[name] for name in self.names]
                list(pool.map(self.answer_all, range(len(links)), self.names, links))
            took = time.monotonic() - self.start
        finally:
            self.over.set()
            if killer.ident is not None:
                killer.join()
            self.server.kill()
        stored = self.store.answers()
        kept = {(a.rater, a.question): a.chosen for a in stored}
        acknowledged = self.acknowledged
        return {
            "raters": len(self.names),
            "kills": self.kills,
            "acknowledged": len(acknowledged),
            "stored": len(stored),
            "lost": len(acknowledged.keys() - kept.keys()),
            "doubled": len(stored) - len(kept),
            "changed": sum(kept.get(key, told) != told for key, told in acknowledged.items()),
            "seconds": round(took, 1),
            "answers_per_second": round(len(acknowledged) / took, 1),
            "sent_again": self.again,
            "milliseconds": {
                f"{p} %": round(1000 * float(np.percentile(self.seconds, p)), 1) for p in (50, 99)
            },
        }

    def answer_all(self, number: int, name: str, token: str) -> None:
        """One rater's answers, each when it is due."""
        state, count = self.send(token), 0
        while question := state["question"]:
            turn = count * len(self.names) + number
            time.sleep(max(0.0, self.start + turn / self.rate - time.monotonic()))
            asked = self.asked[question["id"]]
            shown = {picture: model for model, picture in asked.options.items()}
            order = [shown[picture] for picture in question["pictures"]]
            chosen = choose(asked, order, name, self.seed)
            place = None if chosen is None else order.index(chosen)
            given = {"question": asked.id, "place": place, "seconds": 3.0}
            state = self.send(token, "answers", given)
            with self.lock:
                self.acknowledged[name, asked.id] = chosen
            count += 1

    def send(self, token: str, what: str = "", body: Any = None) -> dict[str, Any]:
        """Ask until there is an answer."""
        path = f"/api/{token}/{what}".rstrip("/")
        method, data = ("GET", None) if body is None else ("POST", json.dumps(body))
        while True:
            started = time.monotonic()
            try:
                web = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
                web.request(method, path, data, {"Content-Type": "application/json"})
                response = web.getresponse()
                text = response.read()
                if response.status == 200:
                    if what == "answers":
                        self.seconds.append(time.monotonic() - started)
                    return json.loads(text)  # type: ignore[no-any-return]
                if response.status < 500:
                    raise RuntimeError(f"{path}: {response.status} {text!r}")
            except (OSError, http.client.HTTPException):
                pass
            finally:
                web.close()
            with self.lock:
                self.again += 1
            time.sleep(0.2)

    def kill_again_and_again(self) -> None:
        """At moments between answers that were drawn beforehand."""
        draw = random.Random(self.seed)
        for moment in self.moments:
            while len(self.acknowledged) < moment:
                if self.over.wait(0.01):
                    return
            time.sleep(draw.uniform(0, 0.1))
            self.server.kill()
            self.kills += 1
            self.server.start()


def recovered(study: Study, stored: Sequence[Stored]) -> dict[str, Any]:
    """The report's scores beside the preferences that the answers came from."""
    found = make_report(study, stored)
    scores = {
        model: {"true": strength}
        | {end: round(getattr(found.scores[model], end), 3) for end in ("value", "low", "high")}
        for model, strength in STRENGTHS.items()
    }
    return {
        "scores": scores,
        "within_intervals": sum(s["low"] < s["true"] < s["high"] for s in scores.values()),
        "careless_left_out": sum(name.startswith("careless") for name in found.left_out),
        "others_left_out": sum(name.startswith("rater") for name in found.left_out),
        "answers_counted": found.answers,
        "alpha": round(found.alpha, 3),
    }


def coverage(study: Study, raters: int, studies: int) -> dict[str, Any]:
    """How many intervals hold the preferences, in studies with and without careless raters."""
    asked = [assigned(study, k) for k in range(raters)]
    told: dict[str, Any] = {"studies": studies}
    for what in ("attentive alone", "all"):
        found = []
        for seed in range(1, studies + 1):
            stored = [
                Stored(name, s.question.id, s.order, choose(s.question, s.order, name, seed), 3, "")
                for name, own in zip(names(raters), asked, strict=True)
                if what == "all" or not name.startswith("careless")
                for s in own
            ]
            found.append(recovered(study, stored))
        told[what] = {
            "within_intervals": sum(one["within_intervals"] for one in found),
            "of": studies * len(STRENGTHS),
            "mean_scores": {
                model: round(float(np.mean([one["scores"][model]["value"] for one in found])), 3)
                for model in STRENGTHS
            },
        }
    return told


if __name__ == "__main__":
    main()
