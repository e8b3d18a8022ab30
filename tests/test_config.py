from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from egoframe.config import load_config, preset
from egoframe.errors import UserError


@dataclass(frozen=True)
class Inner:
    rate: float = 0.1
    sizes: tuple[int, ...] = (1, 2)


@dataclass(frozen=True)
class Outer:
    out: Path
    kind: Literal["a", "b"] = "a"
    limit: int | None = None
    inner: Inner = field(default_factory=Inner)


def test_yaml_then_overrides(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("out: runs/x\ninner: {rate: 1e-3}\n", encoding="utf-8")
    config = load_config(Outer, path, ["inner.sizes=[3, 4]", "kind=b", "limit=7"])
    assert config == Outer(Path("runs/x"), "b", 7, Inner(1e-3, (3, 4)))


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ([], "missing setting out"),
        (["out=x", "speed=3"], "unknown setting speed"),
        (["out=x", "inner.speed=3"], r"unknown setting inner\.speed"),
        (["out=x", "inner.rate=fast"], r"inner\.rate: expected float"),
        (["out=x", "limit=1.5"], "limit: expected int"),
        (["out=x", "limit=true"], "limit: expected int"),
        (["out=x", "kind=c"], "not one of a, b"),
        (["out=x", "inner=3"], "group of settings"),
        (["out=x", "rate"], "form key=value"),
        (["out=x", "inner.sizes=[1, 2"], r"inner\.sizes: '\[1, 2' is not a value"),
    ],
)
def test_bad_settings_are_named(overrides, words):
    with pytest.raises(UserError, match=words):
        load_config(Outer, None, overrides)


def test_bad_files_are_named(tmp_path):
    with pytest.raises(UserError, match="no such config file"):
        load_config(Outer, tmp_path / "absent.yaml")
    path = tmp_path / "bad.yaml"
    path.write_text("out: [", encoding="utf-8")
    with pytest.raises(UserError, match="not valid YAML"):
        load_config(Outer, path)
    path.write_text("- a\n- b\n", encoding="utf-8")
    with pytest.raises(UserError, match="key: value"):
        load_config(Outer, path)


def test_a_preset_has_a_name_and_any_file_a_path(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text("steps: 1")
    assert preset("generator", str(file)) == file
    for stage in ("generator", "enhancer"):
        assert preset(stage, "paper").name == "paper.yaml"
        with pytest.raises(UserError, match=r"nowhere: no such config file.*paper"):
            preset(stage, "nowhere")
