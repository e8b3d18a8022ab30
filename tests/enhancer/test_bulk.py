"""Descriptions for whole datasets."""

import errno
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from PIL import Image

from egoframe.enhancer.bulk import VllmEngine, enhance_shard, shards_without
from egoframe.enhancer.prompts import question
from egoframe.errors import UserError
from egoframe.pairs import SPLITS, open_pairs, read_rows, shards, write_shard
from egoframe.storage import Folder
from tests.enhancer.families import FAMILIES
from tests.little_dataset import photo, write_dataset

FIRST, SECOND = "train/00000.parquet", "train/00001.parquet"


@pytest.fixture
def dataset(tmp_path: Path) -> Folder:
    """Two shards of 30 and 10 pairs."""
    folder = Folder(write_dataset(tmp_path / "pairs", described=False))
    rows = list(read_rows(folder, FIRST))
    write_shard(folder, FIRST, rows[:30])
    write_shard(folder, SECOND, rows[30:])
    return folder


def every_row(folder: Folder) -> list[dict]:
    return [row for shard in shards(folder) for row in read_rows(folder, shard)]


class Teller:
    """Tells what it was shown; stops working after some batches."""

    def __init__(self, batches: int = 99) -> None:
        self.left = batches
        self.sizes: list[int] = []

    def describe(self, images: Sequence[Image.Image], actions: Sequence[str]) -> list[str]:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        self.sizes.append(len(images))
        return [f"{a} {i.getpixel((1, 1))}" for i, a in zip(images, actions, strict=True)]


def enhance(folder: Folder, engine: Teller, writer: str = "teller") -> None:
    for shard in shards_without(folder, SPLITS, writer):
        enhance_shard(folder, shard, engine, writer, 8, lambda _: None)


def test_every_pair_is_described_and_nothing_else_changes(dataset):
    before = every_row(dataset)
    engine = Teller()
    enhance(dataset, engine)
    assert engine.sizes == [8, 8, 8, 6, 8, 2]
    after = every_row(dataset)
    assert after[0]["description"] == "take mug (255, 0, 0)"
    assert after[1]["description"] == "take mug (0, 0, 255)"
    assert {row["description_source"] for row in after} == {"teller"}
    changed = ("description", "description_source")
    for old, new in zip(before, after, strict=True):
        assert all(old[key] == new[key] for key in old if key not in changed)
    assert len(open_pairs(dataset.url, "train")) == 40


def test_a_stopped_run_goes_on_with_the_shard_it_stopped_in(dataset):
    with pytest.raises(KeyboardInterrupt):
        enhance(dataset, Teller(batches=5))
    assert list(shards_without(dataset, SPLITS, "teller").values()) == [10]
    assert {row["description"] for row in read_rows(dataset, SECOND)} == {None}
    again = Teller()
    enhance(dataset, again)
    assert again.sizes == [8, 2]
    assert shards_without(dataset, SPLITS, "teller") == {}
    assert list(shards_without(dataset, SPLITS, "another").values()) == [30, 10]


def test_a_dataset_or_a_picture_that_is_not_there_is_named(dataset, tmp_path):
    with pytest.raises(UserError, match="with a validation split here"):
        shards_without(dataset, ["validation"], "teller")
    with pytest.raises(UserError, match=f"{tmp_path}: no dataset"):
        shards_without(Folder(tmp_path), SPLITS, "teller")
    rows = list(read_rows(dataset, SECOND))
    rows[3]["input_frame"]["bytes"] = b"no picture"
    write_shard(dataset, SECOND, rows)
    with pytest.raises(UserError, match="pair 33: its input frame is damaged"):
        enhance(dataset, Teller())


def test_a_damaged_shard_is_named(dataset):
    shard = Path(dataset.path(SECOND))
    content = shard.read_bytes()
    for damaged in (content[:9] + bytes(400) + content[409:], content[:400], b""):
        shard.write_bytes(damaged)
        with pytest.raises(UserError, match=f"^{shard}: damaged, or no shard") as told:
            enhance_shard(dataset, SECOND, Teller(), "teller", 8, lambda _: None)
        assert "\n" not in str(told.value)
    with pytest.raises(UserError, match=f"^{shard}: damaged, or no shard"):
        shards_without(dataset, SPLITS, "teller")


def test_a_shard_without_room_stays_as_it_was(dataset, monkeypatch):
    shard = Path(dataset.path(SECOND))
    before = shard.read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(UserError, match=f"^{shard}: cannot be written .*No space left on device"):
        enhance_shard(dataset, SECOND, Teller(), "teller", 8, lambda _: None)
    assert shard.read_bytes() == before
    monkeypatch.undo()
    enhance(dataset, Teller())
    assert shards_without(dataset, SPLITS, "teller") == {}


class StandInLLM:
    """What is used of vLLM 0.10's `LLM`: signature, conversation parts, outputs."""

    def __init__(self, model: str, *, dtype: str = "auto", **kwargs: object) -> None:
        assert kwargs == {"limit_mm_per_prompt": {"image": 1}}
        if "absent" in model:
            raise ValueError("no such model\nand more")
        self.model = model

    def get_tokenizer(self) -> object:
        return SimpleNamespace(all_special_tokens=["<|im_end|>"])

    def chat(self, messages, sampling_params=None, use_tqdm=True, lora_request=None,
             chat_template=None):  # fmt: skip
        if "untold" in self.model:
            raise ValueError("no chat template")
        told = []
        for (message,) in messages:
            image, text = message["content"]
            assert message["role"] == "user"
            assert (image["type"], text["type"]) == ("image_pil", "text")
            assert isinstance(image["image_pil"], Image.Image)
            said = f" {text['text']} {image['image_pil'].getpixel((1, 1))} {sampling_params}"
            told.append(SimpleNamespace(outputs=[SimpleNamespace(text=said)]))
        return told


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("vllm")
    module.LLM = StandInLLM
    module.SamplingParams = lambda temperature, max_tokens: f"{temperature} {max_tokens}"
    monkeypatch.setitem(sys.modules, "vllm", module)


def test_vllm_is_asked_the_same_question(vllm, tmp_path):
    FAMILIES["qwen2_5_vl"]().save_pretrained(tmp_path / "model")
    engine = VllmEngine(tmp_path / "model")
    said = engine.describe([photo("red"), photo("blue")], ["open drawer", "take mug"])
    assert said == [
        f"{question('open drawer')} (255, 0, 0) 0.0 12",
        f"{question('take mug')} (0, 0, 255) 0.0 12",
    ]
    with pytest.raises(UserError, match="is a mark of the model"):
        engine.describe([photo("red")], ["open <|im_end|>"])


def test_what_vllm_cannot_do_is_said_in_one_line(vllm, tmp_path):
    with pytest.raises(UserError, match=r"absent: vLLM cannot open it \(no such model\)$"):
        VllmEngine(tmp_path / "absent")
    engine = VllmEngine(tmp_path / "untold")
    assert engine.sampling == "0.0 77"
    with pytest.raises(UserError, match=r"untold: vLLM cannot ask it \(no chat template\)$"):
        engine.describe([photo("red")], ["open drawer"])
    (tmp_path / "model_index.json").write_text("{}")
    with pytest.raises(UserError, match="vLLM wants model and processor in one folder"):
        VllmEngine(tmp_path)


def test_without_vllm_it_is_said_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(UserError, match=r'pip install "egoframe\[vllm\]", on a machine with a GPU'):
        VllmEngine(tmp_path)
