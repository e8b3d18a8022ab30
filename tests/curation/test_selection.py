import random
from pathlib import Path

import pytest

from egoframe.curation.selection import (
    DISORDER,
    MERGED,
    SHORT,
    Moments,
    SelectionConfig,
    choose_moments,
)
from egoframe.pairs import Box
from egoframe.sources.clip import ActionClip

CONFIG = SelectionConfig()
BOX = Box("mug", 0, 0, 1, 1)


def clip(name: str, start: float, stop: float, words: str = "", **more) -> ActionClip:
    return ActionClip(
        clip_id=name, source="test", split="train", video_id="v", media=Path("v.mp4"), fps=50,
        start=start, stop=stop, narration="", verb=words or name, noun="mug", **more,
    )  # fmt: skip


def one(*clips: ActionClip, config: SelectionConfig = CONFIG) -> Moments | str:
    """What is chosen for the first of the clips."""
    return choose_moments(clips, config)[clips[0].clip_id]


def near(*times: float):
    return pytest.approx(times)


def test_offsets_from_the_start_with_candidates_around_them():
    chosen = one(clip("a", 10, 14))
    assert chosen.before == near(9.75, 9.65, 9.85)
    assert chosen.during == near(10.6, 10.5, 10.7)
    two = one(clip("a", 10, 14), config=SelectionConfig(candidates=2, spread=0.08))
    assert two.before == near(9.75, 9.71, 9.79, 9.67, 9.83)
    assert one(clip("a", 10, 14), config=SelectionConfig(candidates=0)) == Moments((9.75,), (10.6,))


def test_a_short_action_is_taken_half_way_and_nothing_before_the_video():
    assert one(clip("a", 0.1, 0.7)) == Moments(near(0.0, 0.1), near(0.4, 0.3, 0.5))
    assert one(clip("a", 0.0, 0.3)) == SHORT


def test_critical_frames_are_taken_as_they_are():
    exact = {"pre": 3.2, "contact": 3.9, "pnr": 4.3, "post": 4.9}
    assert one(clip("a", 3, 5, critical=exact)) == Moments((3.2,), (4.3,))
    assert one(clip("a", 3, 5, critical={"pre": 4.3, "pnr": 4.3})) == DISORDER
    only = one(clip("a", 3, 5, critical={"pnr": 4.3}))
    assert (only.before, only.during) == (near(2.75, 2.65, 2.85), (4.3,))


def test_frames_with_annotated_boxes_go_before_others():
    chosen = one(clip("a", 10, 14, boxes={9.5: [BOX], 9.6: [BOX], 10.95: [BOX]}))
    assert chosen == Moments((9.6,), (10.6, 10.5, 10.7))


def test_the_input_frame_stays_behind_the_change_before():
    """The neighbour changes the scene at 9.8, or where its PNR frame is."""
    chosen = one(clip("a", 10, 14), clip("b", 9.2, 12))
    assert chosen.before == near(9.8, 9.9)
    late = {"pre": 9.0, "pnr": 10.3}
    assert one(clip("a", 10, 14), clip("b", 9, 12, critical=late)).before == near(10.3, 10.4)
    later = {"pre": 9.0, "pnr": 10.5}
    assert one(clip("a", 10, 14), clip("b", 9, 12, critical=later)) == MERGED


def test_the_action_frame_stays_before_the_change_after():
    chosen = one(clip("a", 10, 14), clip("b", 10.05, 12))
    assert chosen.during == near(10.6, 10.5)


def test_annotated_frames_with_another_action_in_between_are_left_out():
    exact = {"pre": 3.2, "pnr": 4.3}
    assert one(clip("a", 3, 5, critical=exact), clip("b", 3.2, 6)) == MERGED


def test_an_action_told_twice_is_no_neighbour():
    exact = {"pre": 3.2, "pnr": 4.3}
    assert one(clip("a", 3, 5, "take", critical=exact), clip("b", 3.2, 6, "take")) == Moments(
        (3.2,), (4.3,)
    )


def test_no_other_action_changes_the_scene_between_both_frames():
    """Brute force over crowded videos."""
    draw = random.Random(0)
    kept = 0
    for _ in range(60):
        clips = []
        for k in range(30):
            start = round(draw.uniform(0, 30), 2)
            stop = start + draw.choice([0.3, 0.8, 2, 5])
            exact = {}
            if draw.random() < 0.3:
                exact = {"pre": start, "pnr": start + draw.uniform(0.1, stop - start)}
            words = draw.choice("abc")
            boxes = {start + draw.uniform(-0.5, 1): [BOX]} if draw.random() < 0.3 else {}
            clips.append(clip(str(k), start, stop, words, critical=exact, boxes=boxes))
        changes = {
            c.clip_id: c.critical.get("pnr", c.start + min(0.6, (c.stop - c.start) / 2))
            for c in clips
        }
        for name, moments in choose_moments(clips, CONFIG).items():
            if isinstance(moments, str):
                continue
            kept += 1
            me = clips[int(name)]
            others = [
                changes[c.clip_id] for c in clips if c is not me
                and not (c.verb == me.verb and c.start < me.stop and me.start < c.stop)
            ]  # fmt: skip
            for before in moments.before:
                for during in moments.during:
                    assert 0 <= before < during
                    assert not any(before < change < during for change in others)
    assert kept > 300


def test_a_long_video_takes_no_square_time():
    clips = [clip(str(k), k / 2, k / 2 + 3) for k in range(20_000)]
    assert len(choose_moments(clips, CONFIG)) == 20_000
    same = [clip(str(k), 10, 13, "take") for k in range(2_000)]
    assert not any(isinstance(m, str) for m in choose_moments(same, CONFIG).values())
