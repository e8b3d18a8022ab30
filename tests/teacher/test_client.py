import asyncio
import email.utils
import json
import time

import pytest

from egoframe.errors import UserError
from egoframe.teacher import client
from egoframe.teacher.budget import most_tokens, usual_tokens
from egoframe.teacher.client import ChatEndpoint, NoAnswer, pause, retry_after
from tests.teacher.chat_server import Turn, chat_server, refuse, say

ASKED = [
    {"role": "system", "content": "Describe."},
    {"role": "user", "content": '{"action": "öffne"}'},
]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(client, "FIRST_PAUSE", 0.01)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def ask(chat, **settings):
    async def once():
        teacher = chat.teacher(**settings)
        try:
            return await teacher.answer(ASKED)
        finally:
            await teacher.close()

    return asyncio.run(once())


def after(*turns):
    """Answers one by one, the last for ever."""
    return lambda body, number: turns[min(number, len(turns) - 1)]


def test_what_is_asked_and_answered(monkeypatch):
    with chat_server(after(say("Yes."))) as chat:
        reply = ask(chat, name="m", temperature=0.5, max_tokens=99)
        assert chat.asked == [
            {"model": "m", "messages": ASKED, "temperature": 0.5, "max_tokens": 99}
        ]
        assert (reply.text, reply.input_tokens, reply.output_tokens) == ("Yes.", 1000, 100)
        assert not reply.estimated
        ask(chat, temperature=None)
        assert "temperature" not in chat.asked[1]
        monkeypatch.setenv("OPENAI_API_KEY", " sk-1\n")
        ask(chat)
        assert chat.keys[-1] == "Bearer sk-1"


@pytest.mark.parametrize("usage", [None, {}, 5, {"prompt_tokens": "many", "completion_tokens": -1}])
def test_tokens_that_nobody_tells_are_estimated(usage):
    with chat_server(after(say("Yes.", usage))) as chat:
        reply = ask(chat)
    assert reply.estimated
    assert reply.output_tokens == 1
    assert reply.input_tokens == sum(usual_tokens(m["content"]) for m in ASKED)
    assert reply.input_tokens < most_tokens(ASKED)


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (refuse(429), "status 429"),
        (refuse(500), "status 500"),
        (refuse(503), "status 503"),
        (refuse(408), "status 408"),
        (Turn(b"<html>", 502), "status 502"),
        (Turn(b'{"choices": ['), client.UNREADABLE),
        (Turn(b"<html>a login page</html>"), client.UNREADABLE),
        (Turn(b"\xff\xfe", headers={"Content-Type": "text/plain"}), client.UNREADABLE),
        (Turn(b"null"), client.UNREADABLE),
        (Turn(b"[" * 100_000), client.UNREADABLE),
        (Turn(b'{"error": {"message": "overloaded"}}'), client.UNREADABLE),
        (Turn(b'{"choices": []}'), client.UNREADABLE),
        (say(["parts"]), client.UNREADABLE),
        (Turn(b"{}" * 1000, cut=True), client.NO_CONNECTION),
        (Turn(b"{}", delay=5), client.NO_ANSWER),
        (Turn(b"{}" * 50, drip=0.1), client.NO_ANSWER),
    ],
)
def test_trouble_that_passes_is_waited_for(trouble, reason):
    with chat_server(after(trouble, trouble, say("Yes."))) as chat:
        assert ask(chat, timeout=0.4).text == "Yes."
        assert len(chat.asked) == 3
    with chat_server(after(trouble)) as chat:
        with pytest.raises(NoAnswer, match=reason):
            ask(chat, retries=1, timeout=0.4)
        assert len(chat.asked) == 2


def test_nobody_listens():
    with chat_server() as chat:
        pass
    with pytest.raises(NoAnswer, match=client.NO_CONNECTION):
        ask(chat, retries=1)


def test_empty_and_huge_answers_arrive():
    with chat_server(after(say(None), say("x" * 3_000_000), say("", finish="length"))) as chat:
        assert ask(chat).text is None
        assert len(ask(chat).text) == 3_000_000
        assert ask(chat).finish == "length"


def test_the_endpoints_own_wish_to_wait_counts():
    busy = refuse(429, Retry_After="0.6")
    with chat_server(after(busy, say("Yes."))) as chat:
        ask(chat)
        assert chat.times[1] - chat.times[0] >= 0.6
    with chat_server(after(refuse(429, Retry_After="1e9"))) as chat:
        with pytest.raises(NoAnswer, match="ten minutes"):
            ask(chat)
        assert len(chat.asked) == 1


def test_headers_that_say_when():
    assert retry_after({}) is None
    assert retry_after({"retry-after": "7"}) == 7
    assert retry_after({"retry-after": "-7"}) == 0
    assert retry_after({"retry-after": "nan"}) is None
    assert retry_after({"retry-after": "inf"}) == float("inf")
    assert retry_after({"retry-after": "soon"}) is None
    date = email.utils.formatdate(time.time() + 30, usegmt=True)
    assert 28 < retry_after({"retry-after": date}) <= 30


def test_pauses_double_and_vary(monkeypatch):
    monkeypatch.setattr(client, "FIRST_PAUSE", 0.5)
    for attempt in range(12):
        longest = min(0.5 * 2**attempt, 60)
        pauses = [pause(attempt) for _ in range(300)]
        assert longest / 2 <= min(pauses) < 0.55 * longest
        assert 0.95 * longest < max(pauses) <= longest
    assert pause(10**6) <= 60


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (refuse(401, "Incorrect API key provided: sk-secret"), "does not accept OPENAI_API_KEY"),
        (refuse(403, "sk-secret may not"), "status 403: … may not"),
        (refuse(404, "no model m"), "knows no model teacher.*no model m.*/v1"),
        (refuse(400, "too\nlong"), "status 400: too"),
        (refuse(402, "pay"), "status 402: pay"),
        (refuse(422, "\x1b[31mred"), r"status 422: \[31mred"),
        (refuse(429, "no credit", "insufficient_quota"), "status 429: no credit"),
        (Turn(b"<html>\n<body>", 403), "status 403: <html>"),
        (Turn(b"", 400), "status 400"),
    ],
)
def test_what_no_patience_mends_is_told_at_once_in_one_line(monkeypatch, trouble, said):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    with chat_server(after(trouble)) as chat:
        with pytest.raises(UserError, match=said) as error:
            ask(chat)
        assert len(chat.asked) == 1
    assert str(error.value).isprintable()
    assert "sk-secret" not in str(error.value)
    assert chat.url in str(error.value)


def test_a_path_that_is_no_endpoint():
    with chat_server() as chat:
        chat.url = chat.url.removesuffix("/v1")
        with pytest.raises(UserError, match="no such path"):
            ask(chat)


def test_a_filter_holds_back_one_answer_alone():
    with chat_server(after(refuse(400, "filtered", "content_filter"))) as chat:
        reply = ask(chat)
    assert (reply.text, reply.finish) == (None, "content_filter")


def test_models_that_know_the_limit_by_its_newer_name():
    def turn(body, _):
        if "max_tokens" in body:
            return refuse(400, "Unsupported parameter: use 'max_completion_tokens' instead.")
        return say(json.dumps(body["max_completion_tokens"]))

    with chat_server(turn) as chat:
        assert ask(chat, max_tokens=77, retries=0).text == "77"
        assert len(chat.asked) == 2


def test_questions_in_flight_learn_the_newer_name_too():
    def turn(body, _):
        time.sleep(0.2)
        return refuse(400, "use 'max_completion_tokens'") if "max_tokens" in body else say("yes")

    async def together(teacher):
        try:
            question = [{"role": "user", "content": "Well?"}]
            return await asyncio.gather(*(teacher.answer(question) for _ in range(5)))
        finally:
            await teacher.close()

    with chat_server(turn) as chat:
        replies = asyncio.run(together(chat.teacher("m", retries=0, timeout=5.0)))
    assert [reply.text for reply in replies] == ["yes"] * 5


def test_what_can_be_no_endpoint(monkeypatch):
    usual = {"temperature": 0.0, "max_tokens": 99, "retries": 0, "timeout": 1.0}
    for url in (
        "localhost:8000/v1",
        "",
        "ftp://host",
        "http://[::1",
        "http://",
        "http://exa mple/v1",
        "http://localhost:99999/v1",
        "http://localhost:0x/v1",
    ):
        with pytest.raises(UserError, match="URL"):
            ChatEndpoint(url, "m", **usual)
    monkeypatch.setenv("OPENAI_API_KEY", "schlüssel")
    with pytest.raises(UserError, match="OPENAI_API_KEY"):
        ChatEndpoint("http://localhost:1/v1", "m", **usual)
