"""Who may ask, how much, and what browsers may do with the answers: one layer around it all."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from egoframe.apps.server.problems import problem
from egoframe.apps.server.settings import Settings

COOKIE = "egoframe"
OPEN = ("/healthz", "/readyz", "/sign-in")  # asked for without a token
NONCE = "nonce"  # of the scope: what scripts of a page must carry
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}


def policy(nonce: str) -> str:
    """The content security policy. Styles may be inline: Gradio's parts set them on elements."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' 'nonce-{nonce}'",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' blob: data:",
            "font-src 'self'",
            "media-src 'self' blob:",
            "connect-src 'self'",
            "manifest-src 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "object-src 'none'",
            "base-uri 'none'",
        )
    )


class BodyTooLarge(Exception):
    """A request goes on beyond what is read."""


class Shield:
    """ASGI middleware: host, origin, token and size of requests; headers of answers."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # there are no websockets here
            await send({"type": "websocket.close", "code": 1008})
            return
        scope[NONCE] = secrets.token_urlsafe(16)
        started, read, beyond = False, 0, False

        async def guarded(message: Message) -> None:
            nonlocal started
            if beyond and not started:
                return  # whatever the application makes of half a request
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers["Content-Security-Policy"] = policy(scope[NONCE])
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        async def counted() -> Message:
            nonlocal read, beyond
            message = await receive()
            read += len(message.get("body", b""))
            if read > self.settings.body:
                beyond = True
                raise BodyTooLarge
            return message

        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, guarded)
            return
        with contextlib.suppress(BodyTooLarge):
            await self.app(scope, counted, guarded)
        if beyond and not started:
            beyond = False
            await self._too_large()(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> Any:
        """An answer for a request that goes no further, or None."""
        headers, settings = Headers(scope=scope), self.settings
        host = headers.get("host", "")
        if settings.hosts is not None and _hostname(host) not in settings.hosts:
            return problem(421, "this server is not called that; use one of its own names")
        if scope["method"] not in ("GET", "HEAD", "OPTIONS") and not _same_origin(headers, host):
            return problem(403, "requests from pages of other sites are not taken")
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            return problem(400, "the Content-Length is not a number")
        if len(length) > 15 or int(length) > settings.body:
            return self._too_large()
        if settings.token and scope["path"] not in OPEN and not self._known(headers):
            if scope["path"] == "/" and "text/html" in headers.get("accept", ""):
                return sign_in()
            return problem(
                401, "give the token of this server as a bearer in the Authorization header",
                {"WWW-Authenticate": "Bearer"},
            )  # fmt: skip
        return None

    def _too_large(self) -> Any:
        most = self.settings.photo.bytes // 2**20
        return problem(413, f"the request is too large; give a picture of at most {most} MB")

    def _known(self, headers: Headers) -> bool:
        token = self.settings.token or ""
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and same(given.strip(), token):
            return True
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return cookie is not None and same(cookie.value, cookie_of(token))


def same(given: str, expected: str) -> bool:
    """Compared in constant time."""
    return hmac.compare_digest(given.encode(), expected.encode())


def cookie_of(token: str) -> str:
    """What a browser keeps after signing in: not the token itself."""
    return hmac.new(token.encode(), b"egoframe page", hashlib.sha256).hexdigest()


def sign_in(message: str = "", status: int = 401) -> Any:
    """A form, without scripts, that asks for the token."""
    from fastapi.responses import HTMLResponse

    told = f'<p role="alert">{message}</p>' if message else ""
    return HTMLResponse(
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<title>egoframe</title><style>body{font:1rem/1.5 system-ui,sans-serif;max-width:22rem;"
        "margin:15vh auto;padding:0 1rem}input,button{font:inherit;width:100%;padding:.5rem;"
        "margin-top:.5rem;box-sizing:border-box}</style><h1>egoframe</h1>"
        '<form method="post" action="/sign-in"><label>Token of this server'
        '<input name="token" type="password" autocomplete="current-password" required autofocus>'
        f"</label><button>Sign in</button></form>{told}",
        status,
    )


def with_nonces(page: str, nonce: str) -> str:
    """A page of ours whose scripts may run under `policy`.

    Its base is taken out: it would be the page's own address.
    """
    return re.sub(r"<base\b[^>]*>", "", re.sub(r"<script\b", f'<script nonce="{nonce}"', page))


def names_of(host: str, more: Iterable[str] = ()) -> frozenset[str] | None:
    """Names by which a server at `host` may be called; None for any."""
    if host in ("127.0.0.1", "localhost", "::1"):
        return frozenset({"127.0.0.1", "localhost", "::1", *more})
    return frozenset({host, *more}) if more else None


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _same_origin(headers: Headers, host: str) -> bool:
    """Whether a request comes from a page of this server, or from no page at all.

    Browsers that say where it comes from are believed; our own forms have no origin, since their
    page names no referrer.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        return site in ("none", "same-origin")
    return origin is None or urlsplit(origin).netloc == host
