import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import torch
from huggingface_hub.errors import HTTPError
from PIL import Image
from transformers import AutoModelForImageTextToText

from egoframe import models
from egoframe.errors import UserError
from egoframe.generator.pipeline import ActionFramePipeline
from egoframe.released import RELEASES
from tests.generator.tiny import tiny_pipeline


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    tiny_pipeline().save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", list(RELEASES))
def test_a_released_model_comes_before_a_folder(name, tmp_path, monkeypatch):
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(models, "prepared", lambda name: Path("/prepared") / name)

    assert models.resolve(name) == Path("/prepared") / name


def test_a_model_that_is_not_there_lists_those_that_are():
    with pytest.raises(UserError) as told:
        models.resolve("lego")

    for name in ("kitchen", *RELEASES):
        assert name in str(told.value)


def test_a_checkpoint_says_how_it_becomes_a_model(tmp_path):
    path = tmp_path / "weights.ckpt"
    path.touch()

    with pytest.raises(UserError, match=f"convert it first, with egoframe convert lego {path} OUT"):
        models.resolve(path)


def test_the_fingerprint_is_of_weights_and_settings_alone(tmp_path):
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet/w.safetensors").write_bytes(b"weights" * 300_000)
    (tmp_path / "model_index.json").write_bytes(b"{}")
    (tmp_path / "README.md").write_bytes(b"not weights")
    expected = b"model_index.json" + b"{}" + b"unet/w.safetensors" + b"weights" * 300_000
    assert models.fingerprint(tmp_path) == hashlib.sha256(expected).hexdigest()


def test_a_released_model_is_known_by_what_it_was_made_from(tmp_path):
    """Its weights, tens of gigabytes, are not read for every picture."""
    (tmp_path / "w.safetensors").write_bytes(b"weights")
    part = {"repo": None, "revision": None, "sha256": {"w.ckpt": "0f"}}
    record = json.dumps({"checkpoint": part, "clip": part}).encode()
    (tmp_path / "source.json").write_bytes(record)
    expected = hashlib.sha256(b"source.json" + record).hexdigest()
    assert models.fingerprint(tmp_path) == expected


@pytest.mark.parametrize(
    "record", ["{}", "[1]", "no JSON", '{"sha256": 1}', '{"a": {"repo": "", "sha256": {"w": "0"}}}']
)
def test_a_file_that_is_only_named_like_a_record_is_none(record, tmp_path):
    (tmp_path / "source.json").write_text(record)
    told = set()
    for weights in (b"one", b"another"):
        (tmp_path / "w.safetensors").write_bytes(weights)
        told.add(models.fingerprint(tmp_path))
    assert len(told) == 2


def halve(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize(
    ("file", "content", "named"),
    [
        ("text_encoder/model.safetensors", None, ""),
        ("enhancer/model.safetensors", None, "enhancer"),
        ("processor/tokenizer.json", "{}", "processor"),
        ("model_index.json", "[1]", ""),
        ("familiarity.json", "{", "familiarity.json"),
        ("familiarity.json", "{}", "familiarity.json"),
    ],
)
def test_a_damaged_part_is_told_in_one_line(saved, tmp_path, file, content, named):
    folder = shutil.copytree(saved, tmp_path / "model")
    if content is None:
        halve(folder / file)
    else:
        (folder / file).write_text(content)
    with pytest.raises(UserError) as told:
        models.load(folder, "cpu")
    assert str(told.value).startswith(f"{folder / named}: ")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("kind", [AutoModelForImageTextToText, ActionFramePipeline])
def test_a_gpu_that_is_too_small_is_not_the_files_fault(saved, monkeypatch, kind):
    """The command line tells what to do about it."""

    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(kind, "from_pretrained", full)
    with pytest.raises(torch.OutOfMemoryError):
        models.load(saved, "cpu")


def test_a_broken_connection_is_told_in_one_line(monkeypatch):
    def broken(*_: object, **__: object) -> None:
        raise HTTPError("peer closed connection\nwithout sending all of it")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", broken)
    with pytest.raises(UserError, match=r"^a/b: cannot be had from the hub \(peer closed .*\)$"):
        models.resolve("a/b")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"device": "abacus"}, "device 'abacus'"),
        ({"bits": 4}, "4 bits need bitsandbytes"),
        ({"offload": True}, "offloading takes a GPU"),
    ],
)
def test_what_cannot_be_done_here_is_told_before_a_model_is_fetched(options, told, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr(models, "resolve", lambda _: pytest.fail("fetched"))
    with pytest.raises(UserError, match=told):
        models.load("lego-ego4d", **{"device": "cpu"} | options)


def test_a_compiled_model_draws_the_same(saved):
    photo = Image.new("RGB", (64, 64), "red")
    plain, compiled = (models.load(saved, "cpu", compile=flag) for flag in (False, True))
    assert plain.unet._compiled_call_impl is None
    assert compiled.unet._compiled_call_impl is not None
    with torch.compiler.set_stance("force_eager"):  # compiling takes minutes
        drawn = [np.asarray(p(photo, "open drawer").images[0], int) for p in (plain, compiled)]
    assert np.abs(drawn[0] - drawn[1]).max() <= 1


def test_names_are_looked_up_without_torch():
    code = (
        "import sys; from egoframe.models import resolve; resolve('kitchen'); "
        "sys.exit('torch' in sys.modules or 'huggingface_hub' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
