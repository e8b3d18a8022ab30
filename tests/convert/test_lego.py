"""The authors' checkpoint, converted, computes what their code computes."""

import hashlib
import json
import os
import pickle
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from egoframe.convert import lego
from egoframe.convert.lego import convert_lego
from egoframe.enhancer.model import Enhancement
from egoframe.errors import UserError
from egoframe.generator.pipeline import ActionFramePipeline
from egoframe.generator.sampling import DiscreteSigmas, scaled_linear_alphas
from tests.convert.golden_lego import Pairs, computed, open_converted, relative_error
from tests.convert.ldm_layout import checkpoint_shapes
from tests.convert.ldm_reference import unet_forward
from tests.convert.lego_release import mini_state, write_checkpoint, write_clip
from tests.golden import lego_mini, needs_golden, noise

UNET = "model.diffusion_model."


@pytest.fixture(scope="module")
def release(tmp_path_factory) -> Path:
    """A miniature release: checkpoint and CLIP's folder."""
    folder = tmp_path_factory.mktemp("release")
    write_checkpoint(folder / "lego.ckpt", mini_state())
    write_clip(folder / "clip")
    return folder


@pytest.fixture(scope="module")
def whole() -> dict[str, torch.Tensor]:
    return mini_state()


@pytest.fixture(scope="module")
def pipe(release, tmp_path_factory) -> ActionFramePipeline:
    return open_converted(release, tmp_path_factory.mktemp("ema") / "model", "ema")


@pytest.fixture(scope="module")
def raw(release, tmp_path_factory) -> ActionFramePipeline:
    return open_converted(release, tmp_path_factory.mktemp("raw") / "model", "raw")


@pytest.fixture(scope="module")
def values(pipe, raw) -> Pairs:
    return computed(pipe, raw)


def same(found: torch.Tensor, wanted: torch.Tensor) -> None:
    assert relative_error(found, wanted) <= 1e-4


@needs_golden
def test_the_layout_is_the_releases():
    told = {key: tuple(shape) for key, shape in lego_mini()["filled"].items()}
    assert checkpoint_shapes(base=32, vae=32, text=(600, 256, 2)) == told


@needs_golden
@pytest.mark.parametrize(
    "name",
    ["text", "text_null", "image_tokens", "text_tokens", "input_latent", "target_latent_mean",
     "decoded", "unet_eps_ema", "unet_eps_raw", "sigmas_10", "sigmas_100", "sampled_latent",
     "sampled_image", "loss"],
)  # fmt: skip
def test_it_computes_what_the_release_computes(values, name):
    same(*values[name])


@torch.no_grad()
@pytest.mark.parametrize("weights", ["ema", "raw"])
def test_the_unet_equals_an_independent_forward_pass(pipe, raw, weights):
    state = mini_state()
    inside = {key.removeprefix(UNET): value for key, value in state.items() if key.startswith(UNET)}
    if weights == "ema":
        inside = {key: state[f"model_ema.diffusion_model{key.replace('.', '')}"] for key in inside}
    x, context = noise("x", (2, 8, 8, 8)), noise("context", (2, 20, 768))
    t = torch.tensor([3.5, 871.0])
    model = pipe if weights == "ema" else raw
    same(
        model.unet(x, t, encoder_hidden_states=context).sample, unet_forward(inside, x, t, context)
    )


def test_the_model_draws_from_embeddings_without_its_enhancer(pipe):
    from tests.generator.test_pipeline import photo

    seen = Enhancement(
        ["the right hand opens the red drawer"], torch.randn(1, 256, 5120),
        torch.randn(1, 77, 5120), torch.ones(1, 77, dtype=torch.bool),
    )  # fmt: skip
    out = pipe(photo(0, (300, 200)), "open the drawer", enhancement=seen, steps=2)
    assert out.images[0].width / out.images[0].height == pytest.approx(1.5, rel=0.02)
    assert out.descriptions == seen.descriptions
    with pytest.raises(UserError, match="open it with its enhancer"):
        pipe(photo(), "open the drawer", steps=1)


def test_what_trainers_leave_beside_the_weights_is_ignored(release, tmp_path, monkeypatch):
    state = torch.load(release / "lego.ckpt", weights_only=True)["state_dict"]
    trainer = ModuleType("pytorch_lightning")
    trainer.ModelCheckpoint = ModelCheckpoint  # type: ignore[attr-defined]
    monkeypatch.setattr(ModelCheckpoint, "__module__", "pytorch_lightning")
    with monkeypatch.context() as context:
        context.setitem(sys.modules, "pytorch_lightning", trainer)
        told = {"state_dict": state, "callbacks": {ModelCheckpoint: {"best": ModelCheckpoint()}}}
        torch.save(told, tmp_path / "lego.ckpt")
    convert_lego(tmp_path / "lego.ckpt", tmp_path / "out", release / "clip")
    assert (tmp_path / "out" / "model_index.json").exists()


class ModelCheckpoint:
    """What a training framework leaves in its checkpoints."""

    def __init__(self) -> None:
        self.best = "epoch=000119"


class Hostile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("bare", [False, True], ids=["zip", "bare pickle"])
def test_a_pickle_that_would_run_code_is_refused_and_runs_nothing(release, tmp_path, bare):
    path, mark = tmp_path / "lego.ckpt", tmp_path / "mark"
    told = {"state_dict": {"a": torch.zeros(1)}, "global_step": Hostile(mark)}
    if bare:
        path.write_bytes(pickle.dumps({"global_step": Hostile(mark)}))
    else:
        torch.save(told, path)
    with pytest.raises(UserError, match=r"objects that are not weights: posix.system") as error:
        convert_lego(path, tmp_path / "out", release / "clip")
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    assert not mark.exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["lego.ckpt"]


def spoilt(state: dict[str, torch.Tensor], how: str) -> dict[str, torch.Tensor]:
    if how == "missing":
        del state[f"{UNET}middle_block.1.proj_in.weight"]
        del state["model_ema.diffusion_modelmiddle_block1proj_inweight"]
    elif how == "no average":
        state = {key: v for key, v in state.items() if not key.startswith("model_ema")}
    elif how == "unexpected":
        state["first_stage_model.decoder.extra.weight"] = torch.zeros(3)
    elif how == "stranger":
        state["discriminator.weight"] = torch.zeros(3)
    elif how == "shape":
        state["projection_txt.bias"] = torch.zeros(700)
    elif how == "numbers":
        state["projection_txt.bias"] = torch.zeros(768, dtype=torch.int8)
    elif how == "no conditioner":
        state = {key: v for key, v in state.items() if not key.startswith("projection_")}
    elif how == "other":
        state = {"encoder.weight": torch.zeros(4, 4)}
    return state


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("missing", "1 missing: mid_block.attentions.0.proj_in.weight"),
        ("no average", "--weights raw"),
        ("unexpected", "1 unexpected: decoder.extra.weight"),
        ("stranger", "1 keys that no part of LEGO has: discriminator.weight"),
        ("shape", r"projection_txt.bias is \(700,\) for \(768,\)"),
        ("numbers", "1 of whole numbers: projection_txt.bias"),
        ("no conditioner", "with_vllm_feature"),
        ("other", "no checkpoint of latent diffusion"),
    ],
)
def test_keys_that_do_not_fit_are_named(release, tmp_path, how, words):
    write_checkpoint(tmp_path / "lego.ckpt", spoilt(mini_state(), how))
    with pytest.raises(UserError, match=words):
        convert_lego(tmp_path / "lego.ckpt", tmp_path / "out", release / "clip")
    assert not (tmp_path / "out").exists()


def test_damaged_and_absent_files_are_named(release, tmp_path):
    whole = (release / "lego.ckpt").read_bytes()
    (tmp_path / "short.ckpt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"short.ckpt: damaged, or no checkpoint; fetch it again"):
        convert_lego(tmp_path / "short.ckpt", tmp_path / "out", release / "clip")
    with pytest.raises(UserError, match="no such file"):
        convert_lego(tmp_path / "absent.ckpt", tmp_path / "out", release / "clip")
    with pytest.raises(UserError, match="tokenizer cannot be had"):
        convert_lego(release / "lego.ckpt", tmp_path / "out", tmp_path / "no-clip")
    assert not (tmp_path / "out").exists()


def test_a_full_disk_leaves_nothing_half_written(release, tmp_path, monkeypatch):
    import egoframe.generator.conditioner as module

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.Conditioner, "save_pretrained", full)
    with pytest.raises(UserError, match="No space left on device"):
        convert_lego(release / "lego.ckpt", tmp_path / "out", release / "clip")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_is_left_alone(release, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").write_text("", encoding="utf-8")
    with pytest.raises(UserError, match="exists; give a new folder"):  # before it is read
        convert_lego(release / "absent.ckpt", tmp_path / "out", release / "clip")
    assert (tmp_path / "out" / "precious").exists()


@pytest.mark.parametrize("missing", ["merges.txt", "vocab.json", "tokenizer.json"])
def test_a_clip_without_its_tokenizer_is_refused(release, tmp_path, missing):
    clip = shutil.copytree(release / "clip", tmp_path / "clip")
    told = json.loads((clip / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    (clip / "tokenizer.json").unlink()
    if missing != "tokenizer.json":
        merges = "\n".join(" ".join(pair) for pair in told["merges"])
        (clip / "vocab.json").write_text(json.dumps(told["vocab"]), encoding="utf-8")
        (clip / "merges.txt").write_text(f"#version: 0.2\n{merges}\n", encoding="utf-8")
        convert_lego(release / "lego.ckpt", tmp_path / "both", clip)
        (clip / missing).unlink()
    with pytest.raises(UserError, match=r"tokenizer.json, or vocab.json and merges.txt") as error:
        convert_lego(release / "lego.ckpt", tmp_path / "out", clip)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_tokenizer_of_another_clip_is_refused(release, tmp_path):
    clip = shutil.copytree(release / "clip", tmp_path / "clip")
    told = json.loads((clip / "config.json").read_text(encoding="utf-8"))
    told["text_config"]["vocab_size"] = 100
    (clip / "config.json").write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises(UserError, match=r"its tokenizer knows \d+ tokens, its text model 100"):
        convert_lego(release / "lego.ckpt", tmp_path / "out", clip)


SIZES = ("input_blocks.0.0.weight", "out.2.weight", "input_blocks.1.0.out_layers.3.weight",
         "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight")  # fmt: skip


@pytest.mark.parametrize("shape", [(), (3,), (0, 0)])
@pytest.mark.parametrize(
    "key",
    [
        *(f"{UNET}{name}" for name in SIZES),
        "first_stage_model.encoder.down.0.block.0.conv1.weight",
        "first_stage_model.post_quant_conv.weight",
        "first_stage_model.decoder.mid.attn_1.q.weight",
        "projection_img.weight",
        "projection_txt.weight",
        "self_attn_mix.layers.0.linear1.weight",
    ],
)
def test_tensors_of_any_shape_are_told_in_one_line(
    whole, release, tmp_path, monkeypatch, key, shape
):
    state = {**whole, key: torch.zeros(shape)}
    monkeypatch.setattr(lego, "open_checkpoint", lambda _: state)
    with pytest.raises(UserError, match=r"lego.ckpt: (no|does not fit)") as error:
        convert_lego(tmp_path / "lego.ckpt", tmp_path / "out", release / "clip", weights="raw")
    assert "\n" not in str(error.value)


def test_a_model_tells_what_it_was_made_of(release, tmp_path):
    told = []
    checkpoint = release / "lego.ckpt"
    convert_lego(checkpoint, tmp_path / "out", release / "clip", weights="raw", tell=told.append)
    record = json.loads((tmp_path / "out" / "source.json").read_text(encoding="utf-8"))
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert record == {
        "raw checkpoint": {"repo": None, "revision": None, "sha256": {"lego.ckpt": digest}}
    }
    assert told == ["reading lego.ckpt", "hashing lego.ckpt", f"writing {tmp_path / 'out'}"]


def test_a_tokenizer_that_cannot_be_written_leaves_nothing(release, tmp_path, monkeypatch):
    def full(*_, **__):
        raise Exception("No space left on device (os error 28)")  # as tokenizers does

    monkeypatch.setattr("transformers.CLIPTokenizer.save_pretrained", full)
    with pytest.raises(UserError, match=r"out: cannot be written .No space left on device"):
        convert_lego(release / "lego.ckpt", tmp_path / "out", release / "clip")
    assert list(tmp_path.iterdir()) == []


def test_times_and_noise_levels_are_each_others_inverse(pipe):
    levels = DiscreteSigmas(scaled_linear_alphas(pipe.scheduler))
    times = torch.tensor([0.0, 0.5, 998.25, 999.0])
    found = torch.stack([levels.time(sigma) for sigma in levels.at(times)])
    torch.testing.assert_close(found, times, rtol=1e-4, atol=1e-3)
