import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file, save_file

from egoframe.convert import stable_diffusion
from egoframe.convert.stable_diffusion import convert_stable_diffusion
from egoframe.enhancer.model import Enhancer
from egoframe.enhancer.small import new_model, new_processor
from egoframe.errors import UserError
from egoframe.generator.pipeline import ActionFramePipeline
from egoframe.hub import HubFile, Listing
from egoframe.models import load
from tests.convert.lego_release import TEXTS, mini_state, write_checkpoint, write_clip
from tests.enhancer.families import FAMILIES
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


def test_the_moving_average_is_taken_where_there_is_one(release, vllm, tmp_path):
    """LEGO started from v1-5-pruned-emaonly, whose weights are the average."""
    state = torch.load(release / "sd.ckpt", weights_only=True)["state_dict"]
    for key in [key for key in state if key.startswith("model.diffusion_model.")]:
        state[f"model_ema.{key.removeprefix('model.').replace('.', '')}"] = state[key] + 1
    write_checkpoint(tmp_path / "sd.ckpt", state)
    convert_stable_diffusion(tmp_path / "sd.ckpt", tmp_path / "out", vllm, release / "clip")
    unet = ActionFramePipeline.from_pretrained(tmp_path / "out").unet
    assert torch.equal(unet.conv_in.weight[:, :4], state[FIRST] + 1)


def test_of_checkpoints_on_the_hub_the_average_is_chosen():
    names = ("v1-5.ckpt", "a/v1-5-pruned-emaonly.ckpt", "v1-5-inpainting.ckpt", "emaonly/README.md")
    files = tuple(HubFile(name, 1, None, "") for name in names)
    chosen = stable_diffusion._needed(Listing("owner/sd", "main", files)).files
    assert [file.path for file in chosen] == ["a/v1-5-pruned-emaonly.ckpt"]
    chosen = stable_diffusion._needed(Listing("owner/sd", "main", files[2:] + files[:1])).files
    assert [file.path for file in chosen] == ["v1-5.ckpt"]


def spoilt(vllm: Path, place: Path, file: str, content: str | None) -> Path:
    shutil.copytree(vllm, place)
    if content is None:
        (place / file).unlink()
    else:
        (place / file).write_text(content, encoding="utf-8")
    return place


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("config.json", None, "no config.json here"),
        ("config.json", "{}", "config.json is amiss"),
        ("config.json", "[", "config.json is amiss"),
        ("config.json", "[]", "config.json is amiss"),
        ("config.json", '{"model_type": "bert"}', "a bert, which sees no images"),
        ("config.json", '{"auto_map": {"AutoConfig": "x.Y"}, "model_type": "x"}', "is amiss"),
        ("model.safetensors", None, r"no \*.safetensors here"),
        ("processor_config.json", None, "no image processor"),
        ("processor_config.json", "{}", "processor"),
        ("processor_config.json", "[", "processor"),
        ("tokenizer.json", "{}", "processor"),
    ],
)
def test_what_is_no_enhancer_is_told_before_anything_is_written(
    release, vllm, tmp_path, file, content, told
):
    folder = spoilt(vllm, tmp_path / "vllm", file, content)
    with pytest.raises(UserError, match=f"vllm: .*{told}") as error:
        convert_stable_diffusion(release / "sd.ckpt", tmp_path / "out", folder, release / "clip")
    assert "\n" not in str(error.value)
    assert os.listdir(tmp_path) == ["vllm"]


@pytest.mark.parametrize("family", ["qwen2_5_vl", "llava"])
def test_enhancers_in_the_hubs_layout_will_do(release, tmp_path, family):
    """Older folders have their image processor in a file of its own."""
    folder = tmp_path / "vllm"
    FAMILIES[family]().save_pretrained(folder)
    told = json.loads((folder / "processor_config.json").read_text(encoding="utf-8"))
    told = told.get("image_processor", {}) | {"processor_class": told["processor_class"]}
    (folder / "processor_config.json").unlink()
    (folder / "preprocessor_config.json").write_text(json.dumps(told), encoding="utf-8")
    (folder / "README.md").touch()
    convert_stable_diffusion(release / "sd.ckpt", tmp_path / "out", folder, release / "clip")
    assert load(tmp_path / "out").enhancer is not None
    assert not list((tmp_path / "out").rglob("README.md"))


def test_only_weights_are_linked(start, vllm):
    assert (start / "enhancer/model.safetensors").samefile(vllm / "model.safetensors")
    assert not (start / "enhancer/config.json").samefile(vllm / "config.json")


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
        hub.asked.clear()
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # all is there
        convert_stable_diffusion("owner/sd", tmp_path / "again", vllm, release / "clip")
        assert hub.asked == []
    expected = ActionFramePipeline.from_pretrained(start).unet.state_dict()
    for key, value in (
        ActionFramePipeline.from_pretrained(tmp_path / "model").unet.state_dict().items()
    ):
        assert torch.equal(value, expected[key])


def test_two_runs_do_not_fetch_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv("EGOFRAME_HOME", str(tmp_path))
    with hub_server({"owner/sd": {"sd.ckpt": b"weights"}}) as hub:
        hub.visit(monkeypatch)
        with ThreadPoolExecutor() as pool:
            places = set(pool.map(stable_diffusion.fetched, ["owner/sd"] * 4))
        assert hub.downloads() == ["sd.ckpt"]
    assert [place.read_bytes() for place in places] == [b"weights"]


def test_a_hub_that_is_out_of_reach_is_told(release, vllm, tmp_path, monkeypatch):
    monkeypatch.setenv("EGOFRAME_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"cannot be had from the hub .*; fetch it by other means"):
        convert_stable_diffusion("owner/sd", tmp_path / "out", vllm, release / "clip")
