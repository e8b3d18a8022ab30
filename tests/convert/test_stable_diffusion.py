from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file, save_file

from egoframe.convert.stable_diffusion import convert_stable_diffusion
from egoframe.enhancer.model import Enhancer
from egoframe.enhancer.small import new_model, new_processor
from egoframe.errors import UserError
from egoframe.generator.pipeline import ActionFramePipeline
from tests.convert.lego_release import TEXTS, mini_state, write_checkpoint, write_clip
from tests.golden import noise
from tests.hub_server import hub_server

FIRST = "model.diffusion_model.input_blocks.0.0.weight"


@pytest.fixture(scope="module")
def vllm(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("vllm")
    processor = new_processor(TEXTS * 20, vocab_size=380)
    Enhancer(new_model(processor, vision_dim=48, text_dim=64), processor).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def release(tmp_path_factory) -> Path:
    """Stable Diffusion in miniature, as a checkpoint without a moving average."""
    folder = tmp_path_factory.mktemp("sd")
    state = {key: value for key, value in mini_state().items() if "_ema" not in key}
    state = {key: v for key, v in state.items() if not key.startswith(("projection", "self_attn"))}
    state[FIRST] = state[FIRST][:, :4].clone()
    write_checkpoint(folder / "sd.ckpt", state)
    write_clip(folder / "clip")
    return folder


@pytest.fixture(scope="module")
def start(release, vllm, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("start") / "model"
    convert_stable_diffusion(release / "sd.ckpt", out, vllm, release / "clip")
    return out


@torch.no_grad()
def test_the_input_frame_changes_nothing_yet(start, release):
    unet = ActionFramePipeline.from_pretrained(start).unet
    assert unet.config.in_channels == 8
    state = torch.load(release / "sd.ckpt", weights_only=True)["state_dict"]
    assert torch.equal(unet.conv_in.weight[:, :4], state[FIRST])
    x, t, context = noise("x", (1, 4, 8, 8)), torch.tensor(500), noise("c", (1, 20, 768))
    outs = [
        unet(torch.cat((x, frame), 1), t, encoder_hidden_states=context).sample
        for frame in (torch.zeros(1, 4, 8, 8), noise("frame", (1, 4, 8, 8)))
    ]
    assert torch.equal(*outs)


def test_it_draws_with_its_enhancer(start):
    from tests.generator.test_pipeline import photo

    pipe = ActionFramePipeline.from_pretrained(start)
    pipe.enhancer.generation_config.max_new_tokens = 5
    assert pipe.conditioner.config.image_embed_dim == 64
    assert pipe(photo(), "open the drawer", steps=1).images[0].size == (256, 256)


def test_a_diffusers_folder_gives_the_same_model(start, release, vllm, tmp_path):
    pipe = ActionFramePipeline.from_pretrained(start)
    stock = {name: getattr(pipe, name) for name in ("vae", "text_encoder", "tokenizer")}
    wide = pipe.unet.conv_in
    narrow = torch.nn.Conv2d(4, wide.out_channels, 3, padding=1)
    narrow.load_state_dict({"weight": wide.weight[:, :4].detach(), "bias": wide.bias.detach()})
    pipe.unet.conv_in = narrow
    pipe.unet.register_to_config(in_channels=4)
    StableDiffusionPipeline(
        **stock, unet=pipe.unet, scheduler=pipe.scheduler, safety_checker=None,
        feature_extractor=None,
    ).save_pretrained(tmp_path / "sd")  # fmt: skip
    convert_stable_diffusion(tmp_path / "sd", tmp_path / "model", vllm)
    again = ActionFramePipeline.from_pretrained(tmp_path / "model")
    first = ActionFramePipeline.from_pretrained(start)
    for part in ("unet", "vae", "text_encoder", "conditioner"):
        expected = getattr(first, part).state_dict()
        for key, value in getattr(again, part).state_dict().items():
            assert torch.equal(value, expected[key])


def test_what_is_no_stable_diffusion_is_named(release, vllm, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no unet, vae, text_encoder, tokenizer here"):
        convert_stable_diffusion(tmp_path / "empty", tmp_path / "out", vllm)
    write_checkpoint(tmp_path / "lego.ckpt", mini_state())
    with pytest.raises(UserError, match="reads 8 channels, not the 4"):
        convert_stable_diffusion(tmp_path / "lego.ckpt", tmp_path / "out", vllm, release / "clip")
    with pytest.raises(UserError, match=r"no config.json here; give a VLLM's folder"):
        convert_stable_diffusion(
            release / "sd.ckpt", tmp_path / "out", tmp_path / "empty", release / "clip"
        )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("layout", ["diffusers", "checkpoint"])
def test_a_hub_id_is_fetched(layout, start, release, vllm, tmp_path, monkeypatch):
    if layout == "checkpoint":
        files = {
            "a-folder/variant-of-it.ckpt": b"not this",
            "sd.ckpt": (release / "sd.ckpt").read_bytes(),
        }
    else:
        pipe = ActionFramePipeline.from_pretrained(start)
        for name in ("unet", "vae", "text_encoder", "tokenizer"):
            getattr(pipe, name).save_pretrained(tmp_path / "sd" / name)
        config = tmp_path / "sd" / "unet" / "config.json"
        config.write_text(config.read_text().replace('"in_channels": 8', '"in_channels": 4'))
        weights = tmp_path / "sd" / "unet" / "diffusion_pytorch_model.safetensors"
        state = load_file(weights)
        save_file({**state, "conv_in.weight": state["conv_in.weight"][:, :4].clone()}, weights)
        paths = (path for path in (tmp_path / "sd").rglob("*") if path.is_file())
        files = {str(path.relative_to(tmp_path / "sd")): path.read_bytes() for path in paths}
        files["model_index.json"] = b"{}"
        files["safety_checker/model.safetensors"] = b"not this"
    monkeypatch.setenv("EGOFRAME_HOME", str(tmp_path / "home"))
    with hub_server({"owner/sd": files}) as hub:
        hub.visit(monkeypatch)
        convert_stable_diffusion("owner/sd", tmp_path / "model", vllm, release / "clip")
        assert not any("variant" in path or "safety" in path for path in hub.downloads())
    expected = ActionFramePipeline.from_pretrained(start).unet.state_dict()
    for key, value in (
        ActionFramePipeline.from_pretrained(tmp_path / "model").unet.state_dict().items()
    ):
        assert torch.equal(value, expected[key])


def test_a_hub_that_is_out_of_reach_is_told(release, vllm, tmp_path, monkeypatch):
    monkeypatch.setenv("EGOFRAME_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"cannot be had from the hub .*; fetch it by other means"):
        convert_stable_diffusion("owner/sd", tmp_path / "out", vllm, release / "clip")
