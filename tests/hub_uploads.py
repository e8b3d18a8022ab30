"""A hub on this machine that files can be sent to: repositories, branches, large files, commits.

It speaks git LFS and offers no Xet, which clients must have switched off.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml

from tests.hub_server import IN_GIT, Answers, Hub, blob, hub_server, split_repo, tree

ATTRIBUTES = {".gitattributes": b"*.parquet filter=lfs diff=lfs merge=lfs -text\n"}


@contextmanager
def upload_hub(secret: str | None = None) -> Iterator[Hub]:
    """Serve an empty hub.

    Arguments:
        secret: the token that it wants to see before anything is written.
    """
    with hub_server({}, Uploads) as hub:
        hub.secret = secret
        yield hub


def environment(hub: Hub, home: Any, token: str | None = "hf_me") -> dict[str, str]:
    """Variables that make it the hub of another process, with its caches in a folder."""
    told = {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1",
            "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1"}  # fmt: skip
    return told | ({"HF_TOKEN": token} if token else {})


def visit(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, home: Any, token: str | None = "hf_me"
) -> None:
    """Make it the hub of this process, for sending."""
    hub.visit(monkeypatch)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", f"{home}/token")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    if token:
        monkeypatch.setenv("HF_TOKEN", token)


class Uploads(Answers):
    """Answers to what writes."""

    def do_POST(self) -> None:
        body = self._body()
        address = self.address()
        if address is None:
            return None
        if self.hub.secret and self.headers.get("Authorization") != f"Bearer {self.hub.secret}":
            return self.tell({"error": "Invalid username or password."}, 401)
        parts = address.strip("/").split("/")
        if parts == ["api", "repos", "create"]:
            return self._create(json.loads(body))
        if parts == ["api", "validate-yaml"]:
            return self._validate(json.loads(body)["content"])
        if parts[-4:] == ["info", "lfs", "objects", "batch"]:
            return self._batch(json.loads(body))
        repo, (action, revision) = split_repo(parts[1:])
        if action == "branch":
            return self._branch(repo, revision)
        key = self.hub.at(repo, revision)
        if key is None:
            return self.tell({"error": "Repository not found"}, 404)
        if action == "preupload":
            return self._preupload(self.hub.repos[key], json.loads(body))
        if action == "paths-info":
            return self._paths(self.hub.repos[key], json.loads(body))
        assert action == "commit", action
        return self._commit(key, [json.loads(line) for line in body.splitlines()])

    def do_PUT(self) -> None:
        """Keep a large file, if it is what it is called."""
        body = self._body()
        address = self.address()
        if address is None:
            return
        name = address.removeprefix("/lfs/")
        if self.hub.stall.pop(name, None) is not None:
            self.hub.stalled.set()
            self.hub.leaving.wait()
            return
        if hashlib.sha256(body).hexdigest() != name:
            self.say(400, b"not what it is called", "text/plain")
            return
        self.hub.large[name] = body
        self.say(200, b"", "text/plain")

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size + 2)[:-2]
        self.rfile.readline()
        return body

    def _create(self, told: dict[str, str]) -> None:
        repo = f"{told['organization'] or 'me'}/{told['name']}"
        if told["type"] != "model":
            repo = f"{told['type']}s/{repo}"
        status = 409 if repo in self.hub.repos else 200
        if status == 200:
            self.hub.repos[repo] = dict(ATTRIBUTES)
            self.hub.created[repo] = told
        self.tell({"url": f"{self.hub.url}/{repo}"}, status)

    def _validate(self, card: str) -> None:
        try:
            front = yaml.safe_load(card.split("---\n")[1])
            good = isinstance(front, dict)
        except (yaml.YAMLError, IndexError):
            good = False
        errors = [] if good else [{"message": "the front matter is no YAML"}]
        self.tell({"errors": errors, "warnings": []}, 200 if good else 400)

    def _batch(self, told: dict[str, Any]) -> None:
        """Where to put large files; nowhere, if they are here."""
        objects = []
        for wanted in told["objects"]:
            entry: dict[str, Any] = {"oid": wanted["oid"], "size": wanted["size"]}
            if wanted["oid"] not in self.hub.large:
                entry["actions"] = {"upload": {"href": f"{self.hub.url}/lfs/{wanted['oid']}"}}
            objects.append(entry)
        self.tell({"transfer": "basic", "objects": objects})

    def _branch(self, repo: str, branch: str) -> None:
        key = f"{repo}@{branch}"
        if key in self.hub.repos:
            return self.tell({"error": "Reference already exists"}, 409)
        self.hub.repos[key] = dict(self.hub.repos[repo])
        return self.tell({})

    def _preupload(self, files: dict[str, bytes], told: dict[str, Any]) -> None:
        """Which files are large, and which are here already."""
        answer = []
        for path in (file["path"] for file in told["files"]):
            large = not path.endswith(IN_GIT)
            entry = {
                "path": path,
                "uploadMode": "lfs" if large else "regular",
                "shouldIgnore": False,
            }
            if path in files:
                content = files[path]
                entry["oid"] = hashlib.sha256(content).hexdigest() if large else blob(content)
            answer.append(entry)
        self.tell({"files": answer})

    def _paths(self, files: dict[str, bytes], told: dict[str, Any]) -> None:
        self.tell([entry for entry in tree(files, "", True) if entry["path"] in told["paths"]])

    def _commit(self, key: str, lines: list[dict[str, Any]]) -> None:
        hub, files = self.hub, dict(self.hub.repos[key])
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                if value.get("parentCommit") not in (None, hub.head(key)):
                    return self.tell({"error": "A commit has happened since"}, 412)
            elif line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                if value["oid"] not in hub.large:
                    return self.tell({"error": f"{value['path']} was not sent"}, 400)
                files[value["path"]] = hub.large[value["oid"]]
            else:
                assert line["key"] == "deletedFile", line
                del files[value["path"]]
        hub.repos[key] = files
        told = {"commitUrl": f"{hub.url}/{key}/commit/{hub.head(key)}", "commitOid": hub.head(key)}
        return self.tell({"success": True, **told})
