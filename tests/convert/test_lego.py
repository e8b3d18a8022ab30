"""The authors' checkpoint, converted, computes what their code computes."""

import os
import pickle
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

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
    with pytest.raises(UserError, match="holds more than weights") as error:
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
    for name, content in (("short.ckpt", whole[: len(whole) // 2]), ("text.ckpt", b"hello")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=f"{name}: damaged, or no checkpoint"):
            convert_lego(tmp_path / name, tmp_path / "out", release / "clip")
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
    with pytest.raises(UserError, match="exists; give a new folder"):
        convert_lego(release / "lego.ckpt", tmp_path / "out", release / "clip")
    assert (tmp_path / "out" / "precious").exists()


def test_times_and_noise_levels_are_each_others_inverse(pipe):
    levels = DiscreteSigmas(scaled_linear_alphas(pipe.scheduler))
    times = torch.tensor([0.0, 0.5, 998.25, 999.0])
    found = torch.stack([levels.time(sigma) for sigma in levels.at(times)])
    torch.testing.assert_close(found, times, rtol=1e-4, atol=1e-3)
