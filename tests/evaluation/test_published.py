"""Published weights: given, fetched, damaged, of another network."""

import hashlib
import http.server
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from egoframe.errors import UserError
from egoframe.evaluation import published
from egoframe.evaluation.backbones.lpips import Lpips
from egoframe.evaluation.published import NETWORKS, open_extractor


@pytest.fixture
def file(tmp_path) -> Path:
    """As torchvision publishes SqueezeNet: the classifier too."""
    torch.manual_seed(0)
    state = {f"features.{k}": v for k, v in Lpips("squeeze").features.state_dict().items()}
    torch.save(state | {"classifier.1.weight": torch.zeros(9, 512, 1, 1)}, tmp_path / "net.pth")
    return tmp_path / "net.pth"


def test_a_given_file_fills_the_network(file):
    found = open_extractor("squeeze", file)
    assert found.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert not found.network.training
    one, other = torch.rand(2, 2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    apart = found.network(one, other)
    assert (apart > 0).all()
    assert (found.network(one, one) == 0).all()
    together = found.network(torch.cat((one, other)), torch.cat((other, one)))
    torch.testing.assert_close(together, torch.cat((apart, apart)))


def test_a_file_is_fetched_once_and_checked(file, tmp_path, monkeypatch):
    monkeypatch.setenv("EGOFRAME_HOME", str(tmp_path / "home"))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    good, bad = f"net-{digest[:8]}.pth", "net-00000000.pth"
    for name in (good, bad):
        (tmp_path / name).write_bytes(file.read_bytes())
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        place = f"http://127.0.0.1:{server.server_port}/"
        for name in (bad, "absent-00000000.pth", good):
            told = replace(NETWORKS["squeeze"], file=name, folder=place)
            monkeypatch.setitem(NETWORKS, "squeeze", told)
            if name == good:
                open_extractor("squeeze")
            else:
                with pytest.raises(UserError, match=f"{name}: cannot be fetched .* or give its"):
                    open_extractor("squeeze")
        server.shutdown()
    assert open_extractor("squeeze").sha256 == digest  # the server is gone
    assert [p.name for p in (tmp_path / "home/metrics").iterdir()] == [good]


def test_what_is_no_such_network_is_said(file, tmp_path, monkeypatch):
    monkeypatch.setenv("EGOFRAME_HOME", str(tmp_path / "home"))
    with pytest.raises(UserError, match=r"net.pth: does not fit alex .*features.0.weight is"):
        open_extractor("alex", file)
    with pytest.raises(UserError, match=r"nowhere\.pth: no such file"):
        open_extractor("alex", tmp_path / "nowhere.pth")
    with pytest.raises(UserError, match=r"egovlp.pth: not there; fetch .* by hand"):
        open_extractor("egovlp")
    (tmp_path / "half.pth").write_bytes(file.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"half\.pth: damaged"):
        open_extractor("squeeze", tmp_path / "half.pth")


def test_every_name_tells_its_hash_or_where_to_get_it():
    for told in NETWORKS.values():
        if told.folder is None:
            assert told.by_hand
        else:
            int(Path(told.file).stem[-published.HASHED :], 16)
