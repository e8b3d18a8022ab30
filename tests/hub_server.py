"""A hub on this machine: speaks enough of the hub's protocol, misbehaves on demand, and keeps a
record of what it was asked."""

from __future__ import annotations

import hashlib
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote, urlsplit

import pytest

COMMIT = hashlib.sha1(b"a commit").hexdigest()
IN_GIT = (".json", ".txt", ".md", ".py")  # the rest is kept in LFS, and comes from another address
SIGNATURE = "?signature=secret"


@dataclass
class Hub:
    """What lies on the hub, how it misbehaves, and what it was asked.

    A repository of a dataset is "datasets/owner/name", with another branch than main
    "datasets/owner/name@branch".
    """

    repos: dict[str, dict[str, bytes]]  # repository → path → content
    url: str = ""
    asked: list[str] = field(default_factory=list)  # "GET /path", or "GET /path bytes=3-"
    created: dict[str, dict[str, str]] = field(default_factory=dict)  # repository → how
    large: dict[str, bytes] = field(default_factory=dict)  # by SHA-256: sent, perhaps in no commit
    secret: str | None = None  # the token without which nothing can be written
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

    def head(self, repo: str) -> str:
        """The commit that a repository is at: where one can write, another for every content."""
        if not repo.startswith("datasets/") and repo not in self.created:
            return COMMIT
        digest = hashlib.sha1(repo.encode())
        for path, content in sorted(self.repos[repo].items()):
            digest.update(path.encode() + hashlib.sha1(content).digest())
        return digest.hexdigest()

    def at(self, repo: str, revision: str) -> str | None:
        """Which of `repos` a branch or commit is."""
        for key in self.repos:
            name, _, branch = key.partition("@")
            if name == repo and revision in (branch or "main", self.head(key)):
                return key
        return None

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
def hub_server(
    repos: dict[str, dict[str, bytes]], answers: type[BaseHTTPRequestHandler] | None = None
) -> Iterator[Hub]:
    """Serve repositories.

    Arguments:
        answers: how; see `hub_uploads` for more than reading.
    """
    hub = Hub(repos)
    kind = type("Answers", (answers or Answers,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
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


class Answers(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # which waits 40 ms between head and body

    def log_message(self, *_: object) -> None: ...

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        address = self.address()
        if address is None:
            return None
        parts = address.strip("/").split("/")
        if parts[0] == "api":
            repo, rest = split_repo(parts[1:])
            return self._describe(repo, rest)
        if parts[0] == "cdn":
            repo, rest = split_repo(parts[1:])
            return self._send(str(self.hub.at(repo, rest[0])), "/".join(rest[1:]))
        repo, rest = split_repo(parts)
        key, path = self.hub.at(repo, rest[1]), "/".join(rest[2:])
        if key is None or path not in self.hub.repos[key]:
            return self.say(404, b"no", "text/plain", {"X-Error-Code": "EntryNotFound"})
        head = self.hub.head(key)
        if path.endswith(IN_GIT):
            return self._send(key, path)
        content = self.hub.repos[key][path]
        return self.say(302, b"", "text/plain", {
            "Location": f"/cdn/{repo}/{head}/{quote(path)}{SIGNATURE}",
            "X-Repo-Commit": head,
            "X-Linked-Size": str(len(content)),
            "X-Linked-ETag": f'"{hashlib.sha256(content).hexdigest()}"',
        })  # fmt: skip

    def address(self) -> str | None:
        """What is asked for, written down; None if it was refused."""
        asked = (self.command, self.path, self.headers.get("Range"))
        self.hub.asked.append(" ".join(filter(None, asked)))
        address = unquote(urlsplit(self.path).path)
        if self.hub.garbles:
            self.say(200, b"<html>", "text/html")
            return None
        for start, status in self.hub.refuse.items():
            if address.startswith(start):
                self.say(status, b"no", "text/plain")
                return None
        return address

    def _describe(self, repo: str, rest: list[str]) -> None:
        """What the hub tells of a repository: [], [revision, R], [refs] or [tree, R, folder]."""
        revision = rest[1] if len(rest) > 1 else "main"
        key = self.hub.at(repo, revision)
        if key is None:
            return self.say(404, b"{}", "application/json", {"X-Error-Code": "RepoNotFound"})
        files, head = self.hub.repos[key], self.hub.head(key)
        if rest[:1] == ["tree"]:
            under = "/".join(rest[2:])
            inside = tree(files, under, "recursive=true" in self.path.lower())
            if under and not inside:
                return self.say(404, b"{}", "application/json", {"X-Error-Code": "EntryNotFound"})
            return self.tell(inside)
        if rest == ["refs"]:
            branches = [{"name": "main", "ref": "refs/heads/main", "targetCommit": head}]
            return self.tell({"branches": branches, "tags": [], "converts": []})
        assert rest == [] or rest[0] == "revision", rest
        name = repo.removeprefix("datasets/")
        private = self.hub.created.get(repo, {}).get("visibility") == "private"
        siblings = [{"rfilename": path} for path in files]
        return self.tell(
            {"id": name, "sha": head, "private": private, "siblings": siblings, "tags": []}
        )

    def tell(self, told: object, status: int = 200) -> None:
        self.say(status, json.dumps(told).encode(), "application/json")

    def say(
        self, status: int, body: bytes, kind: str, more: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (more or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _send(self, repo: str, path: str) -> None:
        """Send a file, or a part of it, unless it is to be cut or to stall."""
        content, hub = self.hub.repos[repo][path], self.hub
        if path in hub.corrupt:
            content = bytes([content[0] ^ 255]) + content[1:]
        start, stop = 0, len(content)
        if self.headers.get("Range") and not hub.ignores_ranges:
            first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
            start, stop = int(first), int(last) + 1 if last else stop
        body = content[start:stop]
        self.send_response(206 if len(body) < len(content) else 200)
        self.send_header("X-Repo-Commit", hub.head(repo))
        self.send_header("ETag", f'"{blob(content)}"')
        self.send_header("Content-Range", f"bytes {start}-{start + len(body) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if hub.cut.get(path):
            self.wfile.write(body[: hub.cut[path].pop(0)])
            self.close_connection = True
        elif path in hub.stall:
            self.wfile.write(body[: hub.stall.pop(path)])
            hub.stalled.set()
            hub.leaving.wait()
        else:
            self.wfile.write(body)


def split_repo(parts: list[str]) -> tuple[str, list[str]]:
    """A repository, and what comes after it, of the parts of an address."""
    if parts[0] == "models":
        return "/".join(parts[1:3]), parts[3:]
    size = 3 if parts[0] == "datasets" else 2
    return "/".join(parts[:size]), parts[size:]


def tree(files: dict[str, bytes], under: str, recursive: bool) -> list[dict[str, object]]:
    """What lies in a folder of a repository."""
    start = f"{under}/" if under else ""
    inside = {path: content for path, content in files.items() if path.startswith(start)}
    folders = {
        start + path[len(start) :].rsplit("/", depth)[0]
        for path in inside
        for depth in range(1, path[len(start) :].count("/") + 1)
    }
    told = [_entry(path, content) for path, content in inside.items()]
    told += [{"type": "directory", "path": path, "size": 0, "oid": blob(b"")} for path in folders]
    return [e for e in told if recursive or "/" not in str(e["path"])[len(start) :]]


def blob(content: bytes) -> str:
    """Git's id of a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _entry(path: str, content: bytes) -> dict[str, object]:
    size = len(content)
    told: dict[str, object] = {"type": "file", "path": path, "size": size, "oid": blob(content)}
    if not path.endswith(IN_GIT):
        told["oid"] = hashlib.sha1(path.encode()).hexdigest()  # of the pointer, not of the content
        digest = hashlib.sha256(content).hexdigest()
        told["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 134}
    return told
