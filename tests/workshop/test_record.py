import json
from itertools import pairwise

import pytest

from egoframe.errors import UserError
from egoframe.kitchen.family import KITCHEN
from egoframe.scenes import check, describe
from egoframe.simulator.facts import accuracy
from egoframe.simulator.record import RecordConfig, record
from egoframe.workshop.family import WORKSHOP
from tests.cli.run import refused, run

pytestmark = pytest.mark.usefixtures("renderer_available")


def lines(folder):
    return [json.loads(line) for line in (folder / "simulator.jsonl").open(encoding="utf-8")]


def test_a_recording_becomes_a_described_dataset(tmp_path):
    recording, pairs = tmp_path / "recording", tmp_path / "pairs"
    sizes = ["--workshops", "2", "--actions", "24", "--size", "64", "--frames-only"]
    done = run("workshop", "record", recording, *sizes, "--tasks", "0.5", "--json")
    assert json.loads(done.stdout)["actions"] == 48, done.stderr
    told = json.loads(run("data", "build", "epic", recording, pairs, "size=64", "--json").stdout)
    kept = sum(told["kept"].values())
    assert kept > 40
    assert told["anomalies"] == {}
    assert json.loads(run("describe", pairs, "--json").stdout) == {"described": kept}

    import datasets

    opened = datasets.load_dataset(str(pairs), cache_dir=str(tmp_path / "cache"))
    rows = [row for split in opened.values() for row in split]
    assert {row["source"] for row in rows} == {"workshop"}
    assert {row["description_source"] for row in rows} == {"workshop-teacher"}
    assert {row["pair_id"][:6] for row in rows} == {"W01_01", "W02_01"}
    facts = [f for row in rows for f in check(row["description"], json.loads(row["facts"]))]
    assert len(facts) > 5 * len(rows)
    assert accuracy(facts) == 1.0


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    config = RecordConfig(scenes=2, actions=4, size=64, frames_only=True, seed=2)
    for name in ("a", "b"):
        list(record(tmp_path / name, config, WORKSHOP, workers=1))
    files = [
        {p.relative_to(tmp_path / n): p.read_bytes() for p in (tmp_path / n).rglob("*.*")
         if p.is_file()}
        for n in ("a", "b")
    ]  # fmt: skip
    assert files[0] == files[1]
    assert all(line["scene"] == "workshop" for line in lines(tmp_path / "a"))


@pytest.mark.parametrize("family", [KITCHEN, WORKSHOP], ids=["kitchen", "workshop"])
def test_still_videos_have_a_step_before_as_input_frame(family, tmp_path):
    config = RecordConfig(scenes=3, size=64, frames_only=True, still=True, seed=1)
    list(record(tmp_path, config, family))
    videos = {}
    for line in lines(tmp_path):
        videos.setdefault(line["video_id"], []).append(line)
    assert {name[3:] for name in videos} == {"_02"}  # in datasets beside the first videos
    assert len(videos) == 3
    for steps in videos.values():
        assert steps[0]["times"]["pre"] == 0.0
        for before, now in pairwise(steps):
            assert now["times"]["pre"] == before["times"]["pnr"]
        assert [s["task"]["step"] for s in steps] == list(range(1, len(steps) + 1))
        frames = tmp_path / "rgb_frames" / steps[0]["video_id"][:3] / steps[0]["video_id"]
        assert len(list(frames.iterdir())) == len(steps) + 1
    facts = [f for line in lines(tmp_path) for f in check(describe(line), line)]
    assert accuracy(facts) == 1.0
    told = run("data", "build", "epic", tmp_path, tmp_path / "pairs", "size=64", "--json").stdout
    assert sum(json.loads(told)["kept"].values()) >= 0.9 * len(lines(tmp_path))


def test_recordings_of_before_are_gone_on_with_and_others_refused(tmp_path):
    config = RecordConfig(scenes=2, actions=1, size=64, frames_only=True)
    list(record(tmp_path, config, KITCHEN))
    old = {"kitchens": 2, "actions": 1, "seed": 0, "size": 64, "frames_only": True,
           "validation_share": 0.1}  # fmt: skip
    (tmp_path / "recording.json").write_text(json.dumps(old), encoding="utf-8")
    assert list(record(tmp_path, config, KITCHEN)) == ["P01_01", "P02_01"]
    with pytest.raises(UserError, match="other settings"):
        list(record(tmp_path, config, WORKSHOP))


def test_bad_settings_are_one_line(tmp_path):
    for bad in ("--tasks=1.5", "--tasks=nan", "--workshops=1", "--size=33"):
        assert bad.split("=")[0] in refused(run("workshop", "record", tmp_path / "r", bad))
