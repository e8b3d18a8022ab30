"""Folders that are damaged, or that bring code of their own."""

import builtins
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub.errors import HTTPError
from transformers import AutoModelForImageTextToText, AutoProcessor

from egoframe.enhancer.opening import open_model, open_processor
from egoframe.errors import UserError
from tests.enhancer.families import FAMILIES

KINDS = ("AutoConfig", "AutoModelForImageTextToText", "AutoProcessor", "AutoTokenizer")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    FAMILIES["llava"]().save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return shutil.copytree(saved, tmp_path / "model")


def change(file: Path, **settings: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))


def refused(opens: Any, folder: Path) -> str:
    with pytest.raises(UserError, match=f"^{folder}: not a vision-language model") as told:
        opens(folder)
    assert "\n" not in str(told.value)
    return str(told.value)


def test_the_code_in_a_folder_is_neither_run_nor_asked_about(folder, monkeypatch):
    asked: list[str] = []
    monkeypatch.setattr(builtins, "input", lambda prompt: asked.append(prompt) or "y")
    (folder / "own.py").write_text(f"open({str(folder / 'ran')!r}, 'w')\nclass Own: pass\n")
    auto_map = dict.fromkeys(KINDS, "own.Own")
    change(folder / "config.json", auto_map=auto_map)
    change(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["own.Own", None]})
    open_model(folder)  # transformers has code for it
    open_processor(folder)
    change(folder / "config.json", model_type="own")
    change(folder / "processor_config.json", processor_class="Own", auto_map=auto_map)
    for opens in (open_model, open_processor):
        assert "needs code of its own, which is never run" in refused(opens, folder)
    assert not asked
    assert not (folder / "ran").exists()


@pytest.mark.parametrize("name", [["LlavaProcessor"], "AutoModel", "utils", "Unheard", 3])
def test_an_odd_processor_class_is_told_in_one_line(folder, name):
    change(folder / "processor_config.json", processor_class=name)
    refused(open_processor, folder)


@pytest.mark.parametrize(
    ("file", "content"),
    [("tokenizer.json", "{}"), ("tokenizer.json", "[1]"), ("tokenizer_config.json", "[1]")],
)
def test_a_damaged_tokenizer_is_told_in_one_line(folder, file, content):
    (folder / file).write_text(content)
    refused(open_processor, folder)


def test_an_unknown_kind_of_tokenizer_is_told_in_one_line(folder):
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    change(folder / "tokenizer.json", model=model | {"type": "Odd"})
    refused(open_processor, folder)


def test_settings_of_the_wrong_type_are_told_in_one_line(folder):
    told = json.loads((folder / "config.json").read_text())["text_config"]
    change(folder / "config.json", text_config=told | {"hidden_size": "many"})
    assert "'hidden_size'" in refused(open_model, folder)


@pytest.mark.parametrize(
    ("opens", "kind"), [(open_model, AutoModelForImageTextToText), (open_processor, AutoProcessor)]
)
def test_a_broken_connection_is_told_in_one_line(opens, kind, monkeypatch):
    def broken(*_: object, **__: object) -> None:
        raise HTTPError("peer closed connection\nwithout sending all of it")

    monkeypatch.setattr(kind, "from_pretrained", broken)
    monkeypatch.setattr("egoframe.enhancer.opening._processor_class", lambda _: None)
    with pytest.raises(UserError, match=r"^a/b: cannot be had from the hub \(peer closed .*\)$"):
        opens("a/b")
