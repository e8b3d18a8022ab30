"""Adapters by diffusers' names: those that distillation writes, and those of peft in diffusers'
forms."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import load_file, save_file

import egoframe
from egoframe.errors import UserError
from egoframe.generator.adapters import WEIGHTS, merge_lora
from egoframe.generator.assembly import write_pipeline
from egoframe.generator.bulk import SetConfig, generate_set
from egoframe.generator.distillation import DistillationConfig, distil
from egoframe.generator.guidance import GuidedUNet
from egoframe.generator.pipeline import ActionFramePipeline
from egoframe.pairs import open_pairs
from egoframe.training import LoopConfig
from tests.cli.run import refused, run
from tests.generator.tiny import tiny_pipeline
from tests.hub_server import hub_server
from tests.little_dataset import photo, write_dataset

UNET = ["attn2.to_k", "attn2.to_v", "to_q", "conv1", "time_emb_proj"]
TEXT = ["q_proj", "v_proj"]


@pytest.fixture
def pipe() -> ActionFramePipeline:
    return tiny_pipeline(paper=True)


def adapted(model: torch.nn.Module, modules: list[str], seed: int = 0) -> torch.nn.Module:
    """A copy with adapters that do something, and a scale of their own (alpha over rank)."""
    torch.manual_seed(seed)
    model = copy.deepcopy(model)
    model.add_adapter(
        LoraConfig(r=4, lora_alpha=2, target_modules=modules, init_lora_weights=False)
    )
    return model


@pytest.fixture
def lora(pipe: ActionFramePipeline, tmp_path: Path) -> Path:
    """Adapters of U-Net and text encoder, as diffusers' trainings save them."""
    unet, text = adapted(pipe.unet, UNET), adapted(pipe.text_encoder, TEXT)
    configs = [part.peft_config["default"].to_dict() for part in (unet, text)]
    for config in configs:
        config["target_modules"] = sorted(config["target_modules"])
    ActionFramePipeline.save_lora_weights(
        tmp_path / "lora",
        unet_lora_layers=get_peft_model_state_dict(unet, adapter_name="default"),
        text_encoder_lora_layers=get_peft_model_state_dict(text, adapter_name="default"),
        unet_lora_adapter_metadata=configs[0],
        text_encoder_lora_adapter_metadata=configs[1],
    )
    return tmp_path / "lora"


def drawn(pipe: ActionFramePipeline) -> np.ndarray:
    words = "the hand takes the mug"
    return np.asarray(pipe(photo("red"), "take mug", description=words).images[0], int)


def apart(first: np.ndarray, second: np.ndarray) -> int:
    return int(np.abs(first - second).max())


def test_loaded_scaled_fused_unfused_and_unloaded(pipe, lora):
    before = drawn(pipe)
    pipe.load_lora_weights(lora, adapter_name="hands")
    with_it = drawn(pipe)
    assert apart(with_it, before) > 5
    assert pipe.get_list_adapters() == {"unet": ["hands"], "text_encoder": ["hands"]}
    pipe.set_adapters("hands", 0.5)
    half = drawn(pipe)
    assert min(apart(half, before), apart(half, with_it)) > 2
    pipe.set_adapters("hands")
    pipe.fuse_lora()
    assert apart(drawn(pipe), with_it) <= 1
    pipe.unfuse_lora()
    assert apart(drawn(pipe), with_it) <= 1
    pipe.unload_lora_weights()
    assert pipe.get_list_adapters() == {}
    assert apart(drawn(pipe), before) <= 1


def test_a_pipeline_is_saved_with_adapters_in_its_weights_or_without(pipe, lora, tmp_path):
    pipe.load_lora_weights(lora)
    with pytest.raises(UserError, match="adapters are loaded; keep them in the weights by fuse"):
        pipe.save_pretrained(tmp_path / "model")
    merged = drawn(pipe)
    pipe.fuse_lora()
    pipe.unload_lora_weights()
    pipe.save_pretrained(tmp_path / "model")
    assert apart(drawn(egoframe.load(tmp_path / "model", "cpu")), merged) <= 1


def test_two_adapters_add_up(pipe, lora, tmp_path):
    adapted(pipe.unet, UNET, seed=1).save_lora_adapter(tmp_path / "other")
    pictures = []
    for weights in ([1.0, 0.0], [0.0, 1.0], [1.0, 1.0]):
        own = tiny_pipeline(paper=True)
        own.load_lora_weights(lora, adapter_name="one")
        own.load_lora_weights(tmp_path / "other", adapter_name="two")
        own.set_adapters(["one", "two"], weights)
        pictures.append(drawn(own))
    assert min(apart(pictures[0], pictures[2]), apart(pictures[1], pictures[2])) > 2


@torch.no_grad()
def test_adapters_of_cross_attention_count_where_keys_and_values_are_kept(pipe, tmp_path):
    """Against diffusers' own forward, of the U-Net that they were made with."""
    reference = adapted(pipe.unet, ["attn2.to_k", "attn2.to_v"]).eval()
    reference.save_lora_adapter(tmp_path / "lora")
    plain = copy.deepcopy(pipe.unet)
    pipe.load_lora_weights(tmp_path / "lora")
    stream = torch.Generator().manual_seed(0)
    full, empty = (torch.randn(1, 9, 32, generator=stream) for _ in range(2))
    noisy, condition = (torch.randn(1, 4, 8, 8, generator=stream) for _ in range(2))
    with GuidedUNet(pipe.unet, full, empty, condition, 3.0, 1.0) as guided:
        found = guided(noisy, torch.tensor(500.0))

    def expected(unet: torch.nn.Module) -> torch.Tensor:
        inputs = torch.cat((noisy, condition), 1)
        image, both = (
            unet(inputs, 500, encoder_hidden_states=context).sample for context in (empty, full)
        )
        return image + 3.0 * (both - image)

    torch.testing.assert_close(found, expected(reference), rtol=1e-3, atol=1e-4)
    assert (found - expected(plain)).abs().max() > 1e-2


def test_what_distillation_learns_as_adapters_makes_its_teacher_the_student(tmp_path):
    dataset = open_pairs(write_dataset(tmp_path / "pairs"), "train")
    write_pipeline(tiny_pipeline(), dataset, tmp_path / "teacher")
    loop = LoopConfig(steps=2, batch_size=4, lr=1e-2, warmup=0, log_every=1, trackers=())
    distil(
        DistillationConfig(
            dataset=tmp_path / "pairs", out=tmp_path / "out", model=str(tmp_path / "teacher"),
            written_by="dataset", mirror="none", lora_rank=2, loop=loop,
        )
    )  # fmt: skip
    student = egoframe.load(tmp_path / "out/pipeline", "cpu")
    teacher = egoframe.load(tmp_path / "teacher", "cpu")
    before = copy.deepcopy(teacher.unet.state_dict())
    teacher.load_lora_weights(tmp_path / "out/lora")
    teacher.fuse_lora()
    teacher.unload_lora_weights()
    moved = 0.0
    for key, weight in student.unet.state_dict().items():
        torch.testing.assert_close(teacher.unet.state_dict()[key], weight, rtol=1e-3, atol=5e-4)
        moved = max(moved, float((weight - before[key]).abs().max()))
    assert moved > 2e-3


def test_the_commands_draw_with_adapters(pipe, lora, tmp_path):
    dataset = write_dataset(tmp_path / "pairs")
    pipe.save_pretrained(tmp_path / "model")
    photo("red").save(tmp_path / "photo.png")
    command = ("generate", tmp_path / "photo.png", "take mug", "--model", tmp_path / "model",
               "--description", "the hand takes the mug", "--json", "--lora", lora)  # fmt: skip
    done = run(*command, "--out", tmp_path / "a", "--lora-scale", "0.5")
    assert done.returncode == 0, done.stderr
    assert "No LoRA keys" not in done.stderr
    told = json.loads(Path(json.loads(done.stdout)["settings"]).read_text())
    assert (told["lora"], told["lora_scale"], len(told["lora_sha256"])) == (str(lora), 0.5, 64)
    opened = egoframe.load(tmp_path / "model", "cpu")
    opened.load_lora_weights(lora)
    opened.set_adapters("default_0", 0.5)
    from egoframe.images import open_photo

    picture = open_photo(json.loads(done.stdout)["pictures"][0])
    assert apart(np.asarray(picture, int), drawn(opened)) <= 1

    def draw(out: str, **more: object) -> None:
        config = SetConfig(str(dataset), str(tmp_path / "model"), "train", 2, "dataset", **more)
        assert list(generate_set(config, tmp_path / out, workers=1))[-1] == (2, 2)

    draw("plain")
    draw("adapted", lora=str(lora))
    moved = lora.rename(tmp_path / "moved")
    draw("adapted", lora=str(moved))
    (first,) = [path.name for path in (tmp_path / "plain").glob("*.png")][:1]
    assert (tmp_path / "plain" / first).read_bytes() != (tmp_path / "adapted" / first).read_bytes()
    with pytest.raises(UserError, match="holds pictures drawn with another lora_scale"):
        draw("adapted", lora=str(moved), lora_scale=0.5)
    with pytest.raises(UserError, match="holds pictures drawn with another lora"):
        draw("adapted")


def test_what_is_no_adapters_is_told_in_one_line(pipe, lora, tmp_path):
    pipe.save_pretrained(tmp_path / "model")
    halved = tmp_path / "halved.safetensors"
    whole = (lora / "pytorch_lora_weights.safetensors").read_bytes()
    halved.write_bytes(whole[: len(whole) // 2])
    torch.save({}, tmp_path / "pickled.bin")
    wrong = {k: torch.zeros(v.shape[0], v.shape[1] + 1, *v.shape[2:])
             for k, v in load_file(lora / "pytorch_lora_weights.safetensors").items()
             if "lora_A" in k or "lora_B" in k}  # fmt: skip
    save_file(wrong, tmp_path / "wrong.safetensors")
    for source, words in {
        tmp_path / "nowhere": "nowhere: not a file or folder, and not to be had from the hub",
        "me/nowhere": "me/nowhere: not a file or folder, and not to be had from the hub",
        tmp_path / "model/unet": "holds no adapters of a U-Net or a text encoder",
        tmp_path / "model": "cannot be used as adapters",
        halved: "halved.safetensors: cannot be used as adapters",
        tmp_path / "pickled.bin": "cannot be used as adapters",
        tmp_path / "wrong.safetensors": "wrong.safetensors: adapters of another model",
    }.items():
        with pytest.raises(UserError, match=words) as told:
            pipe.load_lora_weights(source)
        assert "\n" not in str(told.value)
        assert not pipe.get_active_adapters()
    photo("red").save(tmp_path / "photo.png")
    command = ("generate", tmp_path / "photo.png", "take mug", "--model", tmp_path / "model")
    line = refused(run(*command, "--lora", tmp_path / "nowhere", "--out", tmp_path / "out"))
    assert "nowhere: not a file or folder" in line
    with pytest.raises(UserError, match="lora_scale nan: give a number"):
        merge_lora(pipe, lora, float("nan"))


def test_peft_that_is_missing_is_named(pipe, lora, monkeypatch):
    monkeypatch.setattr("egoframe.generator.adapters.USE_PEFT_BACKEND", False)
    with pytest.raises(UserError, match=r'adapters need PEFT: pip install "egoframe\[train\]"'):
        pipe.load_lora_weights(lora)


def test_adapters_come_from_the_hub(pipe, lora, tmp_path, monkeypatch):
    files = {path.name: path.read_bytes() for path in lora.iterdir()}
    with hub_server({"me/lora": files}) as hub:
        hub.visit(monkeypatch)
        pipe.load_lora_weights("me/lora", weight_name=WEIGHTS, cache_dir=tmp_path / "cache")
    other = tiny_pipeline(paper=True)
    other.load_lora_weights(lora)
    assert (drawn(pipe) == drawn(other)).all()
