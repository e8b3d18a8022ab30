import json
import math
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from egoframe.curation.selection import SelectionConfig, choose_moments
from egoframe.curation.video import UnreadableMedia, read_frames
from egoframe.errors import UserError
from egoframe.sources.lerobot import LerobotSource
from egoframe.sources.reading import FILE_NAME
from tests.curation.videos import make_video, number_of
from tests.sources.lerobot_dataset import FPS, FRONT, WRIST, Miniature, camera

EPISODES = "meta/episodes/chunk-000/file-000.parquet"
DATA = "data/chunk-000/file-000.parquet"


def read(folder: Path, **options: Any):
    return list(LerobotSource(folder, **options).clips())


def one_line(error: pytest.ExceptionInfo[UserError] | UserError) -> str:
    told = str(error if isinstance(error, UserError) else error.value)
    assert "\n" not in told
    return told


def test_an_episode_is_a_clip(tmp_path):
    source = LerobotSource(Miniature(lengths=(31, 20, 25)).write(tmp_path))
    clip, *_ = clips = list(source.clips())
    assert [clip.clip_id for clip in clips] == [f"episode_00000{k}" for k in range(3)]
    assert (clip.source, clip.flaw, clip.fps) == ("lerobot", None, FPS)
    assert (clip.narration, clip.action) == ("Pick up the red cube", "pick up the red cube")
    assert (clip.verb, clip.noun) == ("pick", "cube")
    assert (clip.start, clip.stop) == (0.0, 3.0)
    assert clip.critical == {"pre": 0.0, "pnr": 1.5}
    assert clips[1].start == 3.1
    assert clips[1].critical["pre"] == 3.1
    assert clip.media == tmp_path / "videos" / WRIST / "chunk-000" / "file-000.mp4"
    assert {clip.video_id for clip in clips} == {"observation_images_wrist-000-000"}
    assert FILE_NAME.fullmatch(clip.video_id)
    assert source.anomalies == {}


@pytest.mark.parametrize(("at", "frame"), [(0.001, 1), (0.25, 7), (1.0, 29)])
def test_the_action_frame_lies_where_it_is_wanted(tmp_path, at, frame):
    clip = read(Miniature().write(tmp_path), at=at)[0]
    assert clip.critical["pnr"] == pytest.approx(frame / FPS)


@pytest.mark.parametrize("at", [0, -0.5, 1.01, math.nan, math.inf])
def test_it_lies_within_the_episode(tmp_path, at):
    with pytest.raises(UserError, match="above 0, the first frame, and at most 1") as error:
        read(Miniature().write(tmp_path), at=at)
    one_line(error)


@pytest.mark.parametrize("at", [0.01, 0.5, 1.0])
def test_clips_of_a_shared_file_never_leave_their_episode(tmp_path, at):
    lengths = (30, 2, 25, 3)
    tasks = [[f"Lift the cup number {k}"] for k in range(4)]
    folder = Miniature(lengths=lengths, tasks=tasks).write(tmp_path)
    video = folder / "videos" / WRIST / "chunk-000" / "file-000.mp4"
    video.parent.mkdir(parents=True)
    make_video(video, sum(lengths), FPS)
    clips = read(folder, at=at)
    chosen = choose_moments(clips, SelectionConfig())
    begin = 0
    for clip, length in zip(clips, lengths, strict=True):
        moments = chosen[clip.clip_id]
        assert not isinstance(moments, str)
        times = [*moments.before, *moments.during, clip.start, clip.stop]
        frames = dict(read_frames(clip.media, times, clip.fps))
        seen = [frames[k] for k in range(len(times))]
        numbers = [number_of(f) for f in seen if not isinstance(f, UnreadableMedia)]
        assert numbers[0] == begin
        assert begin < numbers[1] < begin + length
        assert numbers[2:] == [begin, begin + length - 1]
        begin += length


def test_each_video_has_a_name_of_its_own(tmp_path):
    rows = (made := Miniature(files=(0, 1, 0))).rows()
    rows[2][f"videos/{WRIST}/chunk_index"] = 1
    clips = read(made.write(tmp_path, rows))
    assert len({clip.video_id for clip in clips}) == len({clip.media for clip in clips}) == 3
    assert clips[2].media == tmp_path / "videos" / WRIST / "chunk-001" / "file-000.mp4"


def test_episodes_of_several_tables_are_read_in_order(tmp_path):
    folder = (made := Miniature()).write(tmp_path)
    more = [{**row, "episode_index": row["episode_index"] + 3} for row in made.rows()]
    pq.write_table(pa.Table.from_pylist(more), folder / EPISODES.replace("file-000", "file-001"))
    assert [clip.clip_id[-1] for clip in read(folder)] == list("012345")


# Cameras


@pytest.mark.parametrize(
    ("cameras", "chosen"),
    [
        ([FRONT], FRONT),
        ([FRONT, WRIST], WRIST),
        (["observation.images.overhead_rgb", "observation.images.head_rgb"], None),
        (["observation.images.cam_high", "observation.images.robot0_eye_in_hand"], None),
        (["top", "egocentric_view"], "egocentric_view"),
        (["observation.image", "observation.images.wristcam"], "observation.images.wristcam"),
    ],
)
def test_the_camera_is_chosen_by_its_name(tmp_path, cameras, chosen):
    folder = Miniature(cameras=cameras).write(tmp_path)
    assert (chosen or cameras[1]) in str(read(folder)[0].media)


@pytest.mark.parametrize(
    "cameras",
    [
        [FRONT, "observation.images.top"],
        ["observation.images.cam_left_wrist", "observation.images.cam_right_wrist"],
    ],
)
def test_where_several_may_be_meant_they_are_named(tmp_path, cameras):
    folder = Miniature(cameras=cameras).write(tmp_path)
    with pytest.raises(UserError, match="several cameras") as error:
        read(folder)
    assert "--camera NAME" in one_line(error)
    assert all(name in str(error.value) for name in cameras)
    for told in (cameras[1], cameras[1].rpartition(".")[2]):
        assert cameras[1] in str(read(folder, camera=told)[0].media)
    with pytest.raises(UserError, match="no camera left; tell one of"):
        read(folder, camera="left")


def test_depth_maps_are_no_cameras(tmp_path):
    features = {WRIST: camera(), "observation.images.wrist_depth": camera(is_depth_map=True)}
    folder = Miniature(info={"features": features}).write(tmp_path)
    assert WRIST in str(read(folder)[0].media)
    with pytest.raises(UserError, match="no camera wrist_depth"):
        read(folder, camera="wrist_depth")


# Tasks and subtasks


def test_each_run_of_a_subtask_is_a_clip(tmp_path):
    words = ["Approach the apple", "Grasp the apple", "Release the apple"]
    labels = [[0] * 4 + [1] * 6 + [0] * 10, [None] * 2 + [2] * 8, [-1] * 5]
    made = Miniature((20, 10, 5), labels={"subtask_index": labels}, subtasks=words)
    source = LerobotSource(made.write(tmp_path))
    clips = list(source.clips())
    assert [(clip.clip_id, clip.narration, clip.flaw) for clip in clips] == [
        ("episode_000000_0", words[0], None),
        ("episode_000000_1", words[1], None),
        ("episode_000000_2", words[0], None),
        ("episode_000001", words[2], None),
        ("episode_000002", "Close the drawer", None),  # no subtask at all: the task
    ]
    bounds = [(clip.start, clip.stop) for clip in clips]
    told = [(0, 0.3), (0.4, 0.9), (1, 1.9), (2.2, 2.9), (3, 3.4)]
    assert bounds == [pytest.approx(ends) for ends in told]
    assert [clip.critical["pnr"] for clip in clips[:2]] == pytest.approx([0.2, 0.6])
    assert source.anomalies == {"some frames have no subtask": 2}


def test_flaws_of_subtasks_are_told(tmp_path):
    labels = [[0] * 5 + [7] * 5, [0] * 9 + [1]]
    tasks = [["Stack cups"], ["Stack cups"]]
    made = Miniature((10, 10), tasks, labels={"subtask_index": labels}, subtasks=["Take", "Put"])
    clips = read(made.write(tmp_path))
    assert [clip.flaw for clip in clips] == [None, "no task in words", None, "too short"]
    (tmp_path / DATA).write_bytes(b"PAR1")
    clips = read(tmp_path)
    assert [(clip.clip_id, clip.flaw) for clip in clips] == [
        ("episode_000000", "data file cannot be read"),
        ("episode_000001", "data file cannot be read"),
    ]


def test_frames_beyond_the_video_are_a_flaw(tmp_path):
    made = Miniature((10,), [["x"]], labels={"subtask_index": [[0] * 10]}, subtasks=["Take it"])
    rows = made.rows()
    rows[0][f"videos/{WRIST}/to_timestamp"] = 0.8
    source = LerobotSource(made.write(tmp_path, rows))
    assert [clip.flaw for clip in source.clips()] == ["frames outside the episode's video"]
    assert source.anomalies == {"length disagrees with its timestamps": 1}


def test_of_several_tasks_each_has_its_frames(tmp_path):
    """`tasks` lists them in no order; the frames know which is when."""
    tasks = [["open the box", "close the box"], ["wave"]]
    made = Miniature((10, 10), tasks, labels={"task_index": [[1] * 5 + [0] * 5, [2] * 10]})
    clips = read(made.write(tmp_path))
    assert [(clip.narration, clip.noun) for clip in clips] == [
        ("open the box", "box"),
        ("close the box", "box"),
        ("wave", ""),
    ]
    (tmp_path / "meta" / "tasks.parquet").unlink()
    with pytest.raises(UserError, match="cannot be read as Parquet"):
        read(tmp_path)


def test_words_without_a_name_for_their_column_are_read(tmp_path):
    tasks = [["open the box", "close the box"]]
    folder = Miniature((10,), tasks, labels={"task_index": [[0] * 10]}).write(tmp_path)
    path = folder / "meta" / "tasks.parquet"
    table = pq.read_table(path).rename_columns(["task_index", "__index_level_0__"])
    pq.write_table(table, path)
    assert [clip.narration for clip in read(folder)] == ["close the box"]


# Splits


@pytest.mark.parametrize(
    ("splits", "held"),
    [
        ({"train": "0:20"}, [18, 19]),
        ({}, [18, 19]),
        (None, [18, 19]),
        ({"train": "0:15", "val": "15:20"}, range(15, 20)),
        ({"train": "0:19", "test": "19:20"}, [19]),
        ({"train": "2:20"}, [0, 1]),
        ({"train": "0:15"}, range(15, 20)),
        ({"train": "0:20", "validation": "3:5"}, [3, 4]),
        ({"train": 20, "val": "many"}, [18, 19]),
    ],
)
def test_splits(tmp_path, splits, held):
    made = Miniature([5] * 20, [["Stack cups"]] * 20, info={"splits": splits})
    clips = read(made.write(tmp_path))
    assert [k for k, clip in enumerate(clips) if clip.split == "validation"] == list(held)


@pytest.mark.parametrize(("episodes", "held"), [(1, 0), (2, 1), (9, 1), (10, 1), (100, 10)])
def test_a_tenth_is_held_out(tmp_path, episodes, held):
    made = Miniature([5] * episodes, [["Stack cups"]] * episodes)
    assert [c.split for c in read(made.write(tmp_path))].count("validation") == held


# Bad input


def test_another_folder(tmp_path):
    with pytest.raises(UserError, match=r"no meta/info\.json here") as error:
        read(tmp_path / "nowhere")
    one_line(error)
    (Miniature().write(tmp_path) / EPISODES).unlink()
    with pytest.raises(UserError, match=r"no meta/episodes/.*parquet here") as error:
        read(tmp_path)
    one_line(error)


@pytest.mark.parametrize("version", ["v2.0", "v2.1"])
def test_older_versions_are_converted_first(tmp_path, version):
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta" / "info.json").write_text(json.dumps({"codebase_version": version}))
    (tmp_path / "meta" / "episodes.jsonl").touch()
    with pytest.raises(UserError, match=f"LeRobot {version}, v3.0 is read") as error:
        read(tmp_path)
    assert "convert_dataset_v21_to_v30" in one_line(error)


@pytest.mark.parametrize(
    ("info", "told"),
    [
        ({"codebase_version": "v4.0"}, "LeRobot v4.0; v3.0 is read"),
        ({"codebase_version": None}, "LeRobot of no version"),
        ({"storage_format": "lance"}, "LanceDB"),
        ({"features": {}}, "no camera in the features"),
        ({"features": {WRIST: camera("image")}}, "convert_image_to_video"),
        ({"fps": 0}, "no fps"),
        ({"fps": "30"}, "no fps"),
        ({"video_path": None}, "video_path cannot be read"),
        ({"video_path": "{video_key.__class__}.mp4"}, "video_path cannot be read"),
        ({"video_path": "{chunk_index:0999999999d}.mp4"}, "video_path cannot be read"),
        ({"video_path": "../{video_key}/{file_index}.mp4"}, "leads out of the folder"),
        ({"video_path": "/etc/{video_key}"}, "leads out of the folder"),
        ({"data_path": "c:\\{file_index}"}, "leads out of the folder"),
        ({"features": {"..": camera()}}, "leads out of the folder"),
        ({"features": {"x" * 300: camera()}}, "leads out of the folder"),
        ({"features": {"front": camera()}}, "no column videos/front/chunk_index"),
    ],
)
def test_what_cannot_be_is_told_in_a_line(tmp_path, info, told):
    with pytest.raises(UserError, match=told) as error:
        read(Miniature(info=info).write(tmp_path))
    one_line(error)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no parquet", b"[]"])
@pytest.mark.parametrize("name", ["meta/info.json", EPISODES])
def test_files_that_are_none(tmp_path, name, content):
    (Miniature().write(tmp_path) / name).write_bytes(content)
    with pytest.raises(UserError, match=Path(name).name) as error:
        read(tmp_path)
    one_line(error)


@pytest.mark.parametrize(
    ("column", "value", "flaw"),
    [
        ("episode_index", None, "episode_index cannot be read"),
        ("episode_index", -1, "episode_index cannot be read"),
        ("tasks", [], "no task in words"),
        ("tasks", None, "no task in words"),
        ("tasks", ["  "], "no task in words"),
        ("tasks", ["#O waves"], "another person acts"),
        (f"videos/{WRIST}/chunk_index", None, "no video file told"),
        (f"videos/{WRIST}/file_index", -3, "no video file told"),
        (f"videos/{WRIST}/file_index", 10**9, "no video file told"),
        (f"videos/{WRIST}/from_timestamp", None, "timestamps cannot be read"),
        (f"videos/{WRIST}/from_timestamp", -1.0, "negative time"),
        (f"videos/{WRIST}/to_timestamp", math.nan, "timestamps cannot be read"),
        (f"videos/{WRIST}/to_timestamp", math.inf, "timestamps cannot be read"),
        (f"videos/{WRIST}/to_timestamp", 1e300, "timestamps cannot be read"),
        (f"videos/{WRIST}/to_timestamp", 3.0, "stops before it starts"),
        (f"videos/{WRIST}/to_timestamp", 3.1, "too short"),
        (f"videos/{WRIST}/to_timestamp", 3.02, "too short"),
    ],
)
def test_flaws_are_told(tmp_path, column, value, flaw):
    rows = (made := Miniature()).rows()
    rows[1][column] = value
    clips = read(made.write(tmp_path, rows))
    assert [clip.flaw for clip in clips] == [None, flaw, None]
    assert clips[1].clip_id == ("row_000001" if "episode_index" in flaw else "episode_000001")


def test_an_episode_told_twice_is_told_so(tmp_path):
    made = Miniature()
    rows = made.rows()
    clips = read(made.write(tmp_path, [rows[0], rows[0]]))
    assert [(clip.clip_id, clip.flaw) for clip in clips] == [
        ("episode_000000", None),
        ("episode_000000#2", "id given twice"),
    ]


def test_numbers_that_pandas_made_floats_are_read(tmp_path):
    rows = (made := Miniature()).rows()
    for row in rows:
        row[f"videos/{WRIST}/file_index"] = 0.0
        row["episode_index"] = float(row["episode_index"])
    assert [clip.clip_id for clip in read(made.write(tmp_path, rows))][2] == "episode_000002"


ODD: list[Any] = [
    None, True, "", "x", "0:9", -1, 0, 10**30, 1e308, math.nan, [], {}, [[]], {"a": {}},
]  # fmt: skip


def survives(folder: Path, episodes: int) -> bool:
    """Whether it is read; else a line says why not."""
    try:
        clips = read(folder)
    except UserError as error:
        one_line(error)
        return False
    assert len({clip.clip_id for clip in clips}) == len(clips) == episodes
    for clip in clips:
        assert clip.split in ("train", "validation")
        assert FILE_NAME.fullmatch(clip.video_id)
        if clip.flaw is None:
            assert 0 <= clip.start == clip.critical["pre"] < clip.critical["pnr"] <= clip.stop
            assert folder in clip.media.parents
    return True


def test_whatever_info_holds_there_is_no_traceback(tmp_path):
    folder = Miniature().write(tmp_path)
    info = json.loads((folder / "meta" / "info.json").read_text())
    random.seed(4)
    read_all = 0
    for _ in range(300):
        changed = json.loads(json.dumps(info))
        place, key = changed, random.choice(list(changed))
        while isinstance(place[key], dict) and place[key] and random.random() < 0.7:
            place, key = place[key], random.choice(list(place[key]))
        place[key] = random.choice(ODD)
        (folder / "meta" / "info.json").write_text(json.dumps(changed))
        read_all += survives(folder, 3)
    assert 50 < read_all < 250


COLUMNS: list[pa.Array] = [
    pa.nulls(3), pa.array([True, False, None]), pa.array(["0", "", None]),
    pa.array([math.nan, math.inf, -1.5]), pa.array([2**63 - 1, -1, 0]),
    pa.array([2**64 - 1, 5, 0], pa.uint64()), pa.array([[1], [], None]),
    pa.array([["x"], [None, "y", "z"], []]), pa.array([{"a": 1}, None, {"a": 2}]),
    pa.array([b"\xff", b"", None]), pa.array([0, 1, 2**60], pa.timestamp("ns")),
    pa.array([0.0, 1.0, 2.0], pa.float32()), pa.array([0, 1, 2], pa.duration("s")),
    pa.array(["a", "b", "a"]).dictionary_encode(), pa.array([1, 2, 3], pa.int8()),
]  # fmt: skip


def test_whatever_parquet_holds_there_is_no_traceback(tmp_path):
    subtasks = {"subtask_index": [[0] * n for n in (30, 20, 25)]}
    made = Miniature(subtasks=["Take it"], labels=subtasks)
    plain = Miniature().write(tmp_path / "plain")
    labelled = made.write(tmp_path / "labelled")
    episodes = pq.read_table(plain / EPISODES)
    random.seed(5)
    read_all = 0
    for _ in range(300):
        table = episodes
        for name in random.sample(table.column_names, random.randint(1, 3)):
            place = table.column_names.index(name)
            if random.random() < 0.1:
                table = table.remove_column(place)
            else:
                table = table.set_column(place, name, random.choice(COLUMNS))
        folder = random.choice([plain, labelled])
        pq.write_table(table, folder / EPISODES)
        read_all += survives(folder, 3)
    assert 100 < read_all < 300


def test_whatever_the_data_hold_there_is_no_traceback(tmp_path):
    labels = {"subtask_index": [[0, 0, 0]]}
    folder = Miniature((3,), [["x"]], subtasks=["Take it"], labels=labels).write(tmp_path)
    data = pq.read_table(folder / DATA)
    for name in ("episode_index", "frame_index", "subtask_index"):
        for column in COLUMNS:
            place = data.column_names.index(name)
            pq.write_table(data.set_column(place, name, column), folder / DATA)
            clips = read(folder)
            assert clips
            assert all(clip.flaw or 0 <= clip.start < clip.stop <= 0.2 for clip in clips)
