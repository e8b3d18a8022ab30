"""A study from the command line, from its making to its report."""

import csv
import json
import socket
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from benchmarks.study import Server
from egoframe.study.design import assigned, open_study
from egoframe.study.store import Store
from tests.cli.run import refused, run
from tests.study.drawn import draw, write_dataset


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with a dataset `pairs`, what two models drew, and a `study` of them."""
    folder = tmp_path_factory.mktemp("made")
    write_dataset(folder / "pairs")
    drawn = [f"{name}={draw(folder / name, k)}" for k, name in enumerate(("lego", "copy"))]
    done = run("study", "create", folder / "study", folder / "pairs", *drawn, "--kind", "ranking",
               "--each", "6", "--checks", "2", "--json")  # fmt: skip
    assert json.loads(done.stdout) == {
        "study": str(folder / "study"), "questions": 12, "questions_of_a_rater": 8,
        "raters_for_one_answer_to_each": 2,
    }, done.stderr  # fmt: skip
    return folder


@pytest.mark.parametrize("command", ["create", "invite", "serve", "report"])
def test_every_command_has_help_with_examples(command):
    assert "Example" in run("study", command, "--help").stdout


def test_from_links_to_figures(made, tmp_path):
    folder = made / "study"
    base = ("--base-url", "https://study.example.org/")
    done = run("study", "invite", folder, "ada", "bob, née c", *base)
    names, links = zip(*csv.reader(done.stdout.splitlines()), strict=True)
    assert names == ("name", "ada", "bob, née c")
    assert all(link.startswith("https://study.example.org/s/") for link in links[1:])
    assert "a rater of one of these names" in refused(run("study", "invite", folder, "ada"))
    for expected in ("rater-1", "rater-2"):
        done = run("study", "invite", folder, "--raters", "1", "--json")
        assert list(json.loads(done.stdout)) == [expected]

    study, server = open_study(folder), Server(folder)
    try:
        for link, tie in ((links[1], False), (links[2], True)):
            answer(server.port, link.rpartition("/")[2], study, tie)
    finally:
        server.kill()

    table = tmp_path / "answers.csv"
    told = json.loads(run("study", "report", folder, "--csv", table, "--json").stdout)
    assert (told["raters"], told["answers"], told["left_out"]) == (2, 12, [])
    assert told["rates"]["lego"]["value"] == 0.75
    assert told["scores"]["lego"]["value"] > 0
    assert sum(verb["answers"] for verb in told["verbs"].values()) == 12
    rows = list(csv.DictReader(table.read_text("utf-8").splitlines()))
    assert len(rows) == 16
    assert {row["rater"] for row in rows} == {"ada", "bob, née c"}
    page = run("study", "report", folder).stdout
    assert "2 raters, 12 answers" in page
    assert "75.0 %" in page
    assert "by verb" in page


def answer(port: int, token: str, study: Any, tie: bool) -> None:
    """Prefer lego, or nothing; pass the checks."""

    def ask(what: str, body: dict[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/{token}/{what}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as response:
            return json.load(response)  # type: ignore[no-any-return]

    state = ask("consent", {})
    right = {q.id: q.options[q.right or "lego"] for q in (*study.questions, *study.checks)}
    checks = {check.id for check in study.checks}
    while question := state["question"]:
        place = question["pictures"].index(right[question["id"]])
        equal = tie and question["id"] not in checks
        state = ask("answers", {"question": question["id"], "place": None if equal else place})


def test_two_answers_of_one_rater_have_no_interval(made, tmp_path):
    drawn = [f"{name}={made / name}" for name in ("lego", "copy")] + [f"late={made / 'lego'}"]
    out = tmp_path / "study"
    run("study", "create", out, made / "pairs", *drawn, "--kind", "ranking")
    assert "no answers to report" in refused(run("study", "report", out))
    study, store = open_study(out), Store(out / "answers.db")
    number = store.consent(store.rater(store.invite(["ada"])["ada"]))
    verbs = ("open", "take")
    for verb, models in zip(verbs, ({"lego", "copy"}, {"copy", "late"}), strict=True):
        shown = next(
            s for s in assigned(study, number)
            if s.question.verb == verb and set(s.order) == models and not s.question.right
        )  # fmt: skip
        store.answer(number, shown, "copy", 1.0)
    told = json.loads(run("study", "report", out, "--json").stdout)
    assert told["rates"]["lego"] == {"value": 0, "low": None, "high": None}
    page = run("study", "report", out).stdout.splitlines()
    assert page[-2].split() == ["open", "1", "100", "%", "–", "0", "%"]
    assert page[-1].split() == ["take", "1", "100", "%", "0", "%", "–"]


def test_descriptions(made, tmp_path):
    out = tmp_path / "texts"
    done = run("study", "create", out, made / "pairs", "--kind", "alignment", "--pairs", "6")
    assert "questions: 6" in done.stdout, done.stderr
    study, store = open_study(out), Store(out / "answers.db")
    for name in ("ada", "bob"):
        number = store.consent(store.rater(store.invite([name])[name]))
        for shown in assigned(study, number):
            store.answer(number, shown, shown.question.right or "yes", 1.0)
    other = f"sqlite:///{out / 'answers.db'}"
    line = refused(run("study", "serve", made / "study", "--port", "0", "--database", other))
    assert "is to no question of this study; give each its own database" in line
    told = run("study", "report", out)
    assert "yes      100.0 % (100.0 to 100.0)" in told.stdout
    assert "score" not in told.stdout


def test_bad_input_is_one_line(made, tmp_path):
    pairs, study, out = made / "pairs", made / "study", tmp_path / "out"
    lego, copy = f"lego={made / 'lego'}", f"copy={made / 'copy'}"
    for arguments, told in (
        ((out, pairs, lego), "one model (lego) compares nothing"),
        ((out, pairs, lego, str(made / "copy")), "give pictures as NAME=FOLDER"),
        ((out, pairs, lego, f"lego={made / 'copy'}"), "two models have the name lego"),
        ((out, pairs, lego, "copy=absent"), "absent: no such folder"),
        ((out, tmp_path, lego, copy), "no dataset of action pairs"),
        ((study, pairs, lego, copy), "is there already"),
        ((out, pairs, lego, copy, "--pairs", "0"), "--pairs"),
        ((out, pairs, lego, copy, "--kind", "best"), "--kind"),
    ):
        assert told in refused(run("study", "create", *arguments))
    assert not out.exists()
    assert "give names of raters" in refused(run("study", "invite", study))
    line = refused(run("study", "invite", study, "eve", "--base-url", "study.example.org"))
    assert "give one with http" in line
    for command in (("invite", "eve"), ("serve",), ("report",)):
        line = refused(run("study", command[0], tmp_path, *command[1:]))
        assert "no study here; make one with egoframe study create" in line
    assert not list(tmp_path.iterdir())


def test_where_nothing_can_be_served_is_said(made):
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = str(busy.getsockname()[1])
        line = refused(run("study", "serve", made / "study", "--port", port))
        assert f"127.0.0.1, port {port}: cannot be served at (Address already in use" in line
    line = refused(run("study", "serve", made / "study", "--host", "nowhere.invalid"))
    assert "nowhere.invalid, port 8000: cannot be served at" in line
    database = f"sqlite:///{made / 'absent' / 'answers.db'}"
    line = refused(run("study", "serve", made / "study", "--database", database))
    assert "no database for answers (" in line
