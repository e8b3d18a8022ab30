"""What the tests of released models share: repositories as the authors might have laid them out,
and stand-ins for the converters."""

import hashlib
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from egoframe.released import CLIP, EGO4D, EPIC, RELEASES, VLLM

CHECKPOINT = RELEASES["lego-ego4d"].checkpoint
BIG = bytes(range(256)) * 500
VLLM_FILES = ["config.json", "tokenizer.model", "weights-1-of-2.bin", "weights-2-of-2.bin"]
CLIP_FILES = ["config.json", "merges.txt", "model.safetensors", "vocab.json"]
REPOS = {
    EGO4D: {
        "README.md": b"#",
        f"diffusion/{CHECKPOINT}": b"ckpt" + BIG,
        f"diffusion/{RELEASES['lego-ego4d-scaleup'].checkpoint}": b"scaled" + BIG,
        **{f"vllm/{VLLM}/{name}": name.encode() + BIG for name in VLLM_FILES},
        f"vllm/{VLLM}/training_args.bin": b"args",
        f"vllm/{VLLM}/checkpoint-9/config.json": b"{}",
        f"vllm/{VLLM}/checkpoint-9/optimizer.bin": b"states",
    },
    EPIC: {
        "x/EpicKitchen_Diffusion_With_VLLM_feature.ckpt": b"epic" + BIG,
        f"x/{RELEASES['lego-epic-scaleup'].checkpoint}": b"more" + BIG,
        "LLaVA-Llama-2-13B-chat-forecasting-finetune.zip": b"zip" + BIG,
    },
    CLIP: {
        **{name: name.encode() for name in CLIP_FILES},
        "README.md": b"#",
        "pytorch_model.bin": b"weights",
        "flax_model.msgpack": b"weights",
        "onnx/config.json": b"{}",
    },
}


@dataclass
class Converters:
    """Stand-ins for the conversion, which has tests of its own."""

    calls: list[tuple[str, Any]] = field(default_factory=list)
    fail: dict[str, BaseException] = field(default_factory=dict)

    def llava(self, source: Path, out: Path, clip: Path, tell: Any) -> None:
        self.calls.append(("llava", (contents(source), contents(clip))))
        self._make(out, "config.json", "llava")

    def lego(
        self, checkpoint: Path, out: Path, clip: Path, enhancer: Path, articles: bool, record: Any,
        tell: Any,
    ) -> None:  # fmt: skip
        assert (enhancer / "config.json").exists()
        self.calls.append(("lego", (contents(checkpoint), contents(clip), articles)))
        self._make(out, "model_index.json", "lego")
        (out / "source.json").write_text(json.dumps(record))

    def _make(self, out: Path, name: str, kind: str) -> None:
        if kind in self.fail:
            raise self.fail.pop(kind)
        out.mkdir(parents=True)
        (out / name).write_text("{}")

    def stand_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, function in (("llava", self.llava), ("lego", self.lego)):
            module = ModuleType(f"egoframe.convert.{name}")
            setattr(module, f"convert_{name}", function)
            monkeypatch.setitem(sys.modules, module.__name__, module)


def contents(path: Path) -> dict[str, bytes]:
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return {file.name: file.read_bytes() for file in files}


def put_by_hand(home: Path, name: str, *parts: str) -> Path:
    folder = home / "downloads" / name
    folder.mkdir(parents=True)
    if "checkpoint" in parts:
        (folder / RELEASES[name].checkpoint).write_bytes(b"mine")
    if "enhancer" in parts:
        (folder / VLLM).mkdir()
        (folder / VLLM / "config.json").write_bytes(b"{}")
        (folder / VLLM / "weights.bin").write_bytes(b"mine too")
    if "clip" in parts:
        (folder / "clip-vit-large-patch14").mkdir()
        (folder / "clip-vit-large-patch14/config.json").write_bytes(b"{}")
    return folder


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
