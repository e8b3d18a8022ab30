"""An endpoint on this machine: speaks OpenAI's protocol for chats, misbehaves on demand, and keeps
a record of what it was asked."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from egoframe.teacher.client import ChatEndpoint

USAGE = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}


@dataclass
class Turn:
    """How a request is answered."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0  # seconds before it
    cut: bool = False  # the connection is closed in the middle
    drip: float = 0.0  # seconds between two bytes


def say(content: Any, usage: Any = USAGE, finish: str = "stop") -> Turn:
    """A chat completion."""
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    told = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
    return Turn(json.dumps(told | ({"usage": usage} if usage is not None else {})).encode())


def refuse(status: int, message: str = "no", code: str | None = None, **headers: str) -> Turn:
    """An error, as OpenAI tells it; names of headers have _ for -."""
    told = {"error": {"message": message, "type": "t", "param": None, "code": code}}
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return Turn(json.dumps(told).encode(), status, named)


def action(body: dict[str, Any]) -> str:
    """What a request asks about."""
    for message in reversed(body["messages"]):
        if message["role"] == "user" and message["content"].startswith("{"):
            return str(json.loads(message["content"])["action"])
    raise AssertionError("no question in the request")


def described(body: dict[str, Any], objects: tuple[str, ...] = ()) -> str:
    """A good answer, or one that names other things too."""
    text = f"The person reaches forward to {action(body)} with care, fingers closed and wrist level"
    told = {"description": f"{text}{''.join(f', beside a {thing}' for thing in objects)}.",
            "objects": list(objects), "hand": "right"}  # fmt: skip
    return json.dumps(told)


def good(body: dict[str, Any], _: int) -> Turn:
    return say(described(body))


@dataclass
class Chat:
    """The endpoint.

    Attributes:
        turn: the answer to a request, the how-manieth it is being told, from 0.
        asked: the requests, as JSON.
        peak: requests that were open at the same time, at most.
    """

    turn: Callable[[dict[str, Any], int], Turn] = good
    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    open: int = 0
    peak: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    leaving: threading.Event = field(default_factory=threading.Event)

    def teacher(self, name: str = "teacher", **settings: Any) -> ChatEndpoint:
        usual: dict[str, Any] = {"temperature": 0.3, "max_tokens": 400, "retries": 3, "timeout": 20}
        return ChatEndpoint(self.url, name, **{**usual, **settings})


@contextmanager
def chat_server(turn: Callable[[dict[str, Any], int], Turn] = good) -> Iterator[Chat]:
    chat = Chat(turn)
    handler = type("Answers", (_Answers,), {"chat": chat})
    server = type("Server", (ThreadingHTTPServer,), {"request_queue_size": 128})(
        ("127.0.0.1", 0), handler
    )
    server.daemon_threads = True
    chat.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield chat
    finally:
        chat.leaving.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Answers(BaseHTTPRequestHandler):
    chat: Chat
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None: ...

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        chat = self.chat
        with chat.lock:
            number = len(chat.asked)
            chat.asked.append(body)
            chat.keys.append(self.headers.get("Authorization"))
            chat.times.append(time.monotonic())
            chat.open += 1
            chat.peak = max(chat.peak, chat.open)
        try:
            if self.path != "/v1/chat/completions":
                self._send(refuse(404, "no such path"))
            else:
                self._send(chat.turn(body, number))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            with chat.lock:
                chat.open -= 1

    def _send(self, turn: Turn) -> None:
        self.chat.leaving.wait(turn.delay)
        self.send_response(turn.status)
        for name, value in ({"Content-Type": "application/json"} | turn.headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(turn.body)))
        self.end_headers()
        if turn.drip:
            for byte in turn.body:
                self.wfile.write(bytes([byte]))
                self.chat.leaving.wait(turn.drip)
            return
        self.wfile.write(turn.body[: len(turn.body) // 2] if turn.cut else turn.body)
        self.close_connection |= turn.cut
