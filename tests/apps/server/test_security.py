"""Who may ask; what browsers are told; what of Gradio cannot be reached."""

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from egoframe.apps.server.security import names_of
from egoframe.apps.server.settings import Settings
from tests.apps.server.fakes import fake_app, wait_until
from tests.apps.server.test_routes import FRAMES, form, png, problem


def web(**settings) -> TestClient:
    app = fake_app(settings=Settings(**settings))[0]
    client = TestClient(app, "http://localhost", raise_server_exceptions=False)
    client.__enter__()
    wait_until(lambda: client.get("/readyz").status_code == 200)
    return client


@pytest.fixture(scope="module")
def client():
    found = web()
    yield found
    found.__exit__(None, None, None)


@pytest.fixture(scope="module")
def locked():
    found = web(token="open sesame")
    yield found
    found.__exit__(None, None, None)


CLOSED = [
    ("POST", FRAMES), ("POST", "/v1/next-actions"), ("POST", "/v1/storyboards"),
    ("GET", "/v1/jobs/x"), ("GET", "/metrics"), ("GET", "/openapi.json"), ("GET", "/config"),
    ("POST", "/gradio_api/upload"), ("POST", "/gradio_api/queue/join"),
    ("GET", "/gradio_api/file=/etc/passwd"), ("GET", "/assets/index.js"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_nothing_is_told_without_the_token(locked, method, path):
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic open sesame"},
                    {"Cookie": "egoframe=open sesame"}):  # fmt: skip
        answer = locked.request(method, path, headers=headers)
        assert "token" in problem(answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer"


def test_with_the_token_all_is_open(locked):
    bearer = {"Authorization": "Bearer open sesame"}
    assert locked.post(FRAMES, **form(action="go"), headers=bearer).status_code == 200
    assert locked.get("/metrics", headers=bearer).status_code == 200
    assert locked.get("/healthz").status_code == locked.get("/readyz").status_code == 200


def test_a_browser_signs_in_once(locked):
    page = locked.get("/", headers={"Accept": "text/html"})
    assert page.status_code == 401
    assert "<form" in page.text
    assert "<script" not in page.text
    refused = locked.post("/sign-in", data={"token": "wrong"})
    assert (refused.status_code, "not the token" in refused.text) == (403, True)
    entered = locked.post("/sign-in", data={"token": "open sesame"}, follow_redirects=False)
    assert entered.status_code == 303
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "sesame" not in cookie
    assert locked.get("/").status_code == 200
    locked.cookies.clear()


def test_every_answer_has_its_headers(client):
    nonces = set()
    for path in ("/", "/healthz", "/v1/jobs/x", "/nothing", "/theme.css", "/openapi.json"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        scripts = re.search(r"script-src 'self' 'nonce-([\w-]+)'(;|$)", policy)
        nonces.add(scripts[1])
        for part in ("default-src 'none'", "frame-ancestors 'none'", "object-src 'none'",
                     "base-uri 'none'", "connect-src 'self'"):  # fmt: skip
            assert part in policy.split("; ")
        assert "unsafe-eval" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
    assert len(nonces) == 6


def test_the_pages_scripts_carry_its_nonce_and_nothing_comes_from_elsewhere(client):
    page = client.get("/")
    nonce = re.search(r"'nonce-([\w-]+)'", page.headers["content-security-policy"])[1]
    scripts = re.findall(r"<script[^>]*>", page.text)
    assert len(scripts) > 3
    assert all(f'nonce="{nonce}"' in script for script in scripts)
    assert "<base" not in page.text
    for tag in re.findall(r"<(?:script|link|img)[^>]*>", page.text):
        assert "http" not in tag, tag


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/gradio_api/proxy=https://x.hf.space/a"), ("GET", "/gradio_api/openapi.json"),
     ("GET", "/gradio_api/runs"), ("POST", "/gradio_api/run/draw"), ("POST", "/gradio_api/api/x"),
     ("POST", "/gradio_api/call/first"), ("GET", "/gradio_api/deep_link"), ("GET", "/monitoring"),
     ("POST", "/gradio_api/vibe-edit"), ("GET", "/gradio_api/custom_component/a/client/b/c.js"),
     ("POST", "/gradio_api/process_recording"), ("POST", "/gradio_api/component_server"),
     ("GET", "/gradio_api/dev/reload"), ("POST", "/login"), ("GET", "/gradio_api/stream/a/b/c/d"),
     ("GET", "/assets/..%2f..%2froutes.py"), ("GET", "/docs"),
     ("GET", "/gradio_api/file=http://127.0.0.1/x.png"), ("GET", "/gradio_api/file=/etc/passwd"),
     ("GET", "/gradio_api/file/etc/passwd"), ("GET", "/gradio_api/file=../../etc/passwd"),
     ("GET", "/gradio_api/file=%2fetc%2fpasswd")],
)  # fmt: skip
def test_the_rest_of_gradio_is_not_there(client, method, path):
    problem(client.request(method, path), 404)


def event(path=None, url=None, session="abc"):
    data = {"path": path, "url": url, "meta": {"_type": "gradio.FileData"}}
    return {"data": [data, "go", 0, 0, None], "fn_index": 0, "session_hash": session}


def test_events_name_no_file_and_no_address_but_the_pages_own(client):
    secret = Path(__file__).resolve()
    (mine,) = client.post("/gradio_api/upload", files={"files": ("x.png", png())}).json()
    for bad in (
        event(str(secret)), event("http://127.0.0.1/x.png"), event(mine, "http://127.0.0.1/x.png"),
        event(mine, "file:///etc/passwd"), event(mine + "/../../" + str(secret)), event(7),
        event("relative.png"), event("a\x00b"),
    ):  # fmt: skip
        assert problem(client.post("/gradio_api/queue/join", json=bad), 400)
    assert problem(client.post("/gradio_api/queue/join", content=b"[" * 10**5), 400)
    assert problem(client.post("/gradio_api/queue/join", content=b"[" * 10**6), 413)
    assert client.post("/gradio_api/queue/join", json=event(mine)).status_code == 200
    assert client.get(f"/gradio_api/file={mine}").headers["content-type"] == "image/png"


def test_pages_of_other_sites_cannot_ask(client):
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"},
                    {"Origin": "null"}):  # fmt: skip
        answer = client.post(FRAMES, **form(action="go"), headers=headers)
        assert "other sites" in problem(answer, 403)
    own = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    assert client.post(FRAMES, **form(action="go"), headers=own).status_code == 200


def test_a_local_server_goes_by_local_names():
    client = web(hosts=names_of("127.0.0.1", ["draw.example.org"]))
    for name, status in (("127.0.0.1:80", 200), ("localhost", 200), ("draw.example.org", 200),
                         ("evil.example", 421), ("[::1]:80", 200), ("[", 421)):  # fmt: skip
        assert client.get("/healthz", headers={"Host": name}).status_code == status, name
    client.__exit__(None, None, None)
    assert names_of("0.0.0.0") is None
