import tempfile
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from egoframe.curation.selection import SelectionConfig, choose_moments
from egoframe.curation.units import Units
from egoframe.errors import UserError
from egoframe.pairs import Box
from egoframe.sources.clip import ActionClip, flawed

CONFIG = SelectionConfig()


def clips(count: int, videos: int = 7) -> Iterator[ActionClip]:
    """Actions of several videos by turns, not in the order of time."""
    for k in range(count):
        start = 1 + (k * 37 % count) * 2.0
        yield ActionClip(
            clip_id=f"clip-{k}", source="test", split="train", video_id=f"v{k % videos}",
            media=Path(f"v{k % videos}.mp4"), fps=30, start=start, stop=start + 1,
            narration=f"open drawer {k}", verb="open", noun=f"drawer {k}",
            boxes={start: [Box("left hand", 0.1, 0.2, 0.3, 0.4) for _ in range(20)]},
        )  # fmt: skip


def test_units_hold_every_clip_once_with_the_moments_of_its_whole_video():
    bad = flawed("bad", "test", "train", "v3", Path("v3.mp4"), "no narration")
    everything = [*clips(100), bad]
    units = Units(everything, 6, CONFIG)
    assert [unit.number for unit in units] == list(range(len(units)))
    assert units.clips == 101
    seen: list[str] = []
    for video in range(7):
        of_video = [clip for clip in everything if clip.video_id == f"v{video}"]
        moments = choose_moments([clip for clip in of_video if clip is not bad], CONFIG)
        found = [unit for unit in units if unit.clips[0].video_id == f"v{video}"]
        assert [len(unit.clips) for unit in found[:-1]] == [6] * (len(found) - 1)
        together = [clip for unit in found for clip in unit.clips]
        assert sorted(map(repr, together)) == sorted(map(repr, of_video))
        starts = [clip.start for clip in together if clip.flaw is None]
        assert starts == sorted(starts)
        told = {name: m for unit in found for name, m in unit.moments.items()}
        assert told == moments
        seen += [clip.clip_id for clip in together]
    assert len(set(seen)) == len(seen) == 101


def test_units_can_be_had_in_any_order_and_without_the_finished_ones():
    units = Units(clips(100), 6, CONFIG)
    some = [units[k] for k in (9, 0, 15, 9)]
    assert some == [list(units)[k] for k in (9, 0, 15, 9)]
    left = units.without({"parts/000000.json", "parts/000015.json", "parts/000003.parquet"})
    assert [unit.number for unit in left] == [k for k in range(len(units)) if k not in (0, 15)]
    assert left.clips == sum(len(unit.clips) for unit in left)


def test_the_fingerprint_is_of_the_clips_not_of_their_place():
    first = Units(clips(10), 6, CONFIG).clips_sha256
    moved = (replace(clip, media=Path("elsewhere") / clip.media) for clip in clips(10))
    assert Units(moved, 6, CONFIG).clips_sha256 == first
    changed = (replace(clip, stop=clip.stop + (clip.clip_id == "clip-7")) for clip in clips(10))
    assert Units(changed, 6, CONFIG).clips_sha256 != first


def test_memory_does_not_grow_with_the_list():
    """200 bytes a clip, where a clip itself takes more than 2,000."""
    tracemalloc.start()
    try:
        units = Units(clips(10_000, videos=500), 64, CONFIG)
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert units.clips == 10_000
    assert used < 2_000_000


def test_no_room_for_what_waits_is_said(monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: Path("/dev/full").open("r+b"))  # noqa: SIM115
    with pytest.raises(UserError, match=r"No space left on device.*TMPDIR"):
        Units(clips(1000), 6, CONFIG)
