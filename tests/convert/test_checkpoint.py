"""Checkpoints from outside are opened as data, and folders are written whole or not at all."""

import collections
import gzip
import os
import pickle
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Optional

import pytest
import torch
from safetensors.torch import save_file

from egoframe.convert.checkpoint import new_folder, open_checkpoint, saving
from egoframe.errors import UserError

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 7703900000\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"<!DOCTYPE html><html>\x1b[31mlog in</html>", "no checkpoint"),
        (b"\xff\xd8\xff\xe0JFIF", "no checkpoint"),
        (b'{"state_dict": {}}', "no checkpoint"),
        (gzip.compress(b"weights"), "no checkpoint"),
        (b"hello", "no checkpoint"),
        (b"", "no checkpoint"),
        (POINTER, "a git-LFS pointer, not the file: fetch it with git lfs pull"),
        (b"PK\x03\x04" + bytes(100), "damaged, or no checkpoint; fetch it again"),
        (b"\x80\x02", "damaged, or no checkpoint; fetch it again"),
        (pickle.dumps({"a": 1}, 2), "damaged, or no checkpoint; fetch it again"),
        (pickle.dumps({"a": "\x1b[31m"}, 4), "damaged, or no checkpoint; fetch it again"),
    ],
    ids=["page", "picture", "JSON", "gzip", "text", "nothing", "pointer", "zip", "short", "pickle",
         "pickle of another kind"],
)  # fmt: skip
def test_what_is_no_checkpoint_is_told_in_our_words(tmp_path, content, told):
    (tmp_path / "x.ckpt").write_bytes(content)
    with pytest.raises(UserError, match=f"x.ckpt: {told}") as error:
        open_checkpoint(tmp_path / "x.ckpt")
    assert str(error.value).isprintable()
    assert "weights_only" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "told"),
    [(POINTER, "a git-LFS pointer"), (b"\x10" * 64, "damaged")],
    ids=["pointer", "damaged"],
)
def test_what_is_no_safetensors_is_told_in_our_words(tmp_path, content, told):
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(UserError, match=f"x.safetensors: {told}"):
        open_checkpoint(tmp_path / "x.safetensors")


@pytest.mark.parametrize("state", [[torch.zeros(1)], {"a": 1}, None, 3])
def test_a_checkpoint_without_weights_is_told(tmp_path, state):
    torch.save({"state_dict": state}, tmp_path / "x.ckpt")
    with pytest.raises(UserError, match=r"x.ckpt: holds no weights"):
        open_checkpoint(tmp_path / "x.ckpt")


class Hostile:
    """Calls something when it is unpickled."""

    def __init__(self, call: object, *arguments: object) -> None:
        self.call = call, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize(("call", "name"), [(os.system, "posix.system"), (eval, "builtins.eval")])
def test_what_would_run_is_named(tmp_path, call, name, protocol):
    mark = tmp_path / "mark"
    code = f"touch {mark}" if call is os.system else f"open({str(mark)!r}, 'w')"
    (tmp_path / "x.ckpt").write_bytes(pickle.dumps({"a": Hostile(call, code)}, protocol))
    name = name if protocol > 2 else name.replace("builtins", "__builtin__")
    with pytest.raises(UserError, match=f"it holds objects that are not weights: {name}$"):
        open_checkpoint(tmp_path / "x.ckpt")
    torch.save({"a": Hostile(call, code)}, tmp_path / "y.ckpt")
    with pytest.raises(UserError, match="it holds objects that are not weights"):
        open_checkpoint(tmp_path / "y.ckpt")
    assert not mark.exists()


class AttributeDict(dict):
    """Lightning's, in its module."""


class ListConfig:
    """omegaconf's: it keeps types among its state."""

    def __init__(self) -> None:
        self.kinds = [int, dict, list, bool, tuple, set, str, float, Any, dict[str, Any]]
        self.kinds.append(Optional[int])  # noqa: UP045, another thing in a pickle


def test_what_lightning_and_omegaconf_leave_is_opened(tmp_path, monkeypatch):
    for name, kind in (("pytorch_lightning.parsing", AttributeDict),
                       ("omegaconf.listconfig", ListConfig)):  # fmt: skip
        monkeypatch.setitem(sys.modules, name.partition(".")[0], ModuleType(name))
        module = ModuleType(name)
        setattr(module, kind.__name__, kind)
        monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(kind, "__module__", name)
    parameters = AttributeDict(lr=1e-4, sizes=[1, 2])
    parameters.note = "has a state too"  # type: ignore[attr-defined]
    told = {
        "hyper_parameters": parameters,
        "config": ListConfig(),
        "seen": collections.defaultdict(list, {"a": [1]}),
        "last": collections.deque([1, 2], maxlen=5),
        "state_dict": {"a": torch.ones(2)},
    }
    torch.save(told, tmp_path / "x.ckpt")
    monkeypatch.undo()
    assert torch.equal(open_checkpoint(tmp_path / "x.ckpt")["a"], torch.ones(2))


def test_each_run_writes_in_a_folder_of_its_own(tmp_path):
    out = tmp_path / "deep" / "out"
    with new_folder(out) as first:
        (first / "a").write_text("first")
        with new_folder(out) as second:
            (second / "a").write_text("second")
        assert (first / "a").read_text() == "first"
        assert (out / "a").read_text() == "second"
        (out / "a").unlink()
        out.rmdir()
    assert (out / "a").read_text() == "first"
    assert os.listdir(out.parent) == ["out"]


def test_a_folder_that_came_meanwhile_is_left_alone(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(UserError, match="out: exists"), new_folder(out):
        out.mkdir()
    assert os.listdir(tmp_path) == ["out"]
    assert os.listdir(out) == []


def test_files_have_the_usual_permissions(tmp_path):
    (tmp_path / "mine").write_text("linked")
    (tmp_path / "mine").chmod(0o600)
    with new_folder(tmp_path / "out") as folder:
        save_file({"a": torch.zeros(1)}, folder / "a.safetensors")
        os.link(tmp_path / "mine", folder / "mine")
    (tmp_path / "usual").mkdir()
    (tmp_path / "usual" / "file").touch()
    assert mode(tmp_path / "out") == mode(tmp_path / "usual")
    assert mode(tmp_path / "out" / "a.safetensors") == mode(tmp_path / "usual" / "file")
    assert mode(tmp_path / "mine") == 0o600


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.parametrize(
    "error",
    [OSError(28, "No space left"), RuntimeError("No space left"), Exception("No space left")],
)
def test_what_cannot_be_saved_is_told(tmp_path, error):
    told = r"out: cannot be written .*No space left"
    with pytest.raises(UserError, match=told), saving(tmp_path / "out"):
        raise error


@pytest.mark.parametrize("error", [TypeError("x"), KeyError("x"), UserError("x"), AssertionError()])
def test_mistakes_of_ours_are_not_told_as_a_full_disk(tmp_path, error):
    with pytest.raises(type(error)) as raised, saving(tmp_path / "out"):
        raise error
    assert raised.value is error


def test_what_cannot_be_read_is_not_told_as_unwritable(tmp_path):
    with pytest.raises(FileNotFoundError), new_folder(tmp_path / "out"):
        (tmp_path / "absent").read_text()
    assert os.listdir(tmp_path) == []
