"""What of Gradio can be reached: the page, its parts and its queue. All else is not there.

Uploads go through the same checks as the interface's and only the decoded picture is kept; files
are served from the private folder alone; events that name other files or any address are refused.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote

from starlette.datastructures import Headers, UploadFile
from starlette.requests import ClientDisconnect, Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from egoframe.apps.server.batching import Refused
from egoframe.apps.server.folder import PrivateFolder
from egoframe.apps.server.problems import problem
from egoframe.apps.server.security import NONCE, with_nonces
from egoframe.apps.server.service import Service
from egoframe.errors import UserError, printable
from egoframe.images import png_bytes

API = "/gradio_api/"
FILE = f"{API}file="
HEARTBEAT = f"{API}heartbeat/"
READ = re.compile(
    r"/(config|theme\.css|favicon\.ico|manifest\.json|(assets|static)/[\w./-]+"
    r"|gradio_api/(queue/data|startup-events|info))"
)
SENT = (f"{API}queue/join", f"{API}cancel", f"{API}reset")
MOST = 2**18  # bytes of an event
ADDRESS = re.compile(r"^\s*[a-z][a-z0-9+.-]*:", re.IGNORECASE)


class Doors:
    """ASGI application around Gradio's."""

    def __init__(self, app: ASGIApp, service: Service, folder: PrivateFolder) -> None:
        self.app, self.service, self.folder = app, service, folder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["path"]
        reading = method in ("GET", "HEAD")
        answer: Response
        if reading and path == "/":
            answer = await self._page(scope, receive)
        elif reading and path.startswith(FILE):
            answer = self._file(unquote(path.removeprefix(FILE)))
        elif reading and path == f"{API}upload_progress":
            answer = Response('data: {"msg": "done"}\n\n', media_type="text/event-stream")
        elif method == "POST" and path == f"{API}upload":
            answer = await self._upload(Request(scope, receive))
        elif method == "POST" and path in SENT:
            await self._event(scope, receive, send)
            return
        elif method == "GET" and path.startswith(HEARTBEAT):
            try:
                await self.app(scope, receive, send)  # for as long as the page is open
            finally:
                self.service.left(path.removeprefix(HEARTBEAT))
            return
        elif reading and READ.fullmatch(path) and ".." not in path:
            await self.app(scope, receive, send)
            return
        else:
            answer = problem(404, "there is nothing here")
        await answer(scope, receive, send)

    async def _page(self, scope: Scope, receive: Receive) -> Response:
        """Gradio's page, whose scripts carry the nonce of this answer."""
        plain = [(name, v) for name, v in scope["headers"] if name != b"accept-encoding"]
        status, body = 200, bytearray()

        async def collect(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                body.extend(message.get("body", b""))

        await self.app({**scope, "method": "GET", "headers": plain}, receive, collect)
        return HTMLResponse(with_nonces(body.decode(), scope[NONCE]), status)

    def _file(self, name: str) -> Response:
        path = self.folder.holds(name)
        if path is None or path.suffix != ".png":
            return problem(404, "no such picture; they are kept for a while only")
        return FileResponse(path, media_type="image/png")

    async def _upload(self, request: Request) -> Response:
        """Answers as Gradio does: paths of what was kept, or a sentence that the page shows."""
        try:
            form = await request.form(max_files=1, max_fields=1)
            files = [value for value in form.values() if isinstance(value, UploadFile)]
            photos = [await self.service.open(file) for file in files]
        except (UserError, Refused) as error:
            return PlainTextResponse(printable(str(error)), getattr(error, "status", 422))
        return JSONResponse([self.folder.write(png_bytes(photo, {})) for photo in photos])

    async def _event(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an event on if it names no file but the folder's."""
        if int(Headers(scope=scope).get("content-length", "0")) > MOST:
            await problem(413, "the event is too large")(scope, receive, send)
            return
        try:
            body = await Request(scope, receive).body()
            allowed = len(body) <= MOST and self._harmless(json.loads(body))
        except ClientDisconnect:
            return
        except (ValueError, RecursionError):
            allowed = False
        if not allowed:
            await problem(400, "the event is not one of this page")(scope, receive, send)
            return
        sent = False

        async def again() -> Message:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, again, send)

    def _harmless(self, value: Any) -> bool:
        if isinstance(value, list):
            return all(map(self._harmless, value))
        if not isinstance(value, dict):
            return True
        for key in ("path", "url"):
            told = value.get(key)
            if told is None:
                continue
            if not isinstance(told, str):
                return False
            if key == "path" and self.folder.holds(told) is None:
                return False
            if key == "url" and FILE not in told and ADDRESS.match(told):
                return False
        return all(map(self._harmless, value.values()))
