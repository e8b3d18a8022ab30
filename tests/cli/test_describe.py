"""`egoframe describe`: in this process, and, where it is stopped, in one of its own."""

import json
import os
import signal
import subprocess
import time
from dataclasses import replace

import pytest
import typer
from typer.testing import CliRunner

from egoframe.cli.describe import describe
from egoframe.errors import UserError
from egoframe.pairs import open_pairs, read_rows, shards, write_pairs
from egoframe.scenes import describe as told_of
from egoframe.storage import Folder
from tests.cli.run import EGOFRAME
from tests.kitchen.made_up import records
from tests.little_dataset import write_dataset
from tests.teacher.chat_server import chat_server, good, refuse, say
from tests.teacher.scenes import dataset, pair
from tests.teacher.tiny_model import save_tiny_model

app = typer.Typer()
app.command()(describe)


def run(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


def refused(*arguments):
    """The line of a command that was refused."""
    error = run(*arguments).exception
    assert isinstance(error, UserError), error
    assert str(error).isprintable()
    return str(error)


def test_an_endpoint_describes_a_dataset(tmp_path):
    pairs = write_dataset(tmp_path / "pairs", described=False)
    with chat_server() as chat:
        command = (pairs, "concurrency=4", "--endpoint", chat.url, "--model", "m", "--json")
        told = json.loads(run(*command).stdout)
        assert told["described"] == told["unchecked"] == len(chat.asked) == 40
        assert told["description_source"] == "m"
        assert told["input_tokens"] == 40_000
        assert chat.peak <= 4
        rows = open_pairs(pairs, "train")
        assert set(rows["description_source"]) == {"m"}
        assert all("take mug" in text for text in rows["description"])
        again = json.loads(run(*command).stdout)
        assert (again["described"], again["answers"], len(chat.asked)) == (40, 0, 40)


def test_settings_come_from_a_file_and_the_command_line(tmp_path):
    pairs = dataset(tmp_path / "pairs", 24).url
    (tmp_path / "teacher.yaml").write_text("subset: 9\nsplits: [validation]\n", encoding="utf-8")
    with chat_server() as chat:
        model = ("--endpoint", chat.url, "--model", "m", "--config", tmp_path / "teacher.yaml")
        done = run(pairs, "subset=4", *model)
        assert "described: 4\n" in done.stdout
        assert len(chat.asked) == 4


def test_a_url(tmp_path):
    pairs = dataset(f"memory://{tmp_path}", 5)
    with chat_server() as chat:
        done = run(pairs.url, "--endpoint", chat.url, "--model", "m")
    assert done.exit_code == 0, done.output
    rows = [row for name in shards(pairs) for row in read_rows(pairs, name)]
    assert {row["description_source"] for row in rows} == {"m"}


def test_a_local_model(tmp_path):
    pairs = dataset(tmp_path / "pairs", 2).url
    folder = save_tiny_model(tmp_path / "model")
    done = run(pairs, "max_tokens=64", "--model", f"{folder}/", "--device", "cpu", "--json")
    told = json.loads(done.stdout)
    assert (told["described"], sum(told["invalid"].values())) == (0, 2)
    assert told["description_source"] == str(folder)


def test_a_budget_ends_well_and_missing_answers_do_not(tmp_path):
    pairs = dataset(tmp_path / "pairs", 12).url
    with chat_server() as chat:
        model = ("--endpoint", chat.url, "--model", "m")
        done = run(pairs, "budget=0.02", "input_price=1", "output_price=10", "--json", *model)
        told = json.loads(done.stdout)
        assert done.exit_code == 0
        assert told["stopped_by_budget"]
        assert told["spent"] <= 0.02
        assert 0 < told["described"] < 12
        left = 12 - told["described"]
        assert f"{left} are left" in done.stderr
        chat.turn = lambda body, number: refuse(500)
        done = run(pairs, "retries=0", "concurrency=1", f"subset={told['described'] + 1}", *model)
    assert done.exit_code == 1
    assert "the same command asks again" in done.stderr
    assert "status 500" in done.stdout


def test_the_kitchens_own_teacher_still_needs_facts(tmp_path):
    pairs = dataset(tmp_path / "pairs", 2)
    assert "carry no facts" in refused(pairs.url)


def test_the_kitchens_own_teacher_describes_from_facts(tmp_path):
    made = records(3)
    pairs = Folder(tmp_path / "pairs")
    write_pairs(pairs, [replace(pair(n), facts=json.dumps(r)) for n, r in enumerate(made)])
    assert json.loads(run(pairs.url, "--json").stdout) == {"described": 3}
    assert open_pairs(pairs.url, "train")["description"] == [told_of(r) for r in made]
    assert set(open_pairs(pairs.url, "train")["description_source"]) == {"kitchen-teacher"}
    run(pairs.url, "seed=5")
    assert open_pairs(pairs.url, "train")["description"] == [told_of(r, 5) for r in made]


def test_what_cannot_be_done_is_said_in_one_line(tmp_path):
    pairs = dataset(tmp_path / "pairs", 2).url
    assert "no dataset of action pairs" in refused(tmp_path)
    assert "no dataset of action pairs" in refused(tmp_path, "--model", tmp_path / "absent")
    assert "--model which" in refused(pairs, "--endpoint", "http://localhost:1/v1")
    assert "give one with --model" in refused(pairs, "subset=5")
    assert "unknown setting speed" in refused(pairs, "speed=5", "--model", "m")
    assert "concurrency 0" in refused(pairs, "concurrency=0", "--model", "m")
    assert "input_price" in refused(pairs, "budget=5", "--model", "m")
    assert "splits" in refused(pairs, "splits=[test]", "--model", "m")
    assert "not a text-generation model" in refused(pairs, "--model", tmp_path / "absent")
    assert "local model" in refused(
        pairs, "--model", "m", "--endpoint", "http://localhost:1/v1", "--device", "cpu"
    )
    assert "absent.jsonl: cannot be read" in refused(
        pairs, f"examples={tmp_path}/absent.jsonl", "--endpoint", "http://h/v1", "--model", "m"
    )
    with chat_server(lambda *_: refuse(401)) as chat:
        assert "OPENAI_API_KEY" in refused(pairs, "--endpoint", chat.url, "--model", "m")


def start(pairs, chat):
    arguments = [pairs.url, "concurrency=4", "--endpoint", chat.url, "--model", "m", "--json"]
    return subprocess.Popen(
        [*EGOFRAME, "describe", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip


def wait_for(chat, count, child):
    until = time.monotonic() + 60
    while len(chat.asked) < count:
        assert child.poll() is None, child.stderr.read()
        assert time.monotonic() < until
        time.sleep(0.005)


def slowly(body, number):
    time.sleep(0.02)
    return good(body, number)


@pytest.mark.slow
def test_killed_again_and_again_no_answer_is_paid_for_twice(tmp_path):
    quiet, pairs = dataset(tmp_path / "quiet", 200), dataset(tmp_path / "pairs", 200)
    with chat_server() as chat:
        run(quiet.url, "--endpoint", chat.url, "--model", "m")
    with chat_server(slowly) as chat:
        for count in (30, 90, 150):
            child = start(pairs, chat)
            wait_for(chat, count, child)
            os.kill(child.pid, signal.SIGKILL)
            child.communicate()
            time.sleep(0.2)
        written = (tmp_path / "pairs" / "descriptions.jsonl").read_bytes().count(b"\n")
        paid = len(chat.asked)
        assert paid - 3 * 4 <= written <= paid  # but for the four that were being answered
        child = start(pairs, chat)
        out, errors = child.communicate()
        assert child.returncode == 0, errors
        assert json.loads(out)["described"] == 200
        assert len(chat.asked) == paid + 200 - written
    for name in shards(quiet):
        assert list(read_rows(pairs, name)) == list(read_rows(quiet, name))


@pytest.mark.slow
def test_ctrl_c_writes_what_was_answered(tmp_path):
    pairs = dataset(tmp_path / "pairs", 200)
    with chat_server(slowly) as chat:
        child = start(pairs, chat)
        wait_for(chat, 60, child)
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=30)
        assert child.returncode == 130, errors
        assert errors.strip() == (
            "egoframe: stopped; what was finished is kept, the same command goes on"
        )
        written = (tmp_path / "pairs" / "descriptions.jsonl").read_bytes().count(b"\n")
        assert 50 <= written <= len(chat.asked) < 200
    rows = [row for name in shards(pairs) for row in read_rows(pairs, name)]
    assert len([row for row in rows if row["description"]]) == written


def test_letters_that_steer_a_terminal_do_not_reach_it(tmp_path):
    pairs = dataset(tmp_path / "pairs", 2).url
    with chat_server(lambda body, n: refuse(400, "\x1b]0;owned\x07\nmore")) as chat:
        assert "owned" in refused(pairs, "--endpoint", chat.url, "--model", "m")
    with chat_server(lambda body, n: say("\x1b[2J\ud800")) as chat:
        done = run(pairs, "--endpoint", chat.url, "--model", "m")
    assert done.exit_code == 0
    assert "\x1b" not in done.output
    assert Folder(pairs).read("descriptions.jsonl").isascii()
