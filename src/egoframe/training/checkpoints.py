"""Checkpoints: whole or absent, the same files whatever the number of processes.

A checkpoint is a folder named by its step: `model`, `ema` and `optimiser.safetensors`, and
`state.json`, which says where the run was. What is random and which samples come next follow from
the step (`randomness.py`). Sharded tensors are put together for it, a tensor at a time.
"""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from egoframe.errors import UserError, first_line


def write_whole(path: Path, text: str) -> None:
    """Write a text file beside its place, then give it its name.

    Raises:
        UserError: it cannot be written.
    """
    temporary = path.with_name(f"{path.name}.writing")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from None


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        UserError: it is damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: is damaged ({first_line(error)}); delete its folder") from None


def local(tensor: Tensor) -> Tensor:
    """This process's shard of a tensor, or all of it where it is not sharded; the same memory."""
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor


def checkpoints(out: Path) -> list[Path]:
    """The complete checkpoints of a run, oldest first."""
    return sorted(path for path in (out / "checkpoints").glob("*") if path.name.isdigit())


def save(
    out: Path,
    step: int,
    model: nn.Module,
    ema: Mapping[str, Tensor],
    optimiser: torch.optim.Optimizer,
    losses: Sequence[float],
    kept: int,
    main: bool = True,
) -> None:
    """Write one checkpoint in full beside the others, then give it its name; keep the last `kept`.

    Every process calls it, for it gathers what is sharded; the main one writes.

    Arguments:
        losses: of the steps since the last line of the log.
    Raises:
        UserError: there is no room; what was there before is kept.
    """
    moments: dict[str, Tensor] = {}
    numbers: dict[str, Any] = {}
    for name, parameter in trained(model).items():
        for key, value in optimiser.state[parameter].items():
            if torch.is_tensor(value):
                moments[f"{name}/{key}"] = value
            else:
                numbers[f"{name}/{key}"] = value
    folder = out / "checkpoints"
    temporary = folder / "writing"
    try:
        if main:
            for leftover in (temporary, folder / "deleting"):
                shutil.rmtree(leftover, ignore_errors=True)
            temporary.mkdir(parents=True)
        tensors: Mapping[str, Tensor]
        for file, tensors in (("model", model.state_dict()), ("ema", ema), ("optimiser", moments)):
            gathered: dict[str, Tensor] = {}
            for name, tensor in tensors.items():
                if main or hasattr(tensor, "full_tensor"):  # all take part in gathering it
                    full = whole(tensor)
                    gathered |= {name: full} if main else {}
            if main:
                save_file(gathered, temporary / f"{file}.safetensors")
        if main:
            state = {"step": step, "losses": list(losses), "optimiser": numbers}
            (temporary / "state.json").write_text(json.dumps(state) + "\n", encoding="utf-8")
            final = folder / f"{step:08d}"
            shutil.rmtree(final, ignore_errors=True)
            temporary.rename(final)
            for old in checkpoints(out)[:-kept]:
                shutil.rmtree(old.rename(folder / "deleting"))
    except (OSError, SafetensorError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        no_room = getattr(error, "errno", None) == errno.ENOSPC or "os error 28" in str(error)
        why = "no space is left" if no_room else first_line(error)
        raise UserError(
            f"{folder}: the checkpoint of step {step} cannot be written ({why}); those before it "
            "are kept; make room, and the same command goes on"
        ) from None


def restore(
    out: Path, model: nn.Module, ema: Mapping[str, Tensor], optimiser: torch.optim.Optimizer
) -> tuple[int, list[float]]:
    """Load the newest checkpoint, if any: the step to go on from, and the losses of the steps since
    the last line of the log.

    Raises:
        UserError: it is damaged, or of another model.
    """
    found = checkpoints(out)
    if not found:
        return 0, []
    newest = found[-1]
    parameters = trained(model)
    try:
        state = json.loads((newest / "state.json").read_text(encoding="utf-8"))
        for file, tensors in (("model", model.state_dict()), ("ema", ema)):
            with safe_open(newest / f"{file}.safetensors", "pt") as opened:
                if set(opened.keys()) != set(tensors):
                    odd = sorted(set(opened.keys()) ^ set(tensors))[0]
                    raise UserError(f"{newest}: is of another model, which differs in {odd}")
                for name, value in tensors.items():
                    saved = opened.get_tensor(name)
                    if saved.shape != value.shape:
                        raise UserError(
                            f"{newest}: is of another model, whose {name} is {tuple(saved.shape)}"
                        )
                    local(value).copy_(local(_sharded_as(saved, value)))
        with safe_open(newest / "optimiser.safetensors", "pt") as opened:
            for entry in opened.keys():  # noqa: SIM118, it is no mapping
                name, _, key = entry.rpartition("/")
                value = opened.get_tensor(entry)
                parameter = parameters[name]
                if value.shape == parameter.shape:
                    value = _sharded_as(value, parameter)
                optimiser.state[parameter][key] = value.to(parameter.device)
        for entry, number in state["optimiser"].items():
            name, _, key = entry.rpartition("/")
            optimiser.state[parameters[name]][key] = number
    except (OSError, SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise UserError(
            f"{newest}: is damaged, or of another model ({first_line(error)}); delete it, and the "
            "same command goes on from the one before it"
        ) from None
    return int(state["step"]), list(state["losses"])


def trained(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that learn."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor, a copy on the CPU; every process calls it where it is sharded."""
    gathered = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return gathered.detach().cpu().clone().contiguous()


def _sharded_as(full: Tensor, like: Tensor) -> Tensor:
    if not hasattr(like, "device_mesh"):
        return full
    from torch.distributed.tensor import distribute_tensor

    mesh = like.device_mesh
    return distribute_tensor(full.to(mesh.device_type), mesh, like.placements)  # type: ignore
