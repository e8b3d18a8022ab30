"""A teacher behind an endpoint that speaks OpenAI's protocol for chats."""

from __future__ import annotations

import asyncio
import email.utils
import json
import os
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from egoframe.errors import UserError, first_line
from egoframe.teacher.budget import usual_tokens
from egoframe.teacher.prompt import Message

if TYPE_CHECKING:
    import openai

FIRST_PAUSE, LAST_PAUSE = 0.5, 60.0  # seconds; each pause is twice the one before
LONGEST_WAIT = 600.0  # seconds that an endpoint may ask for
TRY_AGAIN = (408, 409, 425, 429)  # and 500 and more
OF_ONE_QUESTION = (400, 413, 422)  # statuses that may be, where others were answered
NO_ANSWER, NO_CONNECTION = "no answer in time", "no connection"
UNREADABLE = "no chat completion in the answer"
TOO_LONG_A_WAIT = "asks to wait for more than ten minutes"


@dataclass(frozen=True)
class Reply:
    """What a teacher wrote, and what that took."""

    text: str | None
    input_tokens: int
    output_tokens: int
    estimated: bool = False  # the tokens: nobody told them
    finish: str = "stop"  # or length, content_filter: why it ends


class NoAnswer(Exception):
    """A question stays without an answer, however often it is asked; a few words say why."""


class Teacher(Protocol):
    """Answers conversations."""

    name: str

    async def answer(self, asked: Sequence[Message]) -> Reply:
        """The next message.

        Raises:
            NoAnswer: for this question there is none.
            UserError: there will be none for any.
        """

    async def close(self) -> None: ...


class ChatEndpoint:
    """A model at any OpenAI-compatible endpoint. The key comes from OPENAI_API_KEY.

    Arguments:
        url: such as http://localhost:8000/v1.
        name: of the model, as the endpoint knows it.
        temperature: None leaves it to the endpoint.
        max_tokens: of an answer.
        retries: of a question that gets no answer.
        timeout: in seconds, until an answer must be there.
    Raises:
        UserError: no URL, or no possible key.
    """

    def __init__(
        self,
        url: str,
        name: str,
        *,
        temperature: float | None,
        max_tokens: int,
        retries: int,
        timeout: float,
    ) -> None:
        import openai

        if not _is_url(url):
            raise UserError(f"{url}: give the endpoint's URL, such as http://localhost:8000/v1")
        self.key = os.environ.get("OPENAI_API_KEY", "").strip()
        if not (self.key.isascii() and self.key.isprintable()):
            raise UserError("OPENAI_API_KEY: holds characters that no key has")
        self.url, self.name, self.retries, self.timeout = url, name, retries, timeout
        try:
            self.client = openai.AsyncOpenAI(
                base_url=url, api_key=self.key or "none", max_retries=0, timeout=timeout
            )
        except Exception as error:  # whatever its HTTP library thinks of the URL
            raise UserError(f"{url}: no URL of an endpoint ({first_line(error)})") from None
        self.answered = False  # one question at least
        self.settings: dict[str, Any] = {"model": name, "max_tokens": max_tokens}
        if temperature is not None:
            self.settings["temperature"] = temperature

    async def answer(self, asked: Sequence[Message]) -> Reply:
        """The next message, after as many tries as it takes; see `Teacher`."""
        reason = ""
        for attempt in range(self.retries + 1):
            try:
                return await self._try(asked)
            except _TryLater as trouble:
                reason = str(trouble)
                wait = trouble.wait or 0.0
            if wait > LONGEST_WAIT:
                raise NoAnswer(TOO_LONG_A_WAIT)
            if attempt < self.retries:
                await asyncio.sleep(max(wait, pause(attempt)))
        raise NoAnswer(reason)

    async def close(self) -> None:
        await self.client.close()

    async def _try(self, asked: Sequence[Message]) -> Reply:
        import openai

        sent = dict(self.settings)
        create: Any = self.client.chat.completions.with_raw_response.create
        try:
            async with asyncio.timeout(self.timeout):
                answer = await create(messages=list(asked), **sent)
            reply = _read(answer.http_response.content, asked)
            self.answered = True
            return reply
        except (TimeoutError, openai.APITimeoutError):
            raise _TryLater(NO_ANSWER) from None
        except openai.APIConnectionError:
            raise _TryLater(NO_CONNECTION) from None
        except openai.APIStatusError as error:
            if error.code == "content_filter":
                return Reply(None, 0, 0, finish="content_filter")
            if "max_completion_tokens" in self._said(error) and "max_tokens" in sent:
                # OpenAI's newer models know the limit by its newer name alone.
                if "max_tokens" in self.settings:  # no other question was quicker
                    self.settings["max_completion_tokens"] = self.settings.pop("max_tokens")
                return await self._try(asked)
            if error.code != "insufficient_quota" and (
                error.status_code in TRY_AGAIN or error.status_code >= 500
            ):
                wait = retry_after(error.response.headers)
                raise _TryLater(f"status {error.status_code}", wait) from None
            if error.status_code in OF_ONE_QUESTION and (
                self.answered or error.code == "context_length_exceeded"
            ):
                raise NoAnswer(f"status {error.status_code}: {self._said(error)}") from None
            raise UserError(self._refusal(error)) from None

    def _refusal(self, error: openai.APIStatusError) -> str:
        said = self._said(error)
        if error.status_code == 401:
            return f"{self.url}: does not accept OPENAI_API_KEY; set it to a key of this endpoint"
        if error.status_code == 404:
            return (
                f"{self.url}: knows no model {self.name}, or is no endpoint ({said}); a URL often "
                "ends in /v1"
            )
        return f"{self.url}: refuses what it is asked (status {error.status_code}: {said})"

    def _said(self, error: openai.APIStatusError) -> str:
        """An endpoint's message, without the key that some repeat in it."""
        body = error.body
        message = body.get("message") if isinstance(body, dict) else None
        said = first_line(message if isinstance(message, str) else error.response.text)
        return said.replace(self.key, "…") if self.key else said


class _TryLater(Exception):
    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return bool(
            parts.scheme in ("http", "https")
            and parts.hostname
            and not any(map(str.isspace, text))
            and (parts.port is None or parts.port > 0)
        )
    except ValueError:  # a port that is none
        return False


def pause(attempt: int) -> float:
    """Seconds before the next try: twice as long each time, and at random, so that those who were
    turned away together do not come back together."""
    return min(FIRST_PAUSE * 2 ** min(attempt, 30), LAST_PAUSE) * random.uniform(0.5, 1.0)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait that a Retry-After header asks for: as a number or a date (RFC 9110)."""
    value = headers.get("retry-after", "")
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    return max(seconds, 0.0) if seconds == seconds else None


def _read(body: bytes, asked: Sequence[Message]) -> Reply:
    """A chat completion. An endpoint's usage counts where it is one."""
    try:
        told = json.loads(body)
        choice = told["choices"][0]
        text, finish = choice["message"].get("content"), choice.get("finish_reason")
        usage = told.get("usage")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        raise _TryLater(UNREADABLE) from None
    if not isinstance(text, str | None):
        raise _TryLater(UNREADABLE)
    finish = finish if isinstance(finish, str) else "stop"
    told_of = usage if isinstance(usage, dict) else {}
    read, written = told_of.get("prompt_tokens"), told_of.get("completion_tokens")
    if isinstance(read, int) and isinstance(written, int) and min(read, written) >= 0:
        return Reply(text, read, written, finish=finish)
    guessed = sum(usual_tokens(message["content"]) for message in asked)
    return Reply(text, guessed, usual_tokens(text or ""), estimated=True, finish=finish)
