"""Captions against BLIP run by hand, and likeness against DistilBERT run by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    BertTokenizer,
    BlipConfig,
    BlipForConditionalGeneration,
    DistilBertConfig,
    DistilBertModel,
)

from egoframe.errors import UserError
from egoframe.evaluation.captions import drop_paths, open_captioner, open_text_similarity
from egoframe.evaluation.protocol import CORRECTED, PAPER
from tests.evaluation.weights import images, pictures

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = [*SPECIAL, "a", "picture", "of", "hand", "drawer", "door", "open", "the", ",", "##ing",
         *"bcdefghijklmnop"]  # fmt: skip
SEP, DEC = 3, len(WORDS)


def tokenizer() -> BertTokenizer:
    return BertTokenizer(vocab={word: k for k, word in enumerate(WORDS)})


@pytest.fixture(scope="module")
def blip(tmp_path_factory) -> Path:
    """A small BLIP that has much to say, and ends its captions at times."""
    torch.manual_seed(2)
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
             "num_attention_heads": 2}  # fmt: skip
    words = small | {
        "encoder_hidden_size": 32, "vocab_size": DEC + 2, "bos_token_id": DEC, "sep_token_id": SEP,
        "pad_token_id": 0, "max_position_embeddings": 32,
    }  # fmt: skip
    model = BlipForConditionalGeneration(
        BlipConfig(text_config=words, vision_config=small | {"image_size": 32, "patch_size": 8})
    )
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    model.text_decoder.cls.predictions.bias.data[SEP] = 1.5
    folder = tmp_path_factory.mktemp("blip")
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def by_hand(folder: Path, picture: torch.Tensor) -> str:
    """One caption, by the parts of transformers' BLIP."""
    model = BlipForConditionalGeneration.from_pretrained(folder).eval()
    square = np.asarray(images(picture[None])[0].resize((32, 32), 3), np.float32) / 255
    mean, deviation = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    pixels = torch.from_numpy((square - np.float32(mean)) / np.float32(deviation))
    seen = model.vision_model(pixels.permute(2, 0, 1)[None]).last_hidden_state
    prompt = torch.tensor([[DEC, *(WORDS.index(word) for word in ("a", "picture", "of"))]])
    said = model.text_decoder.generate(
        input_ids=prompt, encoder_hidden_states=seen, num_beams=3, max_length=20, min_length=5,
        eos_token_id=SEP, pad_token_id=0,
    )[0].tolist()  # fmt: skip
    assert len(said) >= 5
    words = [WORDS[token] for token in said[4:] if len(SPECIAL) <= token < DEC]
    return " ".join(words).replace(" ##", "").replace(" ,", ",")


def test_captions_are_those_of_the_model_run_by_hand(blip):
    batch = pictures(33, 40, 52)  # more than are captioned at once
    captions = open_captioner("blip-base", CORRECTED, blip)(batch)
    few = [0, 7, 29, 30, 32]
    assert [captions[k] for k in few] == [by_hand(blip, batch[k]) for k in few]
    assert len(set(captions)) > 8
    assert len({len(caption.split()) for caption in captions}) > 1


def test_captions_depend_on_neither_order_nor_batch(blip):
    captioner, batch = open_captioner("blip-base", CORRECTED, blip), pictures(8, 40, 52)
    captions = captioner(batch)
    assert captioner(batch.flip(0)) == captions[::-1]
    assert [captioner([picture])[0] for picture in batch] == captions
    assert captioner(iter([batch[0], pictures(1, 64, 48)[0]]))[0] == captions[0]


@pytest.mark.parametrize("name", ["blip-base", "blip-large"])
def test_paper_leaves_parts_out_at_random(blip, name):
    """As the release, whose captions depend on the order of the pictures."""
    captioner, batch = open_captioner(name, PAPER, blip), pictures(8, 40, 52)
    state = torch.get_rng_state()
    captions = captioner(batch)
    assert captioner(batch) == captions
    assert captioner(batch.flip(0)) != captions[::-1]
    assert open_captioner(name, CORRECTED, blip)(batch) != captions
    assert torch.equal(torch.get_rng_state(), state)


def test_branches_are_left_out_the_oftener_the_deeper(blip):
    model = BlipForConditionalGeneration.from_pretrained(blip)
    layers = model.vision_model.encoder.layers
    states = torch.randn(1, 3, 32).expand(20_000, -1, -1)
    whole = [layer.eval().mlp(states[:1]) for layer in layers]
    drop_paths(layers)
    for layer, full, rate in zip(layers, whole, (0, 0.1), strict=True):
        torch.testing.assert_close(layer.mlp(states[:1]), full)
        branches = layer.train().mlp(states)
        left_out = (branches == 0).all(-1).all(-1).float().mean()
        assert left_out.item() == pytest.approx(rate, abs=0.01)
        torch.testing.assert_close(branches.mean(0, keepdim=True), full, rtol=0.01, atol=0.01)
        assert isinstance(layer.self_attn(states[:2]), tuple)


def test_what_is_no_captioner_is_said(tmp_path, blip, monkeypatch):
    monkeypatch.setenv("EGOFRAME_HOME", str(tmp_path))
    with pytest.raises(UserError, match="captioner 'blip': give blip-base or blip-large"):
        open_captioner("blip", PAPER)
    put = r"blip-image-captioning-large: cannot be opened .* put config.json, model.safetensors and"
    with pytest.raises(UserError, match=rf"{put} vocab.txt of Salesforce.* into {tmp_path}"):
        open_captioner("blip-large", PAPER)
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((blip / name).read_bytes())
    with pytest.raises(UserError, match=r"cannot be opened \(no vocab.txt\); put config.json"):
        open_captioner("blip-large", PAPER, tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join([*WORDS, *"qrstuv"]))
    with pytest.raises(UserError, match=r"its vocab.txt has 36 words, for a network of 32"):
        open_captioner("blip-large", PAPER, tmp_path)
    (tmp_path / "config.json").write_text(
        (blip / "config.json")
        .read_text()
        .replace('"num_hidden_layers": 2', '"num_hidden_layers": 3')
    )
    with pytest.raises(UserError, match="this BLIP lacks text_decoder"):
        open_captioner("blip-large", PAPER, tmp_path)


@pytest.fixture(scope="module")
def egovlp(tmp_path_factory) -> tuple[Path, Path]:
    """The text tower among other weights, as published; and the folder of its tokenizer."""
    torch.manual_seed(0)
    state = {
        f"module.text_model.{k}": v
        for k, v in DistilBertModel(DistilBertConfig()).state_dict().items()
    }
    state |= {
        "module.txt_proj.1.weight": torch.randn(256, 768) / 28,
        "module.txt_proj.1.bias": torch.randn(256),
        "module.video_model.cls_token": torch.zeros(1, 1, 768),
    }
    folder = tmp_path_factory.mktemp("egovlp")
    torch.save({"state_dict": state}, folder / "egovlp.pth")
    tokenizer().save_pretrained(folder / "words")
    return folder / "egovlp.pth", folder / "words"


def test_likeness_is_that_of_the_text_tower_run_by_hand(egovlp):
    file, words = egovlp
    compare = open_text_similarity("egovlp-text-ego4d", file, words)
    texts = ["a hand", "a hand of a door, door, door", "drawer" + " door" * 600]
    found = torch.cat((compare.embed(texts[:2]), compare.embed(texts[2:])))
    state = {k.removeprefix("module."): v for k, v in torch.load(file)["state_dict"].items()}
    model = DistilBertModel(DistilBertConfig()).eval()
    model.load_state_dict(
        {k.removeprefix("text_model."): v for k, v in state.items() if k.startswith("text_model.")}
    )
    for text, embedding in zip(texts, found, strict=True):
        tokens = tokenizer()(text, truncation=True, max_length=512, return_tensors="pt").input_ids
        with torch.inference_mode():
            first = model(tokens).last_hidden_state[0, 0]
        expected = state["txt_proj.1.weight"] @ first.clamp(min=0) + state["txt_proj.1.bias"]
        torch.testing.assert_close(embedding, expected, rtol=1e-4, atol=1e-5)
    alike, apart = compare(texts[:1] * 2, texts[:2]).tolist()
    assert alike == pytest.approx(1, abs=1e-6)
    assert apart == pytest.approx(float(torch.cosine_similarity(found[0], found[1], dim=0)))


def test_what_is_no_text_tower_is_said(tmp_path, egovlp, squeezenet, monkeypatch):
    monkeypatch.setenv("EGOFRAME_HOME", str(tmp_path))
    file, _ = egovlp
    with pytest.raises(UserError, match="text similarity 'egovlp': give egovlp-text-ego4d or"):
        open_text_similarity("egovlp")
    with pytest.raises(UserError, match=r"epic_mir_plus.pth: not there; fetch .* by hand"):
        open_text_similarity("egovlp-text-epic")
    with pytest.raises(UserError, match=r"does not fit egovlp-text-ego4d .*missing: text_model"):
        open_text_similarity("egovlp-text-ego4d", squeezenet)
    put = r"distilbert-base-uncased: cannot be opened .* put vocab.txt of distilbert-base-uncased"
    with pytest.raises(UserError, match=put):
        open_text_similarity("egovlp-text-ego4d", file)
