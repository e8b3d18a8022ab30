"""Metrics from files to figures: golden values, transformers' own CLIP, batches, wrong files."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from transformers import CLIPConfig, CLIPModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from egoframe.errors import UserError
from egoframe.evaluation.distributions import frechet_distance, kernel_distance
from egoframe.evaluation.extractors import CLIP_LOOKS, METRICS, normalised, open_metric, similarity
from egoframe.evaluation.protocol import CORRECTED, PAPER
from tests.evaluation.weights import golden_file, golden_outputs, golden_pictures, images, pictures
from tests.golden import needs_golden


def near(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()


@needs_golden
def test_inception(tmp_path):
    """The features of FID, whatever the batch; and sets that are the same, in another order."""
    extract = open_metric("inception", PAPER, golden_file(tmp_path, "inception"))
    truth, drawn = golden_pictures()
    found = extract(truth, truth)
    assert (extract.width, found.dtype) == (found.shape[1], torch.float32)
    near(found, golden_outputs()["fid_features"])
    alone = torch.cat([extract(drawn[:1], drawn[:1]), extract(drawn[1:], drawn[1:])])
    near(alone, golden_outputs()["fid_features_2"])
    assert frechet_distance(found, found.flip(0)) == pytest.approx(0, abs=1e-6)
    assert kernel_distance(found, found.flip(0)).value <= 0


@needs_golden
@pytest.mark.parametrize("net", ["alex", "squeeze", pytest.param("vgg", marks=pytest.mark.slow)])
def test_lpips(tmp_path, net):
    distance = open_metric(f"lpips-{net}", CORRECTED, golden_file(tmp_path, f"lpips-{net}"))
    truth, drawn = (x[:2] for x in golden_pictures())
    found = distance(truth, drawn)
    near(found, golden_outputs()[f"lpips_{net}"][:2])
    torch.testing.assert_close(distance(truth[:1], drawn[:1]), found[:1])
    assert distance(truth[:1], truth[:1]) == 0


@needs_golden
@pytest.mark.slow
@pytest.mark.parametrize(("frames", "dataset"), [(4, "ego4d"), (16, "epic")])
def test_egovlp(tmp_path, frames, dataset):
    file, golden = golden_file(tmp_path, f"egovlp-{dataset}"), golden_outputs()
    (truth, before), drawn = golden_pictures()[0][:2].unsqueeze(1), golden_pictures()[1][:1]
    extract = open_metric(f"egovlp-{dataset}", PAPER, file)
    alone = [extract(x, before) for x in (truth, drawn)]
    near(alone[0], golden[f"egovlp_{frames}_gt"])
    near(alone[1], golden[f"egovlp_{frames}_gen"])
    near(similarity(*alone)[0], golden[f"egovlp_{frames}_similarity"])
    assert similarity(alone[0], alone[0]).item() == pytest.approx(1, abs=1e-6)
    after = open_metric(f"egovlp-plus-{dataset}", PAPER, file)
    together = after(torch.cat((truth, drawn)), torch.cat((before, before)))
    near(similarity(together[:1], together[1:])[0], golden[f"egovlp_{frames}_plus_similarity"])
    assert after.sha256 == extract.sha256


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """A small CLIP, both towers, as the hub's are."""
    torch.manual_seed(0)
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
             "num_attention_heads": 2, "initializer_range": 1.0}  # fmt: skip
    config = CLIPConfig(text_config=small | {"vocab_size": 9}, projection_dim=24,
                        vision_config=small | {"image_size": 224, "patch_size": 32})  # fmt: skip
    folder = tmp_path_factory.mktemp("clip")
    CLIPModel(config).save_pretrained(folder)
    return folder


def test_corrected_clip_is_transformers_own(clip):
    extract, batch = open_metric("clip", CORRECTED, clip), pictures(3, 256, 342)
    pixels = CLIPImageProcessorPil()(images(batch), return_tensors="pt")
    with torch.inference_mode():
        theirs = CLIPModel.from_pretrained(clip).get_image_features(**pixels).pooler_output
    found = extract(batch, batch)
    assert (extract.width, len(extract.sha256)) == (24, 64)
    torch.testing.assert_close(found, theirs)
    alone = torch.cat([extract(picture[None], picture[None]) for picture in batch])
    torch.testing.assert_close(alone, found)
    assert similarity(found, found).tolist() == pytest.approx([1] * 3, abs=1e-6)


def test_paper_clip_squashes_pictures(clip):
    batch = pictures(2, 256, 342)
    squashed = F.interpolate(batch, 224, mode="bicubic", align_corners=False)
    with torch.inference_mode():
        model = CLIPModel.from_pretrained(clip).get_image_features
        theirs = model(pixel_values=normalised(squashed, CLIP_LOOKS)).pooler_output
    found = open_metric("clip", PAPER, clip)(batch, batch)
    torch.testing.assert_close(found, theirs)
    assert (similarity(found, open_metric("clip", CORRECTED, clip)(batch, batch)) < 0.999).all()


def test_a_drawn_picture_of_another_size_is_measured_at_the_true_ones(tmp_path, squeezenet):
    truth, drawn = pictures(2, 64, 114), pictures(2, 64, 113, seed=1)
    distance = open_metric("lpips-squeeze", PAPER, squeezenet)
    same = F.interpolate(drawn, (64, 114), mode="bilinear", align_corners=False)
    torch.testing.assert_close(distance(truth, drawn), distance(truth, same))
    assert "bilinear" in distance.resize


def test_each_metric_tells_what_it_was_measured_with(clip, squeezenet):
    told = {
        (name, protocol.name): open_metric(name, protocol, file).resize
        for name, file in (("clip", clip), ("lpips-squeeze", squeezenet))
        for protocol in (PAPER, CORRECTED)
    }
    assert "squashed to 224²" in told["clip", "paper"]
    assert "antialiased" in told["clip", "corrected"]
    assert "0 to 1 taken for −1 to 1" in told["lpips-squeeze", "paper"]


def test_no_such_metric_or_clip_is_said(tmp_path, clip, monkeypatch):
    monkeypatch.setenv("EGOFRAME_HOME", str(tmp_path))
    with pytest.raises(UserError, match="metric 'fid': give one of inception, clip, egovlp"):
        open_metric("fid", PAPER)
    assert all(name in str(METRICS) for name in ("egovlp-plus-epic", "lpips-vgg"))
    lack = r"clip-vit-large-patch14: cannot be opened .* put config.json and model.safetensors"
    with pytest.raises(UserError, match=rf"{lack} of openai/.* into {tmp_path}/metrics/clip-vit"):
        open_metric("clip", PAPER)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "model.safetensors").write_bytes((clip / "model.safetensors").read_bytes())
    with pytest.raises(UserError, match="no CLIP, but a bert"):
        open_metric("clip", PAPER, tmp_path)
    (tmp_path / "config.json").write_text(
        (clip / "config.json")
        .read_text()
        .replace('"num_hidden_layers": 2', '"num_hidden_layers": 3')
    )
    with pytest.raises(UserError, match=r"this CLIP lacks vision_model\.encoder\.layers\.2"):
        open_metric("clip", PAPER, tmp_path)


def test_a_clip_put_into_the_cache_is_taken(tmp_path, clip, monkeypatch):
    monkeypatch.setenv("EGOFRAME_HOME", str(tmp_path))
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics/clip-vit-large-patch14").symlink_to(clip)
    assert open_metric("clip", PAPER).sha256 == open_metric("clip", PAPER, clip).sha256
