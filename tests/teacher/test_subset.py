import random
from collections import Counter
from itertools import product

import pytest

from egoframe.teacher.subset import balanced


def uneven(seed=0):
    """Pairs of 40 (verb, noun), some of one, some of hundreds."""
    rng = random.Random(seed)
    kinds = [k for k in product("abcdefgh", "12345678") if rng.random() < 0.6]
    pairs = [(v, n) for v, n in kinds for _ in range(int(rng.paretovariate(0.6)) % 300 + 1)]
    return [(str(number), *kind) for number, kind in enumerate(pairs)]


def filled(sizes, count):
    """Water into vessels of these sizes, one drop in each in turn: the level, by brute force."""
    level = dict.fromkeys(sizes, 0)
    while count > 0 and any(level[k] < sizes[k] for k in sizes):
        for kind in sizes:
            if level[kind] < sizes[kind] and count > 0:
                level[kind] += 1
                count -= 1
    return sorted(level.values())


@pytest.mark.parametrize("count", [1, 7, 40, 100, 333, 1000])
def test_every_kind_has_as_many_as_every_other_or_all_it_has(count):
    pairs = uneven()
    kinds = {pair_id: kind for pair_id, *kind in pairs}
    sizes = Counter(tuple(kind) for kind in kinds.values())
    chosen = balanced(pairs, count, 0)
    assert len(chosen) == min(count, len(pairs))
    counts = Counter(tuple(kinds[pair_id]) for pair_id in chosen)
    assert sorted(counts[kind] for kind in sizes) == filled(sizes, count)
    highest = max(counts.values())
    assert all(counts[k] >= highest - 1 or counts[k] == sizes[k] for k in sizes)


def test_verbs_are_balanced_within_a_round_that_is_not_whole():
    pairs = [(f"{v}{n}{k}", v, f"{v}{n}") for v in "abcd" for n in range(9) for k in range(3)]
    for count in (4, 8, 18):
        verbs = Counter(pair_id[0] for pair_id in balanced(pairs, count, 3))
        assert max(verbs.values()) - min(verbs.values()) <= 1, verbs


def test_the_order_of_the_pairs_does_not_matter_and_larger_subsets_hold_smaller_ones():
    pairs = uneven()
    shuffled = random.Random(5).sample(pairs, len(pairs))
    before: set[str] = set()
    for count in range(1, 400, 13):
        chosen = balanced(pairs, count, 1)
        assert chosen == balanced(shuffled, count, 1)
        assert before < chosen
        before = chosen
    assert balanced(pairs, None, 1) == {pair_id for pair_id, *_ in pairs}


def test_the_seed_chooses():
    pairs = uneven()
    assert balanced(pairs, 50, 1) != balanced(pairs, 50, 2)
    # Each pair of a kind has the same chance.
    pairs = [(str(k), "a", "b") for k in range(4)]
    drawn = Counter(next(iter(balanced(pairs, 1, seed))) for seed in range(2000))
    assert all(abs(count - 500) < 5 * (2000 * 0.25 * 0.75) ** 0.5 for count in drawn.values())
