"""A subset of pairs, balanced over verbs and nouns."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable


def balanced(pairs: Iterable[tuple[str, str, str]], count: int | None, seed: int) -> set[str]:
    """Choose pairs so that every (verb, noun) has as many as every other, or all that it has.

    The pairs of a (verb, noun) are drawn at random, one in each round; a round visits the verbs in
    turn, each with another of its nouns. Within the last round, which may not be whole, verbs are
    thus balanced too. A larger count chooses the same pairs, and more.

    Arguments:
        pairs: (pair_id, verb, noun) of each, in any order.
        count: how many to choose; None takes all.
    Returns: their ids.
    """
    groups: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for pair_id, verb, noun in pairs:
        groups[verb][noun].add(pair_id)
    places = {}
    for verb, nouns in groups.items():
        for turn, noun in enumerate(_shuffled(nouns, seed, verb)):
            for lap, pair_id in enumerate(_shuffled(nouns[noun], seed, verb, noun)):
                places[pair_id] = (lap, turn, _draw(seed, verb), verb)
    return set(sorted(places, key=places.__getitem__)[:count])


def _shuffled(items: Iterable[str], *where: object) -> list[str]:
    return sorted(items, key=lambda item: (_draw(*where, item), item))


def _draw(*what: object) -> bytes:
    """The same on every machine, whatever the order of what is drawn from."""
    return hashlib.blake2b(repr(what).encode(errors="replace"), digest_size=8).digest()
