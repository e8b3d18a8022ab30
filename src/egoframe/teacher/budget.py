"""What answers cost, and a purse that no request may overdraw."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass

from egoframe.teacher.prompt import Message
from egoframe.teacher.settings import TeacherConfig

ROLE_TOKENS = 16  # that a chat template puts around a message, at most
USUAL_BYTES = 4  # of English for a token


def most_tokens(asked: Sequence[Message]) -> int:
    """A limit that no conversation goes beyond: a token has at least one byte."""
    return sum(len(message["content"].encode()) + ROLE_TOKENS for message in asked)


def usual_tokens(text: str) -> int:
    """An estimate, where an endpoint tells no usage."""
    return math.ceil(len(text.encode(errors="replace")) / USUAL_BYTES)


@dataclass(frozen=True)
class Prices:
    """Money for a token."""

    input: float
    output: float

    @classmethod
    def of(cls, config: TeacherConfig) -> Prices:
        return cls(config.input_price / 1e6, config.output_price / 1e6)

    def cost(self, input_tokens: int, output_tokens: int) -> float:
        return input_tokens * self.input + output_tokens * self.output


class Purse:
    """Money that is there, spent, and set aside for requests in flight.

    What counts is answers. A request that no answer came to in time may be paid for too; whether
    it is, nobody tells.

    A request is made once its highest price can be set aside. One that cannot be paid while others
    are in flight waits for what they cost in truth.
    """

    def __init__(self, budget: float | None, spent: float) -> None:
        self.budget = math.inf if budget is None else budget
        self.spent = spent
        self._reserved: list[float] = []
        self._settled = asyncio.Event()

    async def reserve(self, highest: float) -> bool:
        """Set money aside; False if there is not enough, even with nothing in flight."""
        while self.spent + math.fsum(self._reserved) + highest > self.budget:
            if not self._reserved:
                return False
            self._settled.clear()
            await self._settled.wait()
        self._reserved.append(highest)
        return True

    def settle(self, highest: float, cost: float) -> None:
        """Put back what was set aside, and spend what the request cost."""
        self._reserved.remove(highest)
        self.spent += cost
        self._settled.set()
