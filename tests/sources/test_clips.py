import csv
import json
import math
import random
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from egoframe.errors import UserError
from egoframe.sources.clips import COLUMNS, ClipsSource
from egoframe.sources.reading import FILE_NAME

HEADER = "video,start,stop,text\n"


def folder_of(folder: Path, *videos: str) -> Path:
    for name in videos:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def read(folder: Path, content: str, name: str = "actions.csv"):
    (folder / name).write_text(content, encoding="utf-8")
    return list(ClipsSource(folder).clips())


def refusal(folder: Path, table: Path | None = None) -> str:
    with pytest.raises(UserError) as error:
        list(ClipsSource(folder, table).clips())
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_row_is_a_clip(tmp_path):
    folder_of(tmp_path, "kitchen.mp4")
    (clip,) = read(tmp_path, HEADER + "kitchen,1.5,00:03,Opens the top drawer.\n")
    assert (clip.clip_id, clip.source, clip.flaw) == ("kitchen_1", "clips", None)
    assert (clip.video_id, clip.media) == ("kitchen", tmp_path / "kitchen.mp4")
    assert (clip.start, clip.stop, clip.critical) == (1.5, 3.0, {})
    assert (clip.narration, clip.action) == ("Opens the top drawer.", "open the top drawer.")
    assert (clip.verb, clip.noun, clip.split) == ("open", "drawer", "train")
    assert (clip.description, clip.description_source) == (None, None)
    assert math.isnan(clip.fps)


def test_all_that_a_row_may_tell(tmp_path):
    folder_of(tmp_path, "a.MOV")
    row = {
        "clip_id": "mine", "video": "a", "start": 1, "stop": 4, "pre": 0.5, "contact_time": "1.2",
        "pnr_sec": 2, "post_timestamp": "00:03.5", "text": "open the drawer", "verb": "pull",
        "noun": "top drawer", "split": "Val", "participant": "P01", "fps": "29.97",
        "description": "The left hand pulls the handle.", "colour": "red",
    }  # fmt: skip
    (clip,) = read(tmp_path, json.dumps(row), "actions.jsonl")
    assert (clip.clip_id, clip.split, clip.fps) == ("mine", "validation", 29.97)
    assert clip.critical == {"pre": 0.5, "contact": 1.2, "pnr": 2.0, "post": 3.5}
    assert (clip.verb, clip.noun) == ("pull", "top drawer")
    assert clip.description == "The left hand pulls the handle."
    assert clip.description_source == "annotation"


@pytest.mark.parametrize("kind", ["video", "start", "stop", "text", "id"])
def test_columns_have_many_names(tmp_path, kind):
    folder_of(tmp_path, "v.mp4")
    values = {"video": "v", "start": "1", "stop": "2", "text": "open the door", "id": "one"}
    for name in COLUMNS[kind]:
        names = [name.upper() if key == kind else key for key in values]
        table = f"{','.join(names)}\n{','.join(values.values())}\n"
        (clip,) = read(tmp_path, table)
        assert (clip.clip_id, clip.start, clip.stop, clip.flaw) == ("one", 1.0, 2.0, None)


def test_the_narrations_of_others_are_in_plain_words(tmp_path):
    folder_of(tmp_path, "v.mp4")
    clips = read(tmp_path, HEADER + "v,1,2,#C C opens the drawer\nv,1,2,#O A man X walks\n")
    assert (clips[0].action, clips[0].noun) == ("open the drawer", "drawer")
    assert clips[1].flaw == "another person acts"


# HD-EPIC: the columns and the examples of the README of hd-epic/hd-epic-annotations.


def narrations() -> pd.DataFrame:
    first = {
        "unique_narration_id": "P01-20240202-110250-1", "participant_id": "P01",
        "video_id": "P01-20240202-110250",
        "narration": "Open the upper cupboard by holding the handle of the cupboard with the left "
        "hand.",
        "start_timestamp": 7.44, "end_timestamp": 8.75,
        "nouns": ["upper cupboard", "handle of cupboard"], "verbs": ["open", "hold"],
        "pairs": [("open", "upper cupboard"), ("hold", "handle of cupboard")],
        "main_actions": [("open", "upper cupboard")], "verb_classes": [3, 34],
        "noun_classes": [3, 3], "pair_classes": [(3, 3), (34, 3)],
        "main_action_classes": [(3, 3)], "hands": ["left hand"], "narration_timestamp": 8.0,
    }  # fmt: skip
    second = {
        **first, "unique_narration_id": "P02-20240203-100000-1", "participant_id": "P02",
        "video_id": "P02-20240203-100000", "narration": "Holding it, close it.",
        "main_actions": [("shut", "lid")], "nouns": ["handle", "lid"], "verbs": ["hold", "shut"],
    }  # fmt: skip
    third = {**second, "unique_narration_id": "P02-20240203-100000-2", "end_timestamp": math.nan}
    fourth = {**second, "unique_narration_id": "P02-20240203-100000-3", "main_actions": []}
    return pd.DataFrame([first, second, third, fourth])


@pytest.mark.parametrize("name", ["narrations.jsonl", "narrations.csv"])
@pytest.mark.parametrize("index", [True, False])
def test_exports_of_hd_epic_are_read(tmp_path, name, index):
    videos = folder_of(tmp_path / "Videos", "P01/P01-20240202-110250.mp4")
    path = tmp_path / name
    if name.endswith("csv"):
        narrations().to_csv(path, index=index)
    else:
        narrations().to_json(path, orient="records", lines=True)
    first, second, third, fourth = ClipsSource(videos, path).clips()
    assert (first.clip_id, first.source) == ("P01-20240202-110250-1", "hd-epic")
    assert first.video_id == "P01-20240202-110250"
    assert first.media == videos / "P01" / "P01-20240202-110250.mp4"
    assert (first.start, first.stop, first.flaw) == (7.44, 8.75, None)
    assert (first.verb, first.noun) == ("open", "upper cupboard")
    assert (second.verb, second.noun) == ("shut", "lid")
    assert (fourth.verb, fourth.noun) == ("hold", "handle")
    assert second.media == videos / "P02-20240203-100000"  # which is not there: the build says so
    assert (third.clip_id, third.flaw) == ("P02-20240203-100000-2", "time cannot be read")
    assert {first.split, second.split} == {"train", "validation"}


def test_a_pickle_is_not_opened(tmp_path):
    narrations().to_pickle(tmp_path / "HD_EPIC_Narrations.pkl")
    assert "to_json" in refusal(tmp_path)
    assert "to_json" in refusal(tmp_path, tmp_path / "HD_EPIC_Narrations.pkl")


def test_its_own_advice_exports_a_pickle(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    narrations().to_pickle(tmp_path / "HD_EPIC_Narrations.pkl")
    told = refusal(tmp_path)
    code = told.partition('python -c "')[2].rstrip('"')
    exec(code)
    first, *_ = ClipsSource(tmp_path, tmp_path / "narrations.jsonl").clips()
    assert (first.verb, first.noun) == ("open", "upper cupboard")


# Tables


def test_the_only_table_is_found(tmp_path):
    folder_of(tmp_path, "v.mp4", "deeper/other.csv")
    (tmp_path / "notes.TSV").write_text("video\tstart\tstop\ttext\nv\t1\t2\topen it\n")
    (clip,) = ClipsSource(tmp_path).clips()
    assert clip.action == "open it"
    (tmp_path / "more.csv").write_text(HEADER + "v,1,2,close it\n")
    told = refusal(tmp_path)
    assert "more.csv, notes.TSV" in told
    assert "--table FILE" in told
    (clip,) = ClipsSource(tmp_path, tmp_path / "more.csv").clips()
    assert clip.action == "close it"


def test_no_table_and_no_folder(tmp_path):
    assert "no .csv, .tsv or .jsonl; tell" in refusal(folder_of(tmp_path, "v.mp4"))
    assert "no such folder" in refusal(tmp_path / "nowhere")
    assert "no such folder" in refusal(tmp_path / "v.mp4")


def test_the_table_of_another_dataset(tmp_path):
    (tmp_path / "HD_EPIC_verb_classes.csv").write_text("ID,Key,Instances,Category\n0,a,[],b\n")
    told = refusal(tmp_path)
    assert "video (called video, video_id," in told
    assert "it has id, key, instances, category" in told


# Videos


@pytest.mark.parametrize("told", ["x", "x.mp4", "x.MP4", "sub/x", "sub/x.mp4", "sub\\x.MP4"])
@pytest.mark.parametrize("ending", ["mp4", "MP4", "Mp4"])
def test_videos_are_found_by_name_or_path(tmp_path, told, ending):
    folder_of(tmp_path, f"sub/x.{ending}", "sub/y.mp4", ".hidden/x.mp4", "sub/._x.mp4")
    (clip,) = read(tmp_path, HEADER + f"{told},1,2,open it\n")
    assert clip.media == tmp_path / "sub" / f"x.{ending}"
    assert (clip.video_id, clip.flaw) == ("x", None)


@pytest.mark.parametrize("ending", ["mov", "mkv", "avi", "webm", "MKV"])
def test_kinds_of_video(tmp_path, ending):
    folder_of(tmp_path, f"x.{ending}", "x.txt", "x.jpg")
    (clip,) = read(tmp_path, HEADER + "x,1,2,open it\n")
    assert clip.media == tmp_path / f"x.{ending}"


def test_of_several_videos_the_path_tells(tmp_path):
    folder_of(tmp_path, "x.mp4", "a/x.mp4", "b/y.mp4", "c/y.mp4", "a/z.mp4", "a/z.mov", "p/y 1.avi")
    names = ("x", "a/x", "b/y", "y", "y.mp4", "z", "z.mov", "a/z.mp4", "y 1")
    clips = read(tmp_path, HEADER + "".join(f"{name},1,2,open it\n" for name in names))
    several = "several videos of that name"
    assert [clip.flaw or str(clip.media.relative_to(tmp_path)) for clip in clips] == [
        "x.mp4", "a/x.mp4", "b/y.mp4", several, several, several, "a/z.mov", "a/z.mp4", "p/y 1.avi"
    ]  # fmt: skip
    found = {clip.media: clip.video_id for clip in clips if clip.flaw is None}
    assert len(set(found.values())) == len(found) == 6
    assert all(map(FILE_NAME.fullmatch, found.values()))


def test_names_that_no_file_of_ours_can_have_stay_apart(tmp_path):
    folder_of(tmp_path, "厨房.mp4", "客厅.mp4", "a b.mp4", "a_b.mp4")
    names = ["厨房", "客厅", "a b", "a_b"]
    clips = read(tmp_path, HEADER + "".join(f"{name},1,2,open it\n" for name in names))
    assert len({clip.video_id for clip in clips}) == 4
    assert all(FILE_NAME.fullmatch(clip.video_id) for clip in clips)


def test_missing_videos_are_named_by_their_place(tmp_path):
    (clip,) = read(tmp_path, HEADER + "sub/gone.mp4,1,2,open it\n")
    assert (clip.flaw, clip.media) == (None, tmp_path / "sub" / "gone.mp4")


def test_folders_of_frames(tmp_path):
    folder_of(tmp_path, "f/kitchen/frame_0000000001.jpg", "f/kitchen/frame_0000000002.jpg")
    table = "video,start,stop,text,fps\nkitchen,1,2,open it,60\nkitchen,1,2,close it,\n"
    clips = read(tmp_path, table)
    assert (clips[0].media, clips[0].fps) == (tmp_path / "f" / "kitchen", 60.0)
    assert (clips[0].video_id, clips[0].flaw) == ("kitchen", None)
    assert clips[1].flaw == "no fps of the frames in a folder"


def test_links_that_lead_around_are_followed_once(tmp_path):
    folder_of(tmp_path / "disk", "sub/x.mp4")
    place = folder_of(tmp_path / "mine")
    place.mkdir()
    (place / "videos").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "sub" / "back").symlink_to(place)
    (place / "nowhere").symlink_to(tmp_path / "gone")
    (clip,) = read(place, HEADER + "x,1,2,open it\n")
    assert clip.media == place / "videos" / "sub" / "x.mp4"


# Flaws


@pytest.mark.parametrize(
    ("row", "flaw"),
    [
        ("v,1", "row cut short"),
        ("v,1,2", "row cut short"),
        ("v,1,2,open the drawer, then close it", "more cells than columns"),
        (",1,2,open it", "no video named"),
        ("../v,1,2,open it", "video is no path in the folder"),
        ("/etc/passwd,1,2,open it", "video is no path in the folder"),
        ("C:\\v.mp4,1,2,open it", "video is no path in the folder"),
        ("x" * 300 + ",1,2,open it", "video is no path in the folder"),
        ("v\0,1,2,open it", "video is no path in the folder"),
        ("v,,2,open it", "time cannot be read"),
        ("v,one,2,open it", "time cannot be read"),
        ("v,nan,2,open it", "time cannot be read"),
        ("v,1,inf,open it", "time cannot be read"),
        ("v,-1,2,open it", "negative time"),
        ("v,-0:01,2,open it", "negative time"),
        ("v,2,1,open it", "stops before it starts"),
        ("v,2,2,open it", "stops before it starts"),
        ("v,1,2,", "no action in the narration"),
        ("v,1,2, . ", "no action in the narration"),
    ],
)
def test_flaws_are_told_and_counted(tmp_path, row, flaw):
    folder_of(tmp_path, "v.mp4")
    clips = read(tmp_path, f"{HEADER}v,1,2,close it\n{row}\nv,3,4,close it\n")
    assert [clip.flaw for clip in clips] == [None, flaw, None]
    assert [clip.clip_id for clip in clips][::2] == ["v_1", "v_3"]
    assert clips[1].clip_id == "actions.csv:3" if row[0] == "," else clips[1].clip_id.endswith("_2")


@pytest.mark.parametrize(("pnr", "flaw"), [("x", "critical time cannot be read"),
                                           ("nan", "critical time cannot be read"),
                                           ("-1", "negative time"), ("", None)])  # fmt: skip
def test_flaws_of_critical_times(tmp_path, pnr, flaw):
    folder_of(tmp_path, "v.mp4")
    (clip,) = read(tmp_path, f"video,start,stop,text,pnr\nv,1,2,open it,{pnr}\n")
    assert clip.flaw == flaw
    assert clip.critical == {}


def test_ids_given_twice(tmp_path):
    folder_of(tmp_path, "v.mp4")
    row = "v,1,2,open it,a\n"
    clips = read(tmp_path, "video,start,stop,text,id\n" + row * 2 + "v,1,2,open it,\n")
    assert [(clip.clip_id, clip.flaw) for clip in clips] == [
        ("a", None), ("a#2", "id given twice"), ("v_3", None)
    ]  # fmt: skip


def test_broken_lines_are_counted(tmp_path):
    folder_of(tmp_path, "7.mp4")
    good = json.dumps({"video": 7, "start": 1, "stop": "2", "text": "open it", "id": 12})
    clips = read(tmp_path, f'{good}\n{{"video": \n\n{{}}\n', "a.jsonl")
    assert [(clip.clip_id, clip.flaw) for clip in clips] == [
        ("12", None), ("a.jsonl:2", "line cannot be read"), ("a.jsonl:4", "no video named")
    ]  # fmt: skip


# Splits


@pytest.mark.parametrize(
    ("told", "split"),
    [("train", "train"), ("TRAINING", "train"), ("val", "validation"), ("test", "validation"),
     ("dev", "validation")],
)  # fmt: skip
def test_splits_are_as_told(tmp_path, told, split):
    rows = "".join(f"v{k},1,2,open it,{told}\n" for k in range(30))
    source = ClipsSource(folder_of(tmp_path))
    (tmp_path / "t.csv").write_text(f"video,start,stop,text,split\n{rows}")
    assert {clip.split for clip in source.clips()} == {split}
    assert source.anomalies == {}


@pytest.mark.parametrize(("videos", "held"), [(1, 0), (2, 1), (14, 1), (30, 3), (100, 10)])
def test_about_a_tenth_of_the_videos_is_held_out(tmp_path, videos, held):
    rows = [f"v{k},{t},{t + 1},open it\n" for k in range(videos) for t in range(3)]
    clips = read(tmp_path, HEADER + "".join(rows))
    out = {clip.video_id for clip in clips if clip.split == "validation"}
    assert len(out) == held
    assert out.isdisjoint(clip.video_id for clip in clips if clip.split == "train")
    assert not out or videos < 5 or out != set(sorted({clip.video_id for clip in clips})[:held])
    random.seed(1)
    random.shuffle(rows)
    again = read(tmp_path, HEADER + "".join(rows))
    assert {clip.video_id for clip in again if clip.split == "validation"} == out


def test_whole_participants_are_held_out(tmp_path):
    rows = "".join(f"v{k},1,2,open it,P{k % 9}\n" for k in range(90))
    clips = read(tmp_path, f"video,start,stop,text,participant\n{rows}")
    out = {int(clip.video_id[1:]) % 9 for clip in clips if clip.split == "validation"}
    assert len(out) == 1
    assert sum(clip.split == "validation" for clip in clips) == 10


def test_an_unknown_split_is_remarked(tmp_path):
    (tmp_path / "t.csv").write_text("video,start,stop,text,split\nv,1,2,open it,fold3\n")
    source = ClipsSource(tmp_path)
    assert [clip.split for clip in source.clips()] == ["train"]
    assert source.anomalies == {"split unknown, chosen as where none is told": 1}


# Real and random tables


def test_the_real_annotations_of_epic_kitchens_are_read(tmp_path, shared_data):
    """As a table of clips: what the CSV module reads is what is there, and nothing is lost."""
    table = shared_data / "epic100" / "EPIC_100_validation.csv"
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    clips = list(ClipsSource(tmp_path, table).clips())
    assert len(clips) == len(rows) == 9668
    assert sum(clip.flaw is None for clip in clips) == 9668
    for row, clip in zip(rows, clips, strict=True):
        hours, minutes, rest = row["start_timestamp"].split(":")
        assert clip.start == pytest.approx(int(hours) * 3600 + int(minutes) * 60 + float(rest))
        assert (clip.clip_id, clip.video_id) == (row["narration_id"], row["video_id"])
        assert (clip.verb, clip.noun) == (row["verb"], row["noun"])


ODD: list[Any] = [
    None, True, "", " ", "x", "../x", -1, 0, 3, 10**30, 1e308, math.nan, math.inf, "1:2", "[1", [],
    ["a"], {}, [["a", "b"]], "[('a', 'b')]", "\ud800", "v", "a\nb", "é" * 200, "#O", "val", [[]],
]  # fmt: skip


def test_whatever_a_row_holds_there_is_no_traceback(tmp_path):
    folder_of(tmp_path, "v.mp4", "f/frame_0000000001.jpg")
    random.seed(7)
    names = [accepted[0] for accepted in COLUMNS.values()]
    good = {"video": "v", "start": 1, "stop": 2, "text": "open the drawer", "id": "first"}
    rows = [good]
    for _ in range(2000):
        row: dict[str, Any] = {"video": "v", "start": 1, "stop": 2, "text": "open the drawer"}
        for name in random.sample(names, random.randint(0, 4)):
            row[name] = random.choice(ODD)
        rows.append(row)
    clips = read(tmp_path, "\n".join(map(json.dumps, rows)), "a.jsonl")
    assert len({clip.clip_id for clip in clips}) == len(clips) == 2001
    sound = [clip for clip in clips if clip.flaw is None]
    assert 500 < len(sound) < 1700
    for clip in sound:
        assert 0 <= clip.start < clip.stop < math.inf
        assert all(0 <= time < math.inf for time in clip.critical.values())
        assert clip.action
        assert clip.verb
        assert tmp_path in clip.media.parents
        assert clip.media.is_file() or not clip.media.exists() or clip.fps > 0
        assert math.isnan(clip.fps) or clip.fps > 0
    assert {type(clip.split) for clip in clips} == {str}
