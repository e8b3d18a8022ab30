import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from egoframe import hub
from egoframe.errors import UserError
from tests.hub_server import COMMIT, Hub, hub_server, wait_until

WEIGHTS = bytes(range(256)) * 1000
SETTINGS = b'{"a": 1}\n'


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub_server({"owner/name": {"model.bin": WEIGHTS, "deep/config.json": SETTINGS}}) as served:
        served.visit(monkeypatch)
        monkeypatch.setattr(hub, "PAUSE", 0.0)
        yield served


def fetch(folder: Path) -> dict[str, str]:
    with hub.progress() as bar:
        return hub.fetch(hub.list_files("owner/name"), folder, bar)


def test_files_are_listed_at_one_commit(server):
    listing = hub.list_files("owner/name")

    assert (listing.repo, listing.revision) == ("owner/name", COMMIT)
    large, small = listing.files
    assert (large.path, large.size) == ("model.bin", len(WEIGHTS))
    assert large.sha256 == hashlib.sha256(WEIGHTS).hexdigest()
    assert (small.path, small.sha256) == ("deep/config.json", None)
    assert f"GET /api/models/owner/name/tree/{COMMIT}" in server.asked[-1]


def test_fetched_files_are_whole_and_their_hashes_told(server, tmp_path):
    hashes = fetch(tmp_path / "new")

    assert (tmp_path / "new/model.bin").read_bytes() == WEIGHTS
    assert (tmp_path / "new/config.json").read_bytes() == SETTINGS
    assert hashes == {
        "model.bin": hashlib.sha256(WEIGHTS).hexdigest(),
        "deep/config.json": hashlib.sha256(SETTINGS).hexdigest(),
    }


def test_nothing_is_fetched_twice(server, tmp_path):
    fetch(tmp_path)
    server.asked.clear()

    fetch(tmp_path)

    assert server.downloads() == []


def test_a_cut_connection_is_gone_on_from(server, tmp_path):
    server.cut["model.bin"] = [100_000, 50_000]

    fetch(tmp_path)

    assert (tmp_path / "model.bin").read_bytes() == WEIGHTS
    assert server.downloads()[:3] == [
        "model.bin",
        "model.bin from 100000",
        "model.bin from 150000",
    ]


def test_any_number_of_cuts_is_gone_on_from_while_something_comes(server, tmp_path):
    server.cut["model.bin"] = [10_000] * (2 * hub.TRIES)

    fetch(tmp_path)

    assert (tmp_path / "model.bin").read_bytes() == WEIGHTS


def test_a_server_without_ranges_sends_all_again(server, tmp_path):
    server.cut["model.bin"] = [100_000]
    server.ignores_ranges = True

    fetch(tmp_path)

    assert (tmp_path / "model.bin").read_bytes() == WEIGHTS


def test_a_line_that_stays_dead_ends_it_and_the_next_call_goes_on(server, tmp_path):
    server.cut["model.bin"] = [100_000] + [0] * hub.TRIES

    with pytest.raises(hub.HubError, match=r"^model\.bin stopped at .* of .*: .*closed"):
        fetch(tmp_path)
    assert (tmp_path / "model.bin").stat().st_size == 100_000
    server.asked.clear()
    fetch(tmp_path)

    assert server.downloads()[0] == "model.bin from 100000"
    assert (tmp_path / "model.bin").read_bytes() == WEIGHTS


def test_ctrl_c_keeps_what_was_fetched(server, tmp_path):
    server.stall["model.bin"] = 100_000
    code = (
        "import pathlib, signal, sys; from egoframe import hub\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # some parents ignore it
        "with hub.progress() as bar:\n"
        "    hub.fetch(hub.list_files('owner/name'), pathlib.Path(sys.argv[1]), bar)"
    )
    environment = {**os.environ, "HF_ENDPOINT": server.url, "HF_HUB_OFFLINE": "0"}
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], env=environment, stderr=subprocess.PIPE
    ) as child:
        assert server.stalled.wait(20)
        place = tmp_path / "model.bin"
        wait_until(lambda: place.exists() and place.stat().st_size == 100_000, child)
        child.send_signal(signal.SIGINT)
        _, told = child.communicate(timeout=20)
    assert b"KeyboardInterrupt" in told
    assert (tmp_path / "model.bin").stat().st_size == 100_000
    server.asked.clear()

    fetch(tmp_path)

    assert server.downloads()[0] == "model.bin from 100000"
    assert (tmp_path / "model.bin").read_bytes() == WEIGHTS


@pytest.mark.parametrize("path", ["model.bin", "deep/config.json"])
def test_a_file_that_is_not_the_hubs_is_removed_and_fetched_again(server, tmp_path, path):
    server.corrupt.add(path)
    name = Path(path).name

    with pytest.raises(
        UserError, match=f"{name}: its SHA-256 is not what owner/name tells"
    ) as told:
        fetch(tmp_path)
    assert len(str(told.value).splitlines()) == 1
    assert not (tmp_path / name).exists()
    server.corrupt.clear()
    server.asked.clear()
    fetch(tmp_path)

    assert path in server.downloads()
    assert (tmp_path / name).read_bytes() == server.repos["owner/name"][path]


def test_a_file_that_is_too_long_is_fetched_anew(server, tmp_path):
    (tmp_path / "model.bin").write_bytes(WEIGHTS + b"more")

    fetch(tmp_path)

    assert (tmp_path / "model.bin").read_bytes() == WEIGHTS


def test_what_is_still_to_fetch(server, tmp_path):
    listing = hub.list_files("owner/name")
    (tmp_path / "model.bin").write_bytes(WEIGHTS[:1000])

    assert hub.still_to_fetch(listing, tmp_path) == len(WEIGHTS) - 1000 + len(SETTINGS)


@pytest.mark.parametrize(
    ("status", "told"), [(401, "status 401 .*hf auth login"), (403, "access"), (404, "status 404")]
)
def test_a_closed_repository_is_told(server, status, told):
    server.refuse["/api/models/owner/name"] = status

    with pytest.raises(hub.HubError, match=told):
        hub.list_files("owner/name")


def test_a_closed_file_is_told_without_the_signature_of_its_address(server, tmp_path):
    server.refuse["/cdn/"] = 403

    with pytest.raises(hub.HubError, match="status 403") as told:
        fetch(tmp_path)
    assert "secret" not in str(told.value)


def test_offline_is_told_without_a_request(server, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    with pytest.raises(hub.HubError, match="HF_HUB_OFFLINE is set"):
        hub.list_files("owner/name")
    assert server.asked == []


def test_no_hub_is_told(monkeypatch):
    with hub_server({}) as gone:
        pass
    gone.visit(monkeypatch)

    with pytest.raises(hub.HubError, match="refused"):
        hub.list_files("owner/name")


def test_something_else_than_a_hub_is_told(server):
    server.garbles = True

    with pytest.raises(hub.HubError):
        hub.list_files("owner/name")


def test_a_folder_that_cannot_be_written(server, tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(UserError, match="file/x: cannot be written"):
        fetch(tmp_path / "file/x")
