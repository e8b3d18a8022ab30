"""The page's requests: what is told, what is kept, what is refused."""

import sqlite3
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from egoframe.errors import UserError
from egoframe.study.design import Study, assigned
from egoframe.study.server import NO_LINK, create_app
from egoframe.study.store import Store
from tests.study.test_design import study


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "answers.db")


def client(made: Study, folder: Path, store: Store) -> TestClient:
    (folder / "pictures").mkdir(exist_ok=True)
    for question in (*made.questions, *made.checks):
        for name in (question.photo, *question.options.values()):
            (folder / "pictures" / name).write_bytes(b"\xff\xd8")
    return TestClient(create_app(made, folder, store))


def test_a_rater_answers_all_and_what_was_chosen_is_kept(tmp_path, store):
    made = study()
    web, token = client(made, tmp_path, store), store.invite(["ada"])["ada"]
    state = web.get(f"/api/{token}").json()
    assert state == {"consent": made.consent}
    state = web.post(f"/api/{token}/consent").json()
    expected = []
    for done, shown in enumerate(assigned(made, 0)):
        assert (state["done"], state["of"]) == (done, 8)
        assert state["question"]["id"] == shown.question.id
        assert not any(model in str(state) for model in (*made.models, "truth", "noise"))
        assert state["question"]["pictures"] == [shown.question.options[m] for m in shown.order]
        place = (0, 1, None)[done % 3]
        sent = {"question": shown.question.id, "place": place, "seconds": 1.5}
        again = [web.post(f"/api/{token}/answers", json=sent).json() for _ in range(2)]
        assert again[0] == again[1]
        state = again[0]
        expected.append((shown.question.id, None if place is None else shown.order[place]))
    assert state == {"done": 8, "of": 8, "question": None}
    kept = [(a.question, a.chosen) for a in store.answers()]
    assert sorted(kept, key=str) == sorted(expected, key=str)


def test_a_reload_goes_on_where_it_was(tmp_path, store):
    made = study()
    web, token = client(made, tmp_path, store), store.invite(["ada"])["ada"]
    first = web.post(f"/api/{token}/consent").json()["question"]
    sent = {"question": first["id"], "place": 1}
    after = web.post(f"/api/{token}/answers", json=sent).json()
    assert TestClient(create_app(made, tmp_path, store)).get(f"/api/{token}").json() == after


def test_what_is_forged_is_refused_and_counts_nothing(tmp_path, store):
    made = study("choice", pairs=6)
    web, tokens = client(made, tmp_path, store), store.invite(["ada", "bob"])
    page = web.get("/s/forged")
    assert page.status_code == 404
    assert NO_LINK in page.text
    for path in ("", "/consent", "/answers"):
        sent = {"json": {"question": "x", "place": 0}} if path == "/answers" else {}
        answered = web.request("POST" if path else "GET", f"/api/forged{path}", **sent)
        assert (answered.status_code, answered.json()["detail"]) == (404, NO_LINK)
    token = tokens["ada"]
    early = web.post(f"/api/{token}/answers", json={"question": "x", "place": 0})
    assert early.status_code == 409
    question = web.post(f"/api/{token}/consent").json()["question"]["id"]
    for sent, code in (
        ({"question": "of another", "place": 0}, 409),
        ({"question": question, "place": 3}, 422),
        ({"question": question, "place": None}, 422),  # no ties here
        ({"question": question, "place": -1}, 422),
        ({"question": question, "place": "lego"}, 422),
        ({"question": question, "place": 0, "seconds": -5}, 422),
        ({"place": 0}, 422),
    ):
        assert web.post(f"/api/{token}/answers", json=sent).status_code == code
    assert store.answers() == []


def test_pictures_of_the_study_alone_are_served(tmp_path, store):
    made = study()
    web = client(made, tmp_path, store)
    assert web.get(f"/pictures/{made.questions[0].photo}").content == b"\xff\xd8"
    for name in ("answers.db", "..%2Fanswers.db", "%2e%2e/answers.db", "nothing.jpg"):
        assert web.get(f"/pictures/{name}").status_code == 404


def test_a_picture_that_is_lost_is_not_there_and_said_at_the_start(tmp_path, store):
    made = study()
    web, name = client(made, tmp_path, store), made.questions[0].photo
    (tmp_path / "pictures" / name).unlink()
    assert web.get(f"/pictures/{name}").status_code == 404
    with pytest.raises(UserError, match=rf"{name}: missing, with 0 others"):
        create_app(made, tmp_path, store)


def test_a_database_that_fails_is_tried_again(tmp_path, store, capsys):
    """The page does so where a status is 500 or more."""
    web = client(study(), tmp_path, store)
    token = store.invite(["ada"])["ada"]
    with sqlite3.connect(tmp_path / "answers.db") as connection:
        connection.execute("ALTER TABLE answers RENAME TO lost")
    assert web.post(f"/api/{token}/consent").status_code == 503
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert "no such table: answers" in told[0]
    with sqlite3.connect(tmp_path / "answers.db") as connection:
        connection.execute("ALTER TABLE lost RENAME TO answers")
    assert web.post(f"/api/{token}/consent").status_code == 200


def test_every_response_has_its_headers(tmp_path, store):
    web = client(study(), tmp_path, store)
    for path in ("/s/x", "/page/study.js", "/api/x", "/pictures/x"):
        headers = web.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'self'")
        assert headers["referrer-policy"] == "no-referrer"
