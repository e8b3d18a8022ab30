"""Descriptions for datasets of the built-in scenes, from what their simulator knows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from egoframe.errors import UserError
from egoframe.pairs import read_rows, shards, write_shard
from egoframe.scenes import describe, scene_of
from egoframe.storage import Folder


def describe_from_facts(folder: Folder, seed: int = 0) -> int:
    """Write the simulator's own teacher's description into every pair that carries facts; how many.

    Raises:
        UserError: no dataset here, or no pair of it carries facts.
    """
    count = 0

    def described(shard: str) -> Iterator[dict[str, Any]]:
        nonlocal count
        for row in read_rows(folder, shard):
            if row["facts"] is not None:
                record = json.loads(row["facts"])
                row["description"] = describe(record, seed)
                row["description_source"] = f"{scene_of(record)}-teacher"
                row["description_flags"] = []
                count += 1
            yield row

    for shard in shards(folder):
        write_shard(folder, shard, described(shard))
    if count == 0:
        raise UserError(
            f"{folder}: its pairs carry no facts of a simulator to describe them from; give a "
            "teacher with --model, and perhaps --endpoint"
        )
    return count
