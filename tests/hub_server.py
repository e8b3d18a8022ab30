"""A hub on this machine: speaks enough of the hub's protocol, misbehaves on demand, and keeps a
record of what it was asked."""

from __future__ import annotations

import hashlib
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote, urlsplit

import pytest

COMMIT = hashlib.sha1(b"a commit").hexdigest()
IN_GIT = (".json", ".txt", ".md")  # the rest is kept in LFS, and comes from another address
SIGNATURE = "?signature=secret"


@dataclass
class Hub:
    repos: dict[str, dict[str, bytes]]  # repository → path → content
    url: str = ""
    asked: list[str] = field(default_factory=list)  # "GET /path", or "GET /path bytes=3-"
    cut: dict[str, list[int]] = field(default_factory=dict)  # path → bytes before each cut
    stall: dict[str, int] = field(default_factory=dict)  # path → bytes before it says no more
    stalled: threading.Event = field(default_factory=threading.Event)
    corrupt: set[str] = field(default_factory=set)  # paths served with another first byte
    refuse: dict[str, int] = field(default_factory=dict)  # start of an address → status
    ignores_ranges: bool = False
    garbles: bool = False  # says what no hub says, as the login page of a hotel does
    leaving: threading.Event = field(default_factory=threading.Event)

    def visit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make this the hub of this process."""
        from huggingface_hub import constants

        template = f"{self.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "ENDPOINT", self.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)

    def downloads(self) -> list[str]:
        """What was fetched: "path", or "path from 3"."""
        told = []
        for line in self.asked:
            _, address, *bounds = line.split()
            path = address.partition(f"/{COMMIT}/")[2].removesuffix(SIGNATURE)
            if address.startswith("/cdn/") or ("/resolve/" in address and path.endswith(IN_GIT)):
                told.append(path + (f" from {bounds[0][6:-1]}" if bounds else ""))
        return told


@contextmanager
def hub_server(repos: dict[str, dict[str, bytes]]) -> Iterator[Hub]:
    hub = Hub(repos)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Answers", (_Answers,), {"hub": hub}))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        hub.leaving.set()
        server.shutdown()
        server.server_close()
        thread.join()


def wait_until(done: Callable[[], bool], child: subprocess.Popen) -> None:
    """Wait for what a process is to do."""
    until = time.monotonic() + 20
    while not done():
        assert child.poll() is None
        assert time.monotonic() < until
        time.sleep(0.01)


class _Answers(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # which waits 40 ms between head and body

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        bounds = self.headers.get("Range")
        self.hub.asked.append(" ".join(filter(None, ("GET", self.path, bounds))))
        address = unquote(urlsplit(self.path).path)
        if self.hub.garbles:
            return self._say(200, b"<html>", "text/html")
        for start, status in self.hub.refuse.items():
            if address.startswith(start):
                return self._say(status, b"no", "text/plain")
        parts = address.strip("/").split("/")
        if parts[0] == "api":
            return self._describe("/".join(parts[2:4]), parts[4:])
        if parts[0] == "cdn":
            return self._send("/".join(parts[1:3]), "/".join(parts[4:]))
        repo, path = "/".join(parts[:2]), "/".join(parts[4:])
        if path not in self.hub.repos.get(repo, {}) or parts[3] != COMMIT:
            return self._say(404, b"no", "text/plain")
        if path.endswith(IN_GIT):
            return self._send(repo, path)
        self.send_response(302)
        self.send_header("Location", f"/cdn/{repo}/{COMMIT}/{quote(path)}{SIGNATURE}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _describe(self, repo: str, rest: list[str]) -> None:
        if repo not in self.hub.repos:
            return self._say(404, b"{}", "application/json")
        if rest == []:
            told: object = {"id": repo, "sha": COMMIT, "siblings": [], "tags": []}
        else:
            assert rest == ["tree", COMMIT], rest
            told = [_entry(path, content) for path, content in self.hub.repos[repo].items()]
        self._say(200, json.dumps(told).encode(), "application/json")

    def _say(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send(self, repo: str, path: str) -> None:
        """Send a file, or the rest of it, unless it is to be cut or to stall."""
        content, hub = self.hub.repos[repo][path], self.hub
        if path in hub.corrupt:
            content = bytes([content[0] ^ 255]) + content[1:]
        start = 0
        if self.headers.get("Range") and not hub.ignores_ranges:
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        body = content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if hub.cut.get(path):
            self.wfile.write(body[: hub.cut[path].pop(0)])
            self.close_connection = True
        elif path in hub.stall:
            self.wfile.write(body[: hub.stall.pop(path)])
            hub.stalled.set()
            hub.leaving.wait()
        else:
            self.wfile.write(body)


def _entry(path: str, content: bytes) -> dict[str, object]:
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    told: dict[str, object] = {"type": "file", "path": path, "size": len(content), "oid": blob}
    if not path.endswith(IN_GIT):
        told["oid"] = hashlib.sha1(path.encode()).hexdigest()  # of the pointer, not of the content
        digest = hashlib.sha256(content).hexdigest()
        told["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 134}
    return told
