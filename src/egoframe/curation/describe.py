"""Descriptions for a dataset: for the built-in kitchen, from what its simulator knows."""

from __future__ import annotations

import json
from pathlib import Path

from egoframe.errors import UserError
from egoframe.kitchen.teacher import describe
from egoframe.pairs import SPLITS, read_rows, write_shard

KITCHEN_TEACHER = "kitchen-teacher"


def describe_from_facts(folder: Path, seed: int = 0) -> int:
    """Write the kitchen teacher's description into every pair that carries facts; how many.

    Raises:
        UserError: no dataset here, or no pair of it carries facts.
    """
    shards = [path for split in SPLITS for path in sorted((folder / split).glob("*.parquet"))]
    if not shards:
        raise UserError(f"{folder}: no dataset of action pairs here")
    count = 0
    for shard in shards:
        rows = list(read_rows(shard))
        for row in rows:
            if row["facts"] is not None:
                row["description"] = describe(json.loads(row["facts"]), seed)
                row["description_source"] = KITCHEN_TEACHER
                count += 1
        write_shard(shard, rows)
    if count == 0:
        raise UserError(f"{folder}: its pairs carry no facts of a simulator to describe them from")
    return count
