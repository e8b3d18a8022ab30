"""One configuration mechanism: typed dataclasses, filled from YAML, overridden by ``key=value``."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

from egoframe.errors import UserError

Config = TypeVar("Config")
PRESETS = Path(str(files("egoframe"))) / "presets"


def preset(stage: str, name: str) -> Path:
    """The file of a preset of a stage, such as "paper" of "generator"; else `name` is a path.

    Raises:
        UserError: neither such a preset nor such a file is there.
    """
    found = PRESETS / stage / f"{name}.yaml"
    if found.exists() or Path(name).exists():
        return found if found.exists() else Path(name)
    known = ", ".join(sorted(path.stem for path in (PRESETS / stage).glob("*.yaml")))
    raise UserError(f"{name}: no such config file, nor a preset; presets are: {known or 'none'}")


def load_config(
    cls: type[Config], path: str | Path | None = None, overrides: Sequence[str] = ()
) -> Config:
    """Build the dataclass `cls` from a YAML file, then apply overrides such as ``optim.lr=1e-4``.

    Nested dataclasses are nested mappings in YAML and dotted keys in overrides.

    Raises:
        UserError: unreadable file, unknown key, or a value of the wrong type; the key is named.
    """
    import yaml

    values: dict[str, Any] = {}
    if path is not None:
        try:
            text = Path(path).read_text(encoding="utf-8")
            loaded = yaml.safe_load(text)
        except FileNotFoundError:
            raise UserError(f"{path}: no such config file") from None
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: cannot be read ({error})") from None
        except yaml.YAMLError as error:
            line = " ".join(str(error).split())
            raise UserError(f"{path}: not valid YAML ({line})") from None
        if loaded is not None and not isinstance(loaded, dict):
            raise UserError(f"{path}: expected `key: value` lines at the top level")
        values = loaded or {}
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals:
            raise UserError(f"{override!r}: an override has the form key=value")
        node = values
        *parents, leaf = key.split(".")
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                raise UserError(f"{key}: {parent!r} is a value, not a group of settings")
        try:
            node[leaf] = yaml.safe_load(value) if value else ""
        except yaml.YAMLError:
            raise UserError(f"{key}: {value!r} is not a value; quote what has marks") from None
    return _build(cls, values, prefix="")


def _build(cls: type[Config], values: Mapping[str, Any], prefix: str) -> Config:
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            known = ", ".join(fields)
            raise UserError(f"unknown setting {prefix}{key}; known here: {known}")
    kwargs = {key: _convert(value, hints[key], prefix + key) for key, value in values.items()}
    missing = [
        prefix + name
        for name, field in fields.items()
        if name not in kwargs
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise UserError(f"missing setting {', '.join(missing)}; give it as {missing[0]}=VALUE")
    return cls(**kwargs)


def _convert(value: Any, hint: Any, key: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise UserError(f"{key}: expected a group of settings, got {value!r}")
        return _build(hint, value, prefix=f"{key}.")  # type: ignore[arg-type]
    if origin in (Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        return _convert(value, next(a for a in args if a is not type(None)), key)
    if origin is Literal:
        if value not in args:
            raise UserError(f"{key}: {value!r} is not one of {', '.join(map(str, args))}")
        return value
    if origin in (tuple, list):
        if not isinstance(value, list | tuple):
            raise UserError(f"{key}: expected a list, got {value!r}")
        return origin(_convert(item, args[0], key) for item in value)
    if hint is float and isinstance(value, str | int) and not isinstance(value, bool):
        try:
            return float(value)  # YAML reads 1e-4 as a string
        except ValueError:
            pass
    if hint is Path and isinstance(value, str):
        return Path(value)
    if isinstance(hint, type) and (
        not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool)
    ):
        raise UserError(f"{key}: expected {hint.__name__}, got {value!r}")
    return value
