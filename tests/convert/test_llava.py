"""The authors' LLaVA, converted, computes what its parts compute when put together by hand."""

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModel

from egoframe.convert import shards
from egoframe.convert.llava import SYSTEM, convert_llava
from egoframe.enhancer.model import Enhancer
from egoframe.enhancer.opening import open_model
from egoframe.enhancer.prompts import question
from egoframe.errors import UserError
from tests.convert.llava_release import (
    VISION,
    WIDTH,
    language_model,
    packed,
    state,
    tower_state,
    write_clip,
    write_release,
)
from tests.enhancer.families import WORDS, llama_tokenizer

SHARD = "pytorch_model-00002-of-00002.bin"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A release, its CLIP, and what they are converted to."""
    folder = tmp_path_factory.mktemp("llava")
    write_release(folder / "release")
    write_clip(folder / "clip")
    convert_llava(folder / "release", folder / "model", folder / "clip")
    return folder


@pytest.fixture(scope="module")
def enhancer(made) -> Enhancer:
    return Enhancer.from_pretrained(made / "model")


@pytest.fixture
def release(made, tmp_path) -> Path:
    """A release to spoil."""
    return shutil.copytree(made / "release", tmp_path / "release")


def photo() -> Image.Image:
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8))


def taken_out(release: Path) -> dict[str, torch.Tensor]:
    """All weights of a release, which has none any more."""
    tensors = {}
    for file in sorted(release.glob("pytorch_model-*.bin")):
        tensors |= torch.load(file, weights_only=True)
        file.unlink()
    (release / "pytorch_model.bin.index.json").unlink()
    return tensors


def told(folder: Path) -> dict:
    return json.loads((folder / "config.json").read_text(encoding="utf-8"))


def seen_by_hand(pixels: torch.Tensor, weights: dict[str, torch.Tensor], plus: float = 0):
    """CLIP's patches before its last layer, through the linear projector."""
    tower = CLIPVisionModel(CLIPVisionConfig(**VISION)).eval()
    names = list(tower.state_dict())
    prefix = "vision_model." if names[0].startswith("vision_model.") else ""
    tower.load_state_dict({prefix + key: value + plus for key, value in tower_state().items()})
    patches = tower(pixels, output_hidden_states=True).hidden_states[-2][:, 1:]
    linear = torch.nn.Linear(patches.shape[-1], WIDTH)
    linear.weight.data, linear.bias.data = (
        weights[f"model.mm_projector.{name}"] for name in ("weight", "bias")
    )
    return linear(patches)


@torch.no_grad()
def test_its_logits_are_those_of_its_parts(made, enhancer):
    settings = told(made / "release")
    weights = state(settings)
    language = language_model(settings).eval()
    language.load_state_dict({k: v for k, v in weights.items() if k in language.state_dict()})
    inputs = enhancer.inputs([photo()], [question("open drawer")])
    here = inputs["input_ids"][0] == enhancer.model.config.image_token_id
    assert here.sum() == 16
    ids = torch.where(here, 0, inputs["input_ids"][0])
    embeds = language.get_input_embeddings()(ids)
    embeds[here] = seen_by_hand(inputs["pixel_values"], weights)[0]
    wanted = language(inputs_embeds=embeds[None]).logits
    found = enhancer.model(**inputs).logits
    torch.testing.assert_close(found[..., : wanted.shape[-1]], wanted, atol=1e-5, rtol=0)
    assert (found[..., wanted.shape[-1] :].amax(-1) < wanted.amax(-1)).all()  # no new token is said


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_the_projector_is_the_linear_layer_bit_for_bit(made, tmp_path, dtype):
    convert_llava(made / "release", tmp_path / "model", made / "clip", dtype)
    model = Enhancer.from_pretrained(tmp_path / "model").model
    assert model.dtype == dtype
    weight, bias = (state(told(made / "release"))[f"model.mm_projector.{k}"].to(dtype)
                    for k in ("weight", "bias"))  # fmt: skip
    seen = torch.randn(2, 16, weight.shape[1], generator=torch.manual_seed(0)).to(dtype)
    projected = model.model.multi_modal_projector(seen)
    assert torch.equal(projected, torch.nn.functional.linear(seen, weight, bias))


@torch.no_grad()
def test_image_features_are_clips_patches_projected(made, enhancer):
    pixels = enhancer.inputs([photo()], ["x"])["pixel_values"]
    wanted = seen_by_hand(pixels, state(told(made / "release")))
    torch.testing.assert_close(enhancer.embed_images([photo()]), wanted, atol=1e-6, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("trained", [True, False])
def test_a_tower_in_the_release_is_taken_if_it_was_trained(made, tmp_path, trained):
    """LEGO's own code builds the tower later, of CLIP's weights, and drops those in the release."""
    clip = shutil.copytree(made / "clip", tmp_path / "clip")
    write_release(tmp_path / "release", tower=True, unfreeze_mm_vision_tower=trained)
    if trained:
        (clip / "model.safetensors").unlink()
    convert_llava(tmp_path / "release", tmp_path / "model", clip)
    enhancer = Enhancer.from_pretrained(tmp_path / "model")
    pixels = enhancer.inputs([photo()], ["x"])["pixel_values"]
    plus = 0.01 if trained else 0
    wanted = seen_by_hand(pixels, state(told(tmp_path / "release")), plus)
    torch.testing.assert_close(enhancer.embed_images([photo()]), wanted, atol=1e-6, rtol=0)


@pytest.mark.parametrize("dtype", [None, torch.float32, torch.float16])
def test_clip_keeps_its_precision_on_disk(made, tmp_path, dtype):
    write_release(tmp_path / "release", dtype=torch.bfloat16)
    convert_llava(tmp_path / "release", tmp_path / "model", made / "clip")
    model = open_model(tmp_path / "model", dtype)
    assert {x.dtype for x in model.parameters()} == {dtype or torch.bfloat16}
    key = "embeddings.class_embedding"
    found = next(v for k, v in model.state_dict().items() if k.endswith(key))
    assert torch.equal(found, tower_state()[key].to(dtype or torch.bfloat16))


def test_buffers_are_no_weights(made, release, tmp_path):
    """The first tensors of a file may be whole numbers, or of a precision of their own."""
    tensors = {"a.position_ids": torch.arange(9)}
    for key, value in taken_out(release).items():
        tensors[key] = value if key.endswith("inv_freq") else value.half()
    save_file(tensors, release / "model.safetensors")
    convert_llava(release, tmp_path / "model", made / "clip")
    assert told(tmp_path / "model")["dtype"] == "float16"
    assert open_model(tmp_path / "model").dtype == torch.float16


def test_prompt_and_answer_are_tokenised_as_in_its_training(enhancer):
    """What stands on either side of the picture is tokenised by itself there."""
    tokenizer, plain = enhancer.processor.tokenizer, llama_tokenizer(marks=())

    def alone(text: str) -> list[int]:
        return plain(text, add_special_tokens=False)["input_ids"]

    before = alone(f"[INST] <<SYS>>\n{SYSTEM}\n<</SYS>>\n\n")
    after = alone(f"\n{question('open drawer')} [/INST]")
    image = [tokenizer.convert_tokens_to_ids("<image>")] * 16
    prompt = enhancer.inputs([photo()], [question("open drawer")])["input_ids"][0].tolist()
    assert prompt == [1, *before, *image, *after]
    both = alone(f"\n{question('open drawer')} [/INST] {WORDS[0]} ")
    assert enhancer._answer_tokens(question("open drawer"), WORDS[0]).tolist() == [
        *both[len(after) :],
        2,
    ]


def test_its_answers_may_be_long_and_it_knows_its_marks(enhancer):
    settings, tokenizer = enhancer.model.generation_config, enhancer.processor.tokenizer
    assert settings.max_new_tokens == 1024
    assert tokenizer.pad_token == "<pad>" != tokenizer.eos_token
    assert enhancer.model.config.text_config.vocab_size == len(tokenizer)
    assert enhancer.processor.image_processor.crop_size["height"] == 32
    with pytest.raises(UserError, match="<image> is a mark"):
        enhancer.describe([photo()], ["open <image>"])
    settings.max_new_tokens = 9
    out = enhancer([photo()] * 2, ["open drawer", "take the big mug"])
    settings.max_new_tokens = 1024
    assert out.image_embeds.shape == (2, 16, WIDTH)
    assert out.text_mask.any(1).all()


def test_a_zip_gives_the_same_as_its_folder(made, tmp_path):
    archive = packed(made / "release", tmp_path / "release")
    with zipfile.ZipFile(archive, "a") as more:
        more.writestr("release/../../escaped.json", "{}")
        more.writestr("__MACOSX/release/._config.json", "x")
    convert_llava(archive, tmp_path / "in" / "model", made / "clip")
    assert sorted(os.listdir(tmp_path)) == ["in", "release.zip"]
    assert os.listdir(tmp_path / "in") == ["model"]
    first, second = (folder / "model" for folder in (made, tmp_path / "in"))
    names = sorted(os.listdir(first))
    assert sorted(os.listdir(second)) == names
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_weights_are_written_in_pieces_that_keep_their_dtype(made, tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "MAX_SHARD", 20_000)
    write_release(tmp_path / "release", dtype=torch.bfloat16)
    convert_llava(tmp_path / "release", tmp_path / "model", made / "clip")
    files = sorted((tmp_path / "model").glob("*.safetensors"))
    assert len(files) > 3
    for file in files:
        with safe_open(file, "pt") as part:
            names = list(part.keys())
            tensors = [part.get_tensor(name) for name in names]
        clips = names[0].startswith("vision_tower")
        assert {x.dtype for x in tensors} == {torch.float32 if clips else torch.bfloat16}
        assert len(tensors) == 1 or sum(tensor.nbytes for tensor in tensors) <= 20_000
    assert Enhancer.from_pretrained(tmp_path / "model").model.dtype == torch.bfloat16


def test_a_single_file_of_weights_will_do(made, release, tmp_path):
    torch.save(taken_out(release), release / "pytorch_model.bin")
    convert_llava(release, tmp_path / "model", made / "clip")
    wanted, found = (open_model(place / "model").state_dict() for place in (made, tmp_path))
    assert all(torch.equal(found[key], wanted[key]) for key in wanted)


def test_the_picture_stands_between_marks_where_the_release_says_so(made, tmp_path):
    write_release(tmp_path / "release", mm_use_im_start_end=True)
    convert_llava(tmp_path / "release", tmp_path / "model", made / "clip")
    template = (tmp_path / "model" / "chat_template.jinja").read_text(encoding="utf-8")
    assert "<im_start><image><im_end>" in template


def test_a_sentencepiece_model_will_do_for_a_tokenizer(made, release, tmp_path):
    sentencepiece = pytest.importorskip("sentencepiece")
    pytest.importorskip("google.protobuf")
    for file in release.glob("tokenizer*"):
        file.unlink()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([*WORDS, SYSTEM, question("take mug"), "[INST] [/INST] <<SYS>>"]),
        model_prefix=str(release / "tokenizer"), vocab_size=340, model_type="bpe",
        byte_fallback=True, remove_extra_whitespaces=False, normalization_rule_name="identity",
        minloglevel=2, hard_vocab_limit=False,
    )  # fmt: skip
    pieces = sentencepiece.SentencePieceProcessor(str(release / "tokenizer.model"))
    settings = told(release) | {"vocab_size": len(pieces)}
    (release / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    (release / "pytorch_model.bin.index.json").unlink()
    torch.save(state(settings), release / "pytorch_model.bin")
    convert_llava(release, tmp_path / "model", made / "clip")
    enhancer = Enhancer.from_pretrained(tmp_path / "model")
    before, after = (
        pieces.encode(text)
        for text in (f"[INST] <<SYS>>\n{SYSTEM}\n<</SYS>>\n\n", f"\n{question('cut')} [/INST]")
    )
    prompt = enhancer.inputs([photo()], [question("cut")])["input_ids"][0].tolist()
    assert prompt == [1, *before, *[len(pieces)] * 16, *after]


def spoil_config(**changes: object) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        told_now = {k: v for k, v in (told(folder) | changes).items() if v != "gone"}
        (folder / "config.json").write_text(json.dumps(told_now), encoding="utf-8")

    return spoil


def spoil_index(places: object) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        told_now = json.dumps({"weight_map": places})
        (folder / "pytorch_model.bin.index.json").write_text(told_now, encoding="utf-8")

    return spoil


def spoil_shard(change: Callable[[dict], object]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        tensors = torch.load(folder / SHARD, weights_only=True)
        change(tensors)
        torch.save(tensors, folder / SHARD)

    return spoil


def without(*names: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return spoil


def truncate(folder: Path) -> None:
    (folder / SHARD).write_bytes((folder / SHARD).read_bytes()[:5000])


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (truncate, f"{SHARD}: damaged"),
        (without(SHARD), f"shards that pytorch_model.bin.index.json names are missing: {SHARD}"),
        (without("pytorch_model.bin.index.json"), "no weights in it"),
        (without("tokenizer.json"), "no tokenizer in it: tokenizer.json or tokenizer.model"),
        (without("config.json"), "no config.json in it"),
        (
            spoil_shard(lambda t: t.update({"lm_head.weight": torch.ones(3, WIDTH)})),
            r"1 of another shape: lm_head.weight is \(3, 32\) for",
        ),
        (spoil_shard(lambda t: t.pop("lm_head.weight")), "1 missing: lm_head.weight"),
        (
            spoil_shard(lambda t: t.update({"model.strange": torch.ones(3)})),
            "1 unexpected: model.strange",
        ),
        (spoil_config(text_config={}), "in transformers' own layout; it needs no converting"),
        (spoil_config(model_type="llava_mpt"), "no LLaVA with Llama 2 .model_type is 'llava_mpt'"),
        (spoil_config(mm_hidden_size="gone"), "lacks a number as mm_hidden_size"),
        (spoil_config(hidden_size="32"), "lacks a number as hidden_size"),
        (spoil_config(rms_norm_eps=[1]), "no LLaVA has what its config.json says"),
        (spoil_config(num_attention_heads=0), "no LLaVA has what its config.json says"),
        (spoil_config(mm_vision_tower=3), "mm_vision_tower in its config.json is no name"),
        (spoil_config(mm_vision_select_layer="last"), "no LLaVA has what its config.json says"),
        (spoil_index([]), "names no file for each weight"),
        (spoil_index({"lm_head.weight": 3}), "names no file for each weight"),
        (spoil_index({"lm_head.weight": "../x.bin"}), r"names are missing: \.\./x.bin"),
        (spoil_config(mm_projector_type="mlp2x_gelu"), "its projector is mlp2x_gelu, not"),
        (spoil_config(mm_hidden_size=24), "CLIP's width is 16, LLaVA's projector takes 24"),
    ],
)
def test_a_faulty_release_is_refused_in_one_line(made, release, tmp_path, spoil, line):
    spoil(release)
    with pytest.raises(UserError, match=line) as refused:
        convert_llava(release, tmp_path / "model", made / "clip")
    assert str(tmp_path / "release") in str(refused.value) or "clip" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert os.listdir(tmp_path) == ["release"]


class Bomb:
    def __reduce__(self):
        return os.system, (f"touch {os.environ['EGOFRAME_TEST_BOMB']}",)


def test_a_pickle_that_would_run_a_command_does_not(made, release, tmp_path, monkeypatch):
    mark = tmp_path / "ran"
    monkeypatch.setenv("EGOFRAME_TEST_BOMB", str(mark))
    torch.save({"model.norm.weight": Bomb()}, release / SHARD)
    with pytest.raises(UserError, match=f"{SHARD}: not opened, for it holds objects that are not"):
        convert_llava(release, tmp_path / "model", made / "clip")
    assert not mark.exists()
    torch.load(release / SHARD, weights_only=False)
    assert mark.exists()  # it would have run


def test_what_clip_lacks_is_named(made, release, tmp_path):
    with pytest.raises(UserError, match=r"fetch config.json, .* and tokenizer.json of"):
        convert_llava(release, tmp_path / "model")
    clip = shutil.copytree(made / "clip", tmp_path / "clip")
    (clip / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"clip/model.safetensors: no such file"):
        convert_llava(release, tmp_path / "model", clip)
    spoil_config(model_type="bert")(clip)
    with pytest.raises(UserError, match="clip: no CLIP model, but a bert"):
        convert_llava(release, tmp_path / "model", clip)
    (clip / "config.json").unlink()
    with pytest.raises(UserError, match="clip: no CLIP model"):
        convert_llava(release, tmp_path / "model", clip)
    shutil.rmtree(clip)
    spoil_config(mm_vision_tower="openai/clip-vit-large-patch14-336")(release)
    with pytest.raises(UserError, match="it sees with clip-vit-large-patch14-336; give the folder"):
        convert_llava(release, tmp_path / "model")


def test_a_damaged_zip_is_refused(made, tmp_path):
    archive = packed(made / "release", tmp_path / "release")
    content = bytearray(archive.read_bytes())
    place = content.index(SHARD.encode()) + 2000
    content[place : place + 400] = bytes(400)
    archive.write_bytes(content)
    with pytest.raises(UserError, match=f"release.zip: damaged: {SHARD} cannot be read"):
        convert_llava(archive, tmp_path / "model", made / "clip")
    broken = content.replace(b"PK\x01\x02", b"PK\x01\x09")  # its table of contents
    for name, spoilt in (("half.zip", content[: len(content) // 2]), ("broken.zip", broken),
                          ("text.zip", b"no archive")):  # fmt: skip
        (tmp_path / name).write_bytes(spoilt)
        with pytest.raises(UserError, match=f"{name}: neither a folder nor a whole .zip"):
            convert_llava(tmp_path / name, tmp_path / "model", made / "clip")
    with pytest.raises(UserError, match=r"absent: cannot be read .No such file"):
        convert_llava(tmp_path / "absent", tmp_path / "model", made / "clip")
