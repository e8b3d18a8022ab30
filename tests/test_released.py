import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from egoframe import hub, released
from egoframe.errors import UserError
from egoframe.released import CLIP, EGO4D, EPIC, VLLM, pick, prepared
from tests.hub_server import COMMIT, Hub, hub_server, wait_until
from tests.released_files import (
    BIG,
    CHECKPOINT,
    CLIP_FILES,
    REPOS,
    VLLM_FILES,
    Converters,
    put_by_hand,
    sha256,
)


@pytest.fixture
def converters(monkeypatch: pytest.MonkeyPatch) -> Converters:
    converters = Converters()
    converters.stand_in(monkeypatch)
    return converters


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EGOFRAME_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub_server({repo: dict(files) for repo, files in REPOS.items()}) as served:
        served.visit(monkeypatch)
        monkeypatch.setattr(hub, "PAUSE", 0.0)
        yield served


@pytest.fixture
def offline(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def test_a_released_model_is_fetched_and_converted(server, home, converters):
    folder = prepared("lego-ego4d")

    assert folder == home / "models/lego-ego4d"
    assert (folder / "model_index.json").exists()
    clip = {name: name.encode() for name in CLIP_FILES}
    vllm = {name: name.encode() + BIG for name in VLLM_FILES}
    assert converters.calls == [
        ("llava", (vllm, clip)),
        ("lego", ({CHECKPOINT: b"ckpt" + BIG}, clip, True)),
    ]
    assert sorted(server.downloads()) == sorted(
        [f"diffusion/{CHECKPOINT}", *(f"vllm/{VLLM}/{name}" for name in VLLM_FILES), *CLIP_FILES]
    )


def test_a_model_records_what_it_was_made_from(server, home, converters):
    record = json.loads((prepared("lego-ego4d") / "source.json").read_text())

    def of_hub(repo: str, files: dict[str, bytes]) -> dict[str, object]:
        hashes = {path: sha256(content) for path, content in files.items()}
        return {"repo": repo, "revision": COMMIT, "sha256": hashes}

    assert record == {
        "checkpoint": of_hub(EGO4D, {f"diffusion/{CHECKPOINT}": b"ckpt" + BIG}),
        "enhancer": of_hub(EGO4D, {f"vllm/{VLLM}/{n}": n.encode() + BIG for n in VLLM_FILES}),
        "clip": of_hub(CLIP, {name: name.encode() for name in CLIP_FILES}),
    }


def test_nothing_but_the_model_is_left(server, home, converters):
    prepared("lego-ego4d")

    left = {p.relative_to(home).as_posix() for p in home.rglob("*") if p.is_file()}
    made = {f"models/lego-ego4d/{name}" for name in ("model_index.json", "source.json")}
    assert left == {*made, "models/.lego-ego4d.lock"}
    assert {p.name for p in (home / "models").iterdir()} == {"lego-ego4d", ".lego-ego4d.lock"}


def test_a_model_is_prepared_once(server, home, converters):
    first = prepared("lego-ego4d")
    server.asked.clear()
    converters.calls.clear()

    assert prepared("lego-ego4d") == first
    assert server.asked == []
    assert converters.calls == []


@pytest.mark.parametrize(
    ("name", "repo", "start", "articles"),
    [
        ("lego-ego4d", EGO4D, b"ckpt", True),
        ("lego-ego4d-scaleup", EGO4D, b"scaled", True),
        ("lego-epic", EPIC, b"epic", False),
        ("lego-epic-scaleup", EPIC, b"more", False),
    ],
)
def test_each_name_has_its_own_checkpoint(server, home, converters, name, repo, start, articles):
    folder = prepared(name)

    checkpoint, _, told = converters.calls[1][1]
    assert next(iter(checkpoint.values())) == start + BIG
    assert told is articles
    assert json.loads((folder / "source.json").read_text())["checkpoint"]["repo"] == repo


def test_a_zip_in_another_case_is_found(server, home, converters):
    prepared("lego-epic")

    name = "LLaVA-Llama-2-13B-chat-forecasting-finetune.zip"
    assert converters.calls[0][1][0] == {name: b"zip" + BIG}


def test_files_put_there_by_hand_are_taken(server, home, converters, offline):
    folder = put_by_hand(home, "lego-ego4d", "checkpoint", "enhancer", "clip")

    made = prepared("lego-ego4d")

    assert server.asked == []
    assert converters.calls[1][1][0] == {CHECKPOINT: b"mine"}
    assert json.loads((made / "source.json").read_text())["checkpoint"] == {
        "repo": None,
        "revision": None,
        "sha256": {CHECKPOINT: sha256(b"mine")},
    }
    assert (folder / CHECKPOINT).read_bytes() == b"mine"


def test_a_link_to_a_folder_is_as_good_as_the_folder(server, home, converters, offline, tmp_path):
    folder = put_by_hand(home, "lego-ego4d", "checkpoint", "enhancer", "clip")
    shutil.move(folder / VLLM, tmp_path / VLLM)
    (folder / VLLM).symlink_to(tmp_path / VLLM)

    prepared("lego-ego4d")

    assert converters.calls[0][1][0]["weights.bin"] == b"mine too"


def test_only_what_is_missing_is_fetched(server, home, converters):
    put_by_hand(home, "lego-ego4d", "enhancer", "clip")

    prepared("lego-ego4d")

    assert server.downloads() == [f"diffusion/{CHECKPOINT}"]
    assert converters.calls[0][1][0]["weights.bin"] == b"mine too"


@pytest.mark.usefixtures("offline")
def test_offline_says_what_to_fetch_and_where_to_put_it(server, home):
    with pytest.raises(UserError) as told:
        prepared("lego-ego4d")

    line = str(told.value)
    assert len(line.splitlines()) == 1
    for part in ("lego-ego4d: ", "HF_HUB_OFFLINE", CHECKPOINT, EGO4D, VLLM, ".zip", CLIP,
                 "folder clip-vit-large-patch14", str(home / "downloads/lego-ego4d"),
                 "egoframe convert lego CKPT OUT"):  # fmt: skip
        assert part in line
    assert (home / "downloads/lego-ego4d").is_dir()


@pytest.mark.usefixtures("offline")
def test_what_is_there_is_not_asked_for(server, home):
    put_by_hand(home, "lego-ego4d", "checkpoint", "clip")

    with pytest.raises(UserError) as told:
        prepared("lego-ego4d")

    assert VLLM in str(told.value)
    assert CHECKPOINT not in str(told.value)
    assert CLIP not in str(told.value)


@pytest.mark.parametrize("start", ["/api/models/bolinlai", "/cdn/bolinlai"])
@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_closed_repository_says_the_same(server, home, converters, start, status):
    server.refuse[start] = status

    with pytest.raises(UserError, match=f"status {status}.* put these into .*downloads/lego-ego4d"):
        prepared("lego-ego4d")

    server.refuse.clear()
    prepared("lego-ego4d")


def test_files_that_were_moved_meanwhile_are_found(server, home, converters):
    server.refuse[f"/cdn/{EGO4D}"] = 404
    with pytest.raises(UserError, match="status 404"):
        prepared("lego-ego4d")
    server.refuse.clear()
    server.repos[EGO4D][CHECKPOINT] = server.repos[EGO4D].pop(f"diffusion/{CHECKPOINT}")

    prepared("lego-ego4d")

    assert CHECKPOINT in server.downloads()


def test_a_missing_checkpoint_lists_those_that_are_there(server, home):
    server.repos[EGO4D]["diffusion/new.ckpt"] = server.repos[EGO4D].pop(f"diffusion/{CHECKPOINT}")

    with pytest.raises(
        UserError, match=f"{EGO4D} has no {CHECKPOINT}, but diffusion/new.ckpt, dif"
    ):
        prepared("lego-ego4d")
    assert server.downloads() == []


def test_a_missing_enhancer_lists_folders_and_archives(server, home):
    del server.repos[EPIC]["LLaVA-Llama-2-13B-chat-forecasting-finetune.zip"]
    server.repos[EPIC].update({"other.zip": b"", "llava/config.json": b"{}"})

    with pytest.raises(UserError, match=f"has no {VLLM}, but llava/config.json, other.zip"):
        prepared("lego-epic")


def test_a_corrupted_download_is_told_and_fetched_again(server, home, converters):
    server.corrupt.add(f"diffusion/{CHECKPOINT}")

    with pytest.raises(UserError, match=f"{CHECKPOINT}: its SHA-256"):
        prepared("lego-ego4d")
    assert converters.calls == []
    server.corrupt.clear()

    prepared("lego-ego4d")

    assert server.downloads().count(f"diffusion/{CHECKPOINT}") == 2
    assert converters.calls[1][1][0] == {CHECKPOINT: b"ckpt" + BIG}


def test_a_cut_connection_is_gone_on_from(server, home, converters):
    server.cut[f"diffusion/{CHECKPOINT}"] = [1000] + [0] * hub.TRIES

    with pytest.raises(UserError, match=f"{CHECKPOINT} stopped at .*try again"):
        prepared("lego-ego4d")
    server.asked.clear()
    prepared("lego-ego4d")

    assert server.downloads()[0] == f"diffusion/{CHECKPOINT} from 1000"


@pytest.mark.parametrize("error", [UserError("no"), KeyboardInterrupt()])
def test_what_was_fetched_outlives_a_failed_conversion(server, home, converters, error):
    converters.fail["llava"] = error
    with pytest.raises(type(error)):
        prepared("lego-ego4d")
    server.asked.clear()

    prepared("lego-ego4d")

    assert server.asked == []


def test_a_converted_enhancer_outlives_a_failed_conversion(server, home, converters):
    converters.fail["lego"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        prepared("lego-ego4d")
    assert not (home / "models/lego-ego4d").exists()

    prepared("lego-ego4d")

    assert [kind for kind, _ in converters.calls] == ["llava", "lego", "lego"]


def test_what_a_killed_conversion_left_is_removed(server, home, converters):
    for name in (".lego-ego4d.1a2b", ".lego-ego4d.enhancer.3c4d", ".lego-ego4d-scaleup.5e6f"):
        (home / "models" / name).mkdir(parents=True)

    prepared("lego-ego4d")

    left = {p.name for p in (home / "models").iterdir()}
    assert left == {"lego-ego4d", ".lego-ego4d.lock", ".lego-ego4d-scaleup.5e6f"}


def test_an_enhancer_of_other_files_is_converted_again(server, home, converters, offline):
    folder = put_by_hand(home, "lego-ego4d", "checkpoint", "enhancer", "clip")
    converters.fail["lego"] = UserError("no")
    with pytest.raises(UserError):
        prepared("lego-ego4d")
    (folder / VLLM / "weights.bin").write_bytes(b"better")

    prepared("lego-ego4d")

    assert [kind for kind, _ in converters.calls] == ["llava", "lego", "llava", "lego"]
    assert converters.calls[2][1][0]["weights.bin"] == b"better"


def test_an_enhancer_of_unknown_files_is_converted_again(home, converters, offline):
    put_by_hand(home, "lego-ego4d", "checkpoint", "enhancer", "clip")
    (home / "models/lego-ego4d.enhancer").mkdir(parents=True)

    prepared("lego-ego4d")

    assert [kind for kind, _ in converters.calls] == ["llava", "lego"]


@pytest.mark.parametrize("lacking", [0, 1])
def test_a_full_disk_is_told_before_the_work(server, home, converters, monkeypatch, lacking):
    fetched = [f"diffusion/{CHECKPOINT}", *(f"vllm/{VLLM}/{name}" for name in VLLM_FILES)]
    read = sum(len(REPOS[EGO4D][path]) for path in fetched)
    free = 2 * read + sum(len(name) for name in CLIP_FILES) - lacking
    monkeypatch.setattr(released.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))

    if not lacking:
        prepared("lego-ego4d")
        return
    with pytest.raises(UserError, match=r"home: lego-ego4d needs 0\.0 GB .* set EGOFRAME_HOME"):
        prepared("lego-ego4d")
    assert server.downloads() == []


def test_a_converted_enhancer_needs_no_more_room(home, converters, monkeypatch, offline):
    put_by_hand(home, "lego-ego4d", "checkpoint", "enhancer", "clip")
    converters.fail["lego"] = UserError("no")
    with pytest.raises(UserError):
        prepared("lego-ego4d")
    monkeypatch.setattr(released.shutil, "disk_usage", lambda _: SimpleNamespace(free=len(b"mine")))

    prepared("lego-ego4d")


def test_a_home_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("EGOFRAME_HOME", str(tmp_path / "file"))

    with pytest.raises(UserError, match=r"file: cannot be written .* set EGOFRAME_HOME"):
        prepared("lego-ego4d")


CHILD = """
import pathlib, sys, time, types
from egoframe import released
def convert_llava(source, out, clip, tell):
    with open(sys.argv[1], "a") as log:
        log.write("converted\\n")
    while not pathlib.Path(sys.argv[2]).exists():
        time.sleep(0.01)
    out.mkdir()
def convert_lego(checkpoint, out, clip, enhancer, articles, record, tell):
    out.mkdir()
for function in (convert_llava, convert_lego):
    name = "egoframe.convert." + function.__name__.removeprefix("convert_")
    sys.modules[name] = types.ModuleType(name)
    setattr(sys.modules[name], function.__name__, function)
print(released.prepared("lego-ego4d"))
"""


def test_two_processes_prepare_a_model_once(home, tmp_path):
    put_by_hand(home, "lego-ego4d", "checkpoint", "enhancer", "clip")
    log, go = tmp_path / "log", tmp_path / "go"
    command = [sys.executable, "-c", CHILD, str(log), str(go)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}

    with subprocess.Popen(command, **pipes) as first:
        wait_until(log.exists, first)
        with subprocess.Popen(command, **pipes) as second:
            told = second.stderr.readline()
            go.touch()
            outputs = [child.communicate(timeout=30)[0].strip() for child in (first, second)]

    assert told == "lego-ego4d: another process makes it; waiting\n"
    assert outputs == [str(home / "models/lego-ego4d")] * 2
    assert log.read_text() == "converted\n"


@pytest.mark.parametrize(
    ("paths", "picked"),
    [
        ([f"{VLLM}-ckpt450/config.json"], f"{VLLM}-ckpt450/config.json"),
        ([f"a/{VLLM}/checkpoint-450/config.json"], f"a/{VLLM}/checkpoint-450/config.json"),
        ([f"{VLLM}-lastckpt.zip", f"{VLLM}-features.zip"], f"{VLLM}-lastckpt.zip"),
        ([f"{VLLM}-336/config.json"], None),
    ],
)
def test_a_step_of_the_training_may_be_named(paths, picked):
    assert pick(VLLM, paths) == ([picked] if picked else [])
