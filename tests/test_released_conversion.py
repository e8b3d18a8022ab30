"""A released model, from the hub to a pipeline: all but its size is real."""

import json
import shutil

import pytest
from PIL import Image

from egoframe.models import load
from egoframe.released import CLIP, EPIC, RELEASES, VLLM
from tests.cli.run import run
from tests.convert import lego_release, llava_release
from tests.hub_server import hub_server
from tests.released_files import contents, sha256


@pytest.mark.slow
def test_the_real_converters_make_a_model_that_draws(tmp_path, monkeypatch):
    state = lego_release.mini_state(embeds=llava_release.WIDTH)
    checkpoint = lego_release.write_checkpoint(tmp_path / "mini.ckpt", state)
    archive = llava_release.packed(llava_release.write_release(tmp_path / VLLM), tmp_path / VLLM)
    clip = llava_release.write_clip(tmp_path / "clip")
    (tmp_path / "text").mkdir()
    text = lego_release.write_clip(tmp_path / "text")
    told = [json.loads((folder / "config.json").read_text()) for folder in (text, clip)]
    shutil.copytree(text, clip, dirs_exist_ok=True)
    (clip / "config.json").write_text(json.dumps(told[0] | told[1]))
    files = {RELEASES["lego-epic"].checkpoint: checkpoint, f"vllm/{VLLM}.zip": archive}
    repos = {EPIC: {k: path.read_bytes() for k, path in files.items()}, CLIP: contents(clip)}
    monkeypatch.setenv("EGOFRAME_HOME", str(tmp_path / "home"))

    with hub_server(repos) as server:
        server.visit(monkeypatch)
        pipeline = load("lego-epic")

    assert pipeline.enhancer.config.text_config.hidden_size == llava_release.WIDTH
    assert pipeline.config.articles is False
    record = json.loads((tmp_path / "home/models/lego-epic/source.json").read_text())
    assert record["enhancer"]["sha256"] == {f"vllm/{VLLM}.zip": sha256(archive.read_bytes())}

    Image.new("RGB", (320, 240), "brown").save(tmp_path / "photo.png")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # all is there
    options = ("--model", "lego-epic", "--steps", "1", "--out", tmp_path / "out")
    done = run("generate", tmp_path / "photo.png", "open the drawer", *options)
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "out" / "photo-open-the-drawer.png") as picture:
        assert picture.width / picture.height == pytest.approx(4 / 3, rel=0.02)
