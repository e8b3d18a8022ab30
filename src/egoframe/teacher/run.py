"""A teacher's descriptions for a dataset: many questions at once, within a budget, resumable.

Every answer goes into the dataset's journal as it comes; at the end, and whenever the run stops,
the descriptions are written from there into the Parquet shards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from egoframe.errors import UserError, printable
from egoframe.pairs import columns_of, read_rows, shards, write_shard
from egoframe.storage import Folder
from egoframe.teacher.answer import check
from egoframe.teacher.budget import Prices, Purse, most_tokens
from egoframe.teacher.client import NoAnswer, Reply, Teacher
from egoframe.teacher.examples import Example, load_examples, nearest
from egoframe.teacher.journal import Entry, Journal
from egoframe.teacher.prompt import Message, again, fingerprint, messages
from egoframe.teacher.scene import Scene
from egoframe.teacher.settings import TeacherConfig
from egoframe.teacher.subset import balanced
from egoframe.teacher.things import checkable

ATTEMPTS = 2  # an answer that is not good is asked for once more
QUOTED = 2000  # characters of such an answer that are shown to the teacher again
IN_A_ROW = 8  # pairs without an answer, before the endpoint is given up
TEXTS = ("pair_id", "narration", "action", "verb", "noun", "input_boxes", "action_boxes")
WRITTEN = ("description", "description_source", "description_flags")

Descriptions = Mapping[str, tuple[str, list[str]]]  # description and flags, by pair


@dataclass
class Told:
    """What became of the pairs that were chosen: described, invalid, unanswered and left add up to
    all of them, whichever run it was that asked."""

    described: int = 0
    flagged: int = 0  # of these: something is named that is not there
    unchecked: int = 0  # of these: no boxes tell which things there are
    invalid: dict[str, int] = field(default_factory=dict)  # by reason: no answer was any good
    unanswered: dict[str, int] = field(default_factory=dict)  # by reason; asked again next time
    left: int = 0  # not asked, for want of money
    answers: int = 0  # in this run, as are the tokens
    input_tokens: int = 0
    output_tokens: int = 0
    estimated: int = 0  # answers whose tokens the endpoint did not tell
    cost: float = 0.0
    spent: float = 0.0  # by all runs with this model
    stopped_by_budget: bool = False
    description_source: str = ""


def describe_pairs(
    folder: Folder, teacher: Teacher, config: TeacherConfig, show: Callable[[int, int], None]
) -> Told:
    """Have a teacher describe the pairs of a dataset, or a balanced subset.

    The same call again goes on where it was. What was answered is in the dataset, however it ends.

    Arguments:
        show: called with the pairs done and those there are.
    Raises:
        UserError: no dataset, damaged shards or examples, or an endpoint that refuses.
    """
    chosen = _choose(folder, config)
    run = _Run(folder, teacher, config, len(chosen), show)
    try:
        asyncio.run(run.all(chosen))
    finally:
        run.journal.close()
        write_descriptions(folder, config.splits, run.descriptions, teacher.name)
    return run.result()


def write_descriptions(
    folder: Folder, splits: Sequence[str], descriptions: Descriptions, writer: str
) -> None:
    """Write descriptions into the shards that have not got them; each is replaced in one go."""

    def updated(row: dict[str, Any]) -> dict[str, Any]:
        if row["pair_id"] not in descriptions:
            return row
        text, flags = descriptions[row["pair_id"]]
        return row | dict(zip(WRITTEN, (text, writer, flags), strict=True))

    for shard in shards(folder, splits):
        rows = read_rows(folder, shard, ("pair_id", *WRITTEN))
        stale = any(updated(row) != row for row in rows)
        if stale:
            rows = (updated(row) for row in read_rows(folder, shard))
            write_shard(folder, shard, rows, columns_of(folder, shard))


class _Run:
    def __init__(
        self,
        folder: Folder,
        teacher: Teacher,
        config: TeacherConfig,
        total: int,
        show: Callable[[int, int], None],
    ) -> None:
        self.folder, self.teacher, self.config = folder, teacher, config
        self.total, self.show, self.done = total, show, 0
        self.examples: list[Example] = load_examples(config.examples)
        self.journal = Journal(folder, teacher.name)
        self.prices = Prices.of(config)
        spent = self.prices.cost(self.journal.input_tokens, self.journal.output_tokens)
        self.purse = Purse(config.budget, spent)
        self.told = Told(description_source=teacher.name)
        self.descriptions: dict[str, tuple[str, list[str]]] = {}
        self.in_a_row = 0

    async def all(self, chosen: set[str]) -> None:
        """Ask about every pair; workers take them from one list."""
        scenes = _scenes(self.folder, self.config.splits, chosen)
        failures: list[UserError] = []

        async def work() -> None:
            for scene in scenes:
                try:
                    await self._describe(scene)
                except UserError as error:
                    failures.append(error)
                if failures:  # what the others were asked is paid for: it is waited for
                    return
                await asyncio.sleep(0)  # what is answered already takes no time: others wait

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self.config.concurrency, self.total)):
                    group.create_task(work())
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        finally:
            await self.teacher.close()
        if failures:
            raise failures[0]

    async def _describe(self, scene: Scene) -> None:
        config = self.config
        examples = nearest(scene, self.examples, config.examples_per_prompt, config.seed)
        asked = messages(scene, examples)
        prompt = fingerprint(asked)
        unanswered = None
        while _unfinished(attempts := self.journal.attempts(scene.pair_id, prompt)):
            try:
                reply = await self._ask(asked, attempts)
            except NoAnswer as trouble:
                unanswered = str(trouble)
                self._lost(unanswered)
                break
            if reply is None:
                break
            self.in_a_row = 0
            self._note(scene, prompt, len(attempts) + 1, reply)
        self._count(scene, attempts, unanswered)
        self.done += 1
        self.show(self.done, self.total)

    def result(self) -> Told:
        """What became of the pairs, with what it cost."""
        told, paid = self.told, self.journal
        told.cost = self.prices.cost(told.input_tokens, told.output_tokens)
        told.spent = self.prices.cost(paid.input_tokens, paid.output_tokens)
        return told

    async def _ask(self, asked: list[Message], attempts: list[Entry]) -> Reply | None:
        """The next answer; None if the budget does not allow for it."""
        if attempts:
            last = attempts[-1]
            asked = again(asked, last.answer, last.checked.complaint)
        highest = self.prices.cost(most_tokens(asked), self.config.max_tokens)
        if not await self.purse.reserve(highest):
            self.told.stopped_by_budget = True
            return None
        cost = 0.0
        try:
            reply = await self.teacher.answer(asked)
            cost = self.prices.cost(reply.input_tokens, reply.output_tokens)
        finally:
            self.purse.settle(highest, cost)
        told = self.told
        told.answers += 1
        told.estimated += reply.estimated
        told.input_tokens += reply.input_tokens
        told.output_tokens += reply.output_tokens
        return reply

    def _note(self, scene: Scene, prompt: str, attempt: int, reply: Reply) -> None:
        """Check an answer, and write it into the journal."""
        checked = check(reply.text, scene, reply.finish)
        quoted = "" if checked.good else printable(" ".join((reply.text or "").split()))[:QUOTED]
        self.journal.add(
            Entry(
                pair_id=scene.pair_id,
                model=self.teacher.name,
                prompt=prompt,
                attempt=attempt,
                answer=quoted,
                description=checked.description,
                flags=checked.flags,
                problem=checked.problem,
                input_tokens=reply.input_tokens,
                output_tokens=reply.output_tokens,
                estimated=reply.estimated,
            )
        )

    def _lost(self, reason: str) -> None:
        self.in_a_row += 1
        if self.in_a_row >= IN_A_ROW:
            raise UserError(
                f"{self.teacher.name}: no answer to {IN_A_ROW} questions in a row ({reason}); what "
                "was answered is kept, the same command goes on"
            )

    def _count(self, scene: Scene, attempts: list[Entry], unanswered: str | None) -> None:
        told = self.told
        written = [entry for entry in attempts if entry.description is not None]
        if written:
            best = min(reversed(written), key=lambda entry: len(entry.flags))
            self.descriptions[scene.pair_id] = (str(best.description), best.flags)
            told.described += 1
            told.flagged += bool(best.flags)
            told.unchecked += not checkable(scene)
        elif unanswered is not None:
            told.unanswered[unanswered] = told.unanswered.get(unanswered, 0) + 1
        elif _unfinished(attempts):
            told.left += 1
        else:
            problem = str(attempts[-1].problem)
            told.invalid[problem] = told.invalid.get(problem, 0) + 1


def _unfinished(attempts: list[Entry]) -> bool:
    return len(attempts) < ATTEMPTS and not any(entry.checked.good for entry in attempts)


def _choose(folder: Folder, config: TeacherConfig) -> set[str]:
    """The ids of the pairs to describe."""
    pairs = []
    for shard in shards(folder, config.splits):
        for row in read_rows(folder, shard, ("pair_id", "verb", "noun")):
            pairs.append((row["pair_id"], row["verb"], row["noun"]))
    return balanced(pairs, config.subset, config.seed)


def _scenes(folder: Folder, splits: Sequence[str], chosen: set[str]) -> Iterator[Scene]:
    """The chosen pairs, in the order of the shards."""
    for shard in shards(folder, splits):
        for row in read_rows(folder, shard, TEXTS):
            if row["pair_id"] in chosen:
                yield Scene.of(row)
