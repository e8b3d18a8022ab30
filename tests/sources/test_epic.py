import csv

import pytest

from egoframe.errors import UserError
from egoframe.sources.epic import EpicSource, seconds


def test_every_annotation_of_the_real_validation_split_is_read(shared_data):
    source = EpicSource(shared_data / "epic100")
    clips = list(source.clips())
    assert len(clips) == 9668
    assert len({clip.clip_id for clip in clips}) == 9668
    with (shared_data / "epic100" / "EPIC_100_validation.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for clip, row in zip(clips, rows, strict=True):
        assert clip.clip_id == row["narration_id"]
        # The tables count frames too, at a nominal 60 or 50 frames/s, not at the video's own.
        first = int(row["start_frame"])
        assert min(abs(clip.start * nominal - first) for nominal in (50, 60)) < 2.0
        assert clip.source == "epic-kitchens-100"
    assert sum(source.anomalies.values()) < 20


@pytest.mark.parametrize(
    ("text", "expected"), [("00:00:01.89", 1.89), ("01:02:03.500", 3723.5), ("00:10:00", 600)]
)
def test_timestamps(text, expected):
    assert seconds(text) == pytest.approx(expected)


def write(folder, rows, columns=None):
    names = columns or ["narration_id", "video_id", "start_timestamp", "stop_timestamp",
                        "narration", "verb", "noun"]  # fmt: skip
    with (folder / "EPIC_100_train.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(rows)


def test_flaws_are_counted_and_rows_that_cannot_be_read_left_out(tmp_path):
    write(tmp_path, [
        ["a", "P01_01", "00:00:01", "00:00:02", "open drawer", "open", "drawer"],
        ["b", "P01_01", "00:00:05", "00:00:04", "open drawer", "open", "drawer"],
        ["c", "P01_01", "later", "00:00:04", "open drawer", "open", "drawer"],
        ["a", "P01_01", "00:00:01", "00:00:02", "open drawer", "open", "drawer"],
        ["d", "P01_01", "00:00:01", "00:09:00", "open drawer", "open", "drawer"],
        ["e", "P01_01", "00:00:01"],
    ])  # fmt: skip
    (tmp_path / "EPIC_100_video_info.csv").write_text(
        "video_id,duration,fps\nP01_01,60,50\n", encoding="utf-8"
    )
    source = EpicSource(tmp_path)
    assert [clip.clip_id for clip in source.clips()] == ["a", "b", "d"]
    assert source.anomalies == {
        "stops before it starts": 1,
        "timestamp cannot be read": 1,
        "narration_id given twice": 1,
        "stops after the video's end": 1,
        "row cut short": 1,
    }


def test_a_table_with_words_for_numbers_is_named(tmp_path):
    write(tmp_path, [])
    info = tmp_path / "EPIC_100_video_info.csv"
    info.write_text("video_id,duration,fps\nP01_01,long,50\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"video_info\.csv: a duration or fps is no number"):
        list(EpicSource(tmp_path).clips())


def test_a_table_of_something_else_is_refused(tmp_path):
    write(tmp_path, [["1", "2"]], ["x", "y"])
    with pytest.raises(UserError, match=r"no column narration_id"):
        list(EpicSource(tmp_path).clips())
    with pytest.raises(UserError, match="EPIC_100_train"):
        list(EpicSource(tmp_path / "absent").clips())
