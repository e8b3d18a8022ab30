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
from egoframe.evaluation.published import NETWORKS, open_network


def test_a_given_file_fills_the_network(squeezenet):
    network, sha256 = open_network("lpips-squeeze", squeezenet)
    assert sha256 == hashlib.sha256(squeezenet.read_bytes()).hexdigest()
    assert not network.training
    one, other = torch.rand(2, 2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    apart = network(one, other)
    assert (apart > 0).all()
    assert (network(one, one) == 0).all()
    together = network(torch.cat((one, other)), torch.cat((other, one)))
    torch.testing.assert_close(together, torch.cat((apart, apart)))


def test_a_file_is_fetched_once_and_checked(squeezenet, tmp_path, monkeypatch):
    monkeypatch.setenv("EGOFRAME_HOME", str(tmp_path / "home"))
    digest = hashlib.sha256(squeezenet.read_bytes()).hexdigest()
    good, bad = f"net-{digest[:8]}.pth", "net-00000000.pth"
    for name in (good, bad):
        (tmp_path / name).write_bytes(squeezenet.read_bytes())
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        place = f"http://127.0.0.1:{server.server_port}/"
        for name in (bad, "absent-00000000.pth", good):
            told = replace(NETWORKS["lpips-squeeze"], file=name, folder=place)
            monkeypatch.setitem(NETWORKS, "lpips-squeeze", told)
            if name == good:
                open_network("lpips-squeeze")
            else:
                with pytest.raises(UserError, match=f"{name}: cannot be fetched .* or give its"):
                    open_network("lpips-squeeze")
        server.shutdown()
    assert open_network("lpips-squeeze")[1] == digest  # the server is gone
    assert [p.name for p in (tmp_path / "home/metrics").iterdir()] == [good]


def test_what_is_no_such_network_is_said(squeezenet, tmp_path, monkeypatch):
    monkeypatch.setenv("EGOFRAME_HOME", str(tmp_path / "home"))
    with pytest.raises(UserError, match=r"net.pth: does not fit lpips-alex .*features.0.weight is"):
        open_network("lpips-alex", squeezenet)
    with pytest.raises(UserError, match=r"nowhere\.pth: no such file"):
        open_network("lpips-alex", tmp_path / "nowhere.pth")
    with pytest.raises(UserError, match=r"egovlp.pth: not there; fetch .* by hand"):
        open_network("egovlp-ego4d")
    (tmp_path / "half.pth").write_bytes(squeezenet.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"half\.pth: damaged"):
        open_network("lpips-squeeze", tmp_path / "half.pth")


def test_every_name_tells_its_hash_or_where_to_get_it():
    for told in NETWORKS.values():
        if told.folder is None:
            assert told.by_hand
        else:
            int(Path(told.file).stem[-published.HASHED :], 16)
