import json
from collections import defaultdict

import pytest

from egoframe.kitchen.language import LANGUAGE
from egoframe.scenes import check, describe
from egoframe.simulator.facts import accuracy
from egoframe.simulator.teacher import place
from tests.kitchen.made_up import records

RECORDS = records(600)


def test_what_it_says_is_so():
    facts = [fact for record in RECORDS for fact in check(describe(record), record)]
    assert [fact for fact in facts if not fact.right] == []
    assert len(facts) > 5 * len(RECORDS)


def test_every_description_tells_hand_thing_direction_and_the_other_hand():
    for record in RECORDS:
        said = {fact.kind for fact in check(describe(record), record)}
        assert {"hand", "direction", "other hand"} <= said, describe(record)
        assert said & {"object", "tool"}, describe(record)
        assert ("place" in said) == bool(record["frames"]["pre"]["boxes"]), describe(record)


def test_a_hidden_thing_is_not_said_to_be_anywhere():
    hidden = [record for record in RECORDS if not record["frames"]["pre"]["boxes"]]
    assert len(hidden) > 20
    for record in hidden:
        words = describe(record)
        places = ("in the middle", " at the ", " on the left", " on the right")
        assert not any(place in words for place in places), words
        assert not any(mark in words for mark in ("  ", " .", " ,")), words


def test_the_wording_varies_and_depends_on_seed_and_narration_alone():
    record = RECORDS[0]
    assert describe(record) == describe(json.loads(json.dumps(record)))
    assert len({describe(record, seed) for seed in range(40)}) > 8
    by_verb = defaultdict(set)
    for record in RECORDS:
        by_verb[record["verb"]].add(" ".join(describe(record).split()[:2]))
    assert all(len(starts) >= 3 for starts in by_verb.values())


def test_descriptions_are_sentences_of_at_most_sixty_words():
    for record in RECORDS:
        words = describe(record)
        assert words[0].isupper()
        assert words.endswith(".")
        assert len(words.split()) <= 60


def test_what_it_says_of_recorded_actions_is_so(tmp_path, renderer_available):
    from egoframe.kitchen.family import KITCHEN
    from egoframe.simulator.record import RecordConfig, record

    for _ in record(
        tmp_path, RecordConfig(scenes=2, actions=20, size=64, frames_only=True), KITCHEN
    ):
        pass
    lines = (tmp_path / "simulator.jsonl").read_text(encoding="utf-8").splitlines()
    facts = [fact for line in lines for fact in check(describe(json.loads(line)), json.loads(line))]
    assert len(lines) == 40
    assert len(facts) > 5 * len(lines)
    assert accuracy(facts) == 1.0


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (0.1, 0.1, "at the upper left"),
        (0.5, 0.9, "at the bottom"),
        (0.9, 0.5, "on the right"),
        (0.5, 0.5, "in the middle of the view"),
    ],
)
def test_places_follow_the_box(x, y, words):
    record = next(r for r in RECORDS if r["frames"]["pre"]["boxes"])
    box = {"label": record["item"]["name"], "x0": x, "y0": y, "x1": x, "y1": y}
    assert (
        place({**record, "frames": {key: {"boxes": [box]} for key in ("pre", "pnr")}}, LANGUAGE)
        == words
    )
