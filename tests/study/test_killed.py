"""A real server on loopback, killed while raters answer: nothing is lost, nothing counts twice."""

from pathlib import Path

import pytest

from benchmarks.study import Load, make_study
from egoframe.study.store import Store


def survived(folder: Path, raters: int, each: int, kills: int) -> None:
    study = make_study(folder, each, seed=0)
    store = Store(folder / "study" / "answers.db")
    told = Load(study, folder / "study", store, raters, kills, rate=100).run()
    assert told["kills"] == kills
    assert told["sent_again"] > 0
    assert told["acknowledged"] == told["stored"] == raters * (each + 6)
    assert (told["lost"], told["doubled"], told["changed"]) == (0, 0, 0)


def test_two_kills(tmp_path):
    survived(tmp_path, raters=20, each=9, kills=2)


@pytest.mark.slow
def test_ten_kills(tmp_path):
    survived(tmp_path, raters=30, each=14, kills=10)
