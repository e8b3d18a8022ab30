"""Raters and their answers, in SQLite or, for many raters, PostgreSQL.

An answer is kept once it is acknowledged, whatever happens to the server; given twice, it counts
once. Links are kept as hashes: who reads the database cannot answer for a rater.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from egoframe.errors import UserError, first_line
from egoframe.study.design import Shown

TOKEN = 16  # bytes
TRIES = 50  # for a number that others take at the same time
WAIT = 30  # seconds for others to write

_tables = sql.MetaData()
_raters = sql.Table(
    "raters", _tables,
    sql.Column("link", sql.String(64), primary_key=True),  # SHA-256 of the token
    sql.Column("name", sql.Text, nullable=False, unique=True),  # that the study's makers gave
    sql.Column("number", sql.Integer, unique=True),  # in the order of consent
    sql.Column("consented", sql.String(32)),
)  # fmt: skip
_answers = sql.Table(
    "answers", _tables,
    sql.Column("rater", sql.Integer, primary_key=True),
    sql.Column("question", sql.String(16), primary_key=True),
    sql.Column("shown", sql.Text, nullable=False),  # JSON: models from left to right
    sql.Column("chosen", sql.Text),  # a model; NULL is a tie
    sql.Column("seconds", sql.Float),
    sql.Column("at", sql.String(32), nullable=False),
)  # fmt: skip


@dataclass(frozen=True)
class Rater:
    """Somebody with a link."""

    link: str
    name: str
    number: int | None  # None before consent


@dataclass(frozen=True)
class Stored:
    """An answer as it was kept."""

    rater: str
    question: str
    shown: tuple[str, ...]
    chosen: str | None
    seconds: float | None
    at: str  # UTC


class Store:
    """The database of one study.

    Arguments:
        place: a file for SQLite, or a URL such as postgresql+psycopg://user@host/study.
    Raises:
        UserError: it cannot be opened.
    """

    def __init__(self, place: Path | str) -> None:
        local = isinstance(place, Path)
        url = f"sqlite:///{place}" if local else str(place)
        self.name = str(place) if local else f"{url.partition('://')[0]}://…"  # no password
        try:
            self.engine = sql.create_engine(url, connect_args={"timeout": WAIT} if local else {})
            if self.engine.dialect.name == "sqlite":
                sql.event.listen(self.engine, "connect", _durable)
            _tables.create_all(self.engine)
        except ModuleNotFoundError as error:
            raise UserError(
                f"{self.name}: no database for answers, as {error.name} is not installed; for "
                'PostgreSQL: pip install "egoframe[postgres]"'
            ) from None
        except SQLAlchemyError as error:
            raise UserError(f"{self.name}: no database for answers ({first_line(error)})") from None

    def invite(self, names: Sequence[str]) -> dict[str, str]:
        """Tokens of new raters, by name; they are told this once alone.

        Raises:
            UserError: a name is taken.
        """
        tokens = {name: secrets.token_urlsafe(TOKEN) for name in names}
        rows = [{"link": _hash(token), "name": name} for name, token in tokens.items()]
        try:
            with self.engine.begin() as connection:
                connection.execute(_raters.insert(), rows)
        except IntegrityError:
            raise UserError("a rater of one of these names was invited before") from None
        return tokens

    def names(self) -> list[str]:
        """Of all raters that were invited."""
        with self.engine.begin() as connection:
            return list(connection.execute(sql.select(_raters.c.name)).scalars())

    def rater(self, token: str) -> Rater | None:
        """The rater of a link, if it is one."""
        asked = sql.select(_raters.c.link, _raters.c.name, _raters.c.number)
        with self.engine.begin() as connection:
            row = connection.execute(asked.where(_raters.c.link == _hash(token))).first()
        return Rater(*row) if row else None

    def consent(self, rater: Rater) -> int:
        """Take note of a rater's consent: their number, from 0 on; the same when asked again."""
        highest = sql.select(sql.func.coalesce(sql.func.max(_raters.c.number) + 1, 0))
        own = _raters.c.link == rater.link
        for _ in range(TRIES):
            try:
                with self.engine.begin() as connection:
                    number = connection.execute(sql.select(_raters.c.number).where(own)).scalar()
                    if number is not None:
                        return int(number)
                    number = connection.execute(highest).scalar_one()
                    told = {"number": number, "consented": _now()}
                    connection.execute(_raters.update().where(own).values(told))
                    return int(number)
            except IntegrityError:  # another took the number
                continue
        raise UserError(f"{self.name}: too many come at once; try again")

    def answer(self, number: int, shown: Shown, chosen: str | None, seconds: float | None) -> bool:
        """Keep an answer; False if there was one, which stays."""
        row = {
            "rater": number, "question": shown.question.id, "shown": json.dumps(shown.order),
            "chosen": chosen, "seconds": seconds, "at": _now(),
        }  # fmt: skip
        try:
            with self.engine.begin() as connection:
                connection.execute(_answers.insert().values(row))
        except IntegrityError:
            return False
        return True

    def answered(self, number: int) -> set[str]:
        """The questions that a rater has answered."""
        asked = sql.select(_answers.c.question).where(_answers.c.rater == number)
        with self.engine.begin() as connection:
            return set(connection.execute(asked).scalars())

    def answers(self) -> list[Stored]:
        """All answers, in the order of raters and time."""
        joined = _answers.join(_raters, _answers.c.rater == _raters.c.number)
        columns: list[Any] = [_raters.c.name, *list(_answers.c)[1:]]
        asked = sql.select(*columns).select_from(joined)
        with self.engine.begin() as connection:
            rows = connection.execute(asked.order_by(_answers.c.rater, _answers.c.at)).all()
        return [Stored(name, q, tuple(json.loads(shown)), *rest) for name, q, shown, *rest in rows]


def _durable(connection: Any, _: Any) -> None:
    """Readers do not wait for writers, and what was committed outlives a crash."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
