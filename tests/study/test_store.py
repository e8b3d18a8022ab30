"""Answers outlive `kill -9`, and count once."""

import multiprocessing
import os
import random
import signal
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from egoframe.errors import UserError
from egoframe.study.design import Shown
from egoframe.study.store import Rater, Store
from tests.study.test_design import question

MODELS = ("lego", "copy")


def shown(name: str) -> Shown:
    return Shown(replace(question(name, MODELS), id=name), MODELS)


@pytest.fixture
def place(tmp_path) -> Path:
    return tmp_path / "answers.db"


@pytest.fixture
def store(place) -> Store:
    return Store(place)


def known(store: Store, name: str = "ada") -> Rater:
    rater = store.rater(store.invite([name])[name])
    assert rater is not None
    return rater


def test_a_link_is_one_raters_and_is_not_kept(store, tmp_path):
    tokens = store.invite(["ada", "bob"])
    assert store.rater(tokens["ada"]).name == "ada"
    assert store.rater(tokens["bob"] + "x") is None
    assert store.rater("") is None
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert tokens["ada"].encode() not in kept
    with pytest.raises(UserError, match="invited before"):
        store.invite(["eve", "bob"])
    assert store.invite(["eve"])  # she was not
    assert sorted(store.names()) == ["ada", "bob", "eve"]


def test_sqlite_by_url_is_as_durable(store, tmp_path):
    by_url = Store(f"sqlite:///{tmp_path / 'other.db'}")
    for one in (store, by_url):
        with one.engine.begin() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL


def test_numbers_are_given_in_the_order_of_consent_and_once(store):
    tokens = store.invite([str(k) for k in range(40)])
    raters = [store.rater(token) for token in tokens.values()]
    assert {rater.number for rater in raters} == {None}
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(store.consent, raters * 2))
    assert sorted(numbers[:40]) == list(range(40))
    assert numbers[:40] == numbers[40:]


def test_an_answer_counts_once(store):
    number = store.consent(known(store))
    assert store.answer(number, shown("q1"), "lego", 2.5)
    assert not store.answer(number, shown("q1"), "copy", 1.0)
    assert store.answer(number, shown("q2"), None, None)
    assert store.answered(number) == {"q1", "q2"}
    first, second = store.answers()
    assert (first.rater, first.question, first.shown, first.chosen, first.seconds) == (
        "ada", "q1", MODELS, "lego", 2.5,
    )  # fmt: skip
    assert second.chosen is None


def _write(place: Path, number: int, acknowledged) -> None:
    store = Store(place)
    for k in range(10**6):
        if store.answer(number, shown(f"{os.getpid()}-{k}"[:16]), "lego", 1.0):
            acknowledged.send(f"{os.getpid()}-{k}"[:16])


def test_what_was_acknowledged_outlives_a_killed_server(store, place):
    number, draw = store.consent(known(store)), random.Random(0)
    context = multiprocessing.get_context("spawn")
    told: list[str] = []
    for _ in range(5):
        receive, send = context.Pipe(duplex=False)
        child = context.Process(target=_write, args=(place, number, send))
        child.start()
        send.close()
        assert receive.poll(60)
        time.sleep(draw.uniform(0, 0.3))
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        while True:
            try:
                told.append(receive.recv())
            except EOFError:
                break
    kept = store.answered(number)
    assert len(told) > 20
    assert set(told) <= kept
    assert len(kept) <= len(told) + 5  # one may have been written and not acknowledged
    with sqlite3.connect(place) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_place_that_is_no_database_is_said(tmp_path):
    (tmp_path / "answers.db").write_text("these are no answers, whatever the name says" * 40)
    with pytest.raises(UserError, match=r"answers\.db: no database for answers \(.*not a database"):
        Store(tmp_path / "answers.db")
    with pytest.raises(UserError, match="no database for answers"):
        Store(tmp_path / "nowhere" / "answers.db")
    with pytest.raises(UserError, match="no database for answers"):
        Store("gibberish://x")
    with pytest.raises(UserError, match="MySQLdb is not installed; for PostgreSQL: pip install"):
        Store("mysql://host/study")
    with pytest.raises(UserError, match="no database for answers") as told:
        Store("gibberish://ada:secret@host/study")
    assert "secret" not in str(told.value)
