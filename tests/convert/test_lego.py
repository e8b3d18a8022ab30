"""The authors' checkpoint, converted, computes what their code computes."""

import os
import pickle
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import load_file

from egoframe.convert.lego import convert_lego
from egoframe.enhancer.model import Enhancement
from egoframe.errors import UserError
from egoframe.generator import autoencoder
from egoframe.generator.losses import noise_loss
from egoframe.generator.pipeline import ActionFramePipeline
from egoframe.generator.sampling import DiscreteSigmas, Noise, Sampling, scaled_linear_alphas
from tests.convert.ldm_layout import checkpoint_shapes
from tests.convert.ldm_reference import unet_forward
from tests.convert.lego_release import mini_state, write_checkpoint, write_clip
from tests.golden import GOLDEN, lego_mini, needs_golden, noise

UNET = "model.diffusion_model."


@pytest.fixture(scope="module")
def release(tmp_path_factory) -> Path:
    """A miniature release: checkpoint and CLIP's folder."""
    folder = tmp_path_factory.mktemp("release")
    write_checkpoint(folder / "lego.ckpt", mini_state())
    write_clip(folder / "clip")
    return folder


def convert(release: Path, out: Path, **settings) -> ActionFramePipeline:
    convert_lego(release / "lego.ckpt", out, release / "clip", **settings)
    return ActionFramePipeline.from_pretrained(out)


@pytest.fixture(scope="module")
def pipe(release, tmp_path_factory) -> ActionFramePipeline:
    return convert(release, tmp_path_factory.mktemp("ema") / "model")


@pytest.fixture(scope="module")
def raw(release, tmp_path_factory) -> ActionFramePipeline:
    return convert(release, tmp_path_factory.mktemp("raw") / "model", weights="raw")


@pytest.fixture(scope="module")
def golden() -> dict[str, torch.Tensor]:
    return load_file(GOLDEN / "lego_mini_outputs.safetensors")


def same(found: torch.Tensor, wanted: torch.Tensor) -> None:
    """Within 1e-4 of the largest value."""
    assert found.shape == wanted.shape
    assert float((found - wanted).abs().max()) <= 1e-4 * float(wanted.abs().max())


def contexts(pipe: ActionFramePipeline, golden) -> tuple[torch.Tensor, torch.Tensor]:
    said = noise("vllm_text", (2, 77, 5120))
    said[:, 50:] = 0
    ids = torch.tensor([[1] + [2] * 76])
    with torch.no_grad():
        text, null = (
            pipe.text_encoder(tokens).last_hidden_state for tokens in (golden["input_ids"], ids)
        )
        seen = noise("vllm_image", (2, 256, 5120))
        full = pipe.conditioner(text, seen, said)
        dropped = torch.zeros(1, dtype=torch.bool)
        return full, pipe.conditioner(null, seen[:1], said[:1], dropped)


class GoldenNoise(Noise):
    def __init__(self) -> None:
        super().__init__([])
        self.names = iter(["start", *(f"step_{k}" for k in range(9))])

    def __call__(self, like_BCHW: torch.Tensor) -> torch.Tensor:
        name = next(self.names)
        return torch.cat([noise(f"{name}_of_{b}", (1, 4, 8, 8)) for b in (0, 1)])


@needs_golden
def test_the_layout_is_the_releases():
    told = {key: tuple(shape) for key, shape in lego_mini()["filled"].items()}
    assert checkpoint_shapes(base=32, vae=32, text=(600, 256, 2)) == told


@needs_golden
@torch.no_grad()
def test_text_and_conditioner_are_the_releases(pipe, golden):
    full, empty = contexts(pipe, golden)
    same(full[:, :77], golden["text"])
    same(empty[:, :77], golden["text_null"])
    same(full[:, 77:333], golden["image_tokens"])
    same(full[:, 333:], golden["text_tokens"])
    assert (empty[:, 77:] == 0).all()


@needs_golden
@torch.no_grad()
def test_the_autoencoder_is_the_releases(pipe, golden):
    frames, target = (torch.tanh(noise(f"{k}_image", (2, 3, 64, 64))) for k in ("input", "target"))
    same(pipe.encode_frames(frames), golden["input_latent"])
    latents = pipe.encode_frames(target) * pipe.vae.config.scaling_factor
    same(latents, golden["target_latent_mean"])
    same(autoencoder.decode(pipe.vae, latents, frames), golden["decoded"])


@needs_golden
@torch.no_grad()
def test_the_unet_is_the_releases_raw_and_averaged(pipe, raw, golden):
    full, _ = contexts(pipe, golden)
    x = torch.cat((noise("unet_x", (2, 4, 8, 8)), golden["input_latent"]), 1)
    for model, name in ((pipe, "unet_eps_ema"), (raw, "unet_eps_raw")):
        same(model.unet(x, golden["unet_t"], encoder_hidden_states=full).sample, golden[name])


@needs_golden
def test_the_noise_levels_are_the_releases(pipe, golden):
    levels = DiscreteSigmas(scaled_linear_alphas(pipe.scheduler))
    for steps in (10, 100):
        torch.testing.assert_close(
            levels.steps(steps), golden[f"sigmas_{steps}"], rtol=1e-4, atol=0
        )


@needs_golden
@torch.no_grad()
def test_ten_steps_draw_what_the_release_draws(pipe, golden):
    full, empty = contexts(pipe, golden)
    settings = Sampling("euler_ancestral", 10, text_guidance=7.5, image_guidance=1.5)
    latents = pipe.sample_latents(golden["input_latent"], full, empty, GoldenNoise(), settings)
    same(latents, golden["sampled_latent"])
    frames = torch.tanh(noise("input_image", (2, 3, 64, 64)))
    same(autoencoder.decode(pipe.vae, latents, frames), golden["sampled_image"])


@needs_golden
@torch.no_grad()
def test_the_training_loss_is_the_releases(raw, golden):
    full, _ = contexts(raw, golden)
    alphas = scaled_linear_alphas(raw.scheduler)
    loss = noise_loss(
        raw.unet, golden["target_latent_mean"], golden["input_latent"], full, golden["loss_t"],
        noise("loss_noise", (2, 4, 8, 8)), alphas,
    )  # fmt: skip
    torch.testing.assert_close(loss, golden["loss"], rtol=1e-4, atol=0)


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
