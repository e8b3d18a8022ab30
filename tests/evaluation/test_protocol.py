"""How pictures are prepared, against Pillow, transformers' processor and formulas by hand."""

import numpy as np
import pytest
import torch
from PIL import Image
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from egoframe.errors import UserError
from egoframe.evaluation.extractors import CLIP_LOOKS, normalised
from egoframe.evaluation.protocol import CORRECTED, PAPER, choose_metric_protocol
from tests.evaluation.weights import images, pictures


def bilinear(row: np.ndarray, size: int) -> np.ndarray:
    """The last axis, by hand, without antialiasing: pixels' centres lie at halves."""
    places = ((np.arange(size) + 0.5) * row.shape[-1] / size - 0.5).clip(0, row.shape[-1] - 1)
    low = np.floor(places).astype(int)
    high = np.minimum(low + 1, row.shape[-1] - 1)
    share = places - low
    return row[..., low] * (1 - share) + row[..., high] * share


def bilinear_picture(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    return np.moveaxis(bilinear(np.moveaxis(bilinear(picture, width), -1, -2), height), -1, -2)


@pytest.mark.parametrize("size", [(256, 342), (256, 456), (128, 128), (300, 257)])
def test_corrected_clip_is_transformers_own_processor(size):
    batch = pictures(2, *size)
    ours = normalised(CORRECTED.clip(batch, 224), CLIP_LOOKS)
    theirs = CLIPImageProcessorPil()(images(batch), return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


def test_corrected_inception_is_clean_fids_resizing():
    """Pillow's bicubic filter on each colour in floating point."""
    batch = pictures(2, 256, 342)
    for ours, image in zip(CORRECTED.inception(batch, 299), images(batch), strict=True):
        for channel, colour in zip(ours, image.split(), strict=True):
            whole = Image.fromarray(np.asarray(colour, np.float32))
            expected = np.asarray(whole.resize((299, 299), Image.Resampling.BICUBIC)) / 255
            np.testing.assert_allclose(channel, expected, atol=1e-4)


def test_paper_resizes_from_pixel_to_pixel():
    batch = pictures(1, 256, 342)
    whole = bilinear_picture(batch[0].numpy(), 299, 299)
    np.testing.assert_allclose(PAPER.inception(batch, 299)[0], whole, atol=5e-5)
    fits = bilinear_picture(batch[0].numpy(), 224, 299)[..., 38:262]  # 37.5, to the even number
    np.testing.assert_allclose(PAPER.egovlp(batch, 224)[0], fits, atol=5e-5)


def test_paper_squashes_for_clip_where_corrected_keeps_the_aspect():
    """A disc stays round, or does not."""
    x, y = torch.meshgrid(torch.arange(342.0), torch.arange(256.0), indexing="xy")
    disc = ((x - 171).square() + (y - 128).square() < 100**2).float().expand(1, 3, -1, -1)

    def aspect(picture: torch.Tensor) -> float:
        inside = picture[0, 0] > 0.5
        return float(inside.any(0).sum() / inside.any(1).sum())

    assert aspect(CORRECTED.clip(disc, 224)) == pytest.approx(1, abs=0.02)
    assert aspect(PAPER.clip(disc, 224)) == pytest.approx(256 / 342, abs=0.02)


@pytest.mark.parametrize("protocol", [PAPER, CORRECTED], ids=lambda p: p.name)
def test_a_picture_is_prepared_alone_as_in_a_batch(protocol):
    batch = pictures(3, 64, 90)
    for resize in (protocol.inception, protocol.clip, protocol.egovlp):
        alone = torch.cat([resize(picture[None], 48) for picture in batch])
        torch.testing.assert_close(resize(batch, 48), alone)
    assert all("48²" in r.describe(48) for r in (protocol.inception, protocol.clip))


def test_a_drawn_picture_is_brought_to_the_size_of_the_true_one():
    truth, drawn = pictures(1, 256, 456), pictures(1, 256, 455, seed=1)
    expected = bilinear_picture(drawn[0].numpy(), 256, 456)
    np.testing.assert_allclose(PAPER.fitted(drawn, truth)[0], expected, atol=5e-5)
    for protocol in (PAPER, CORRECTED):
        assert protocol.fitted(truth, truth) is truth
        black = protocol.fitted((drawn > 0.5).float(), truth)
        assert black.shape == truth.shape
        assert black.min() >= 0
        assert black.max() <= 1


def test_renormalising_stretches_each_picture_on_its_own():
    levels = np.array([[30, 40, 230], [0, 128, 255], [7, 7, 7]])
    drawn = torch.from_numpy(levels / 255).float().view(3, 1, 1, 3).expand(-1, 3, -1, -1)
    found = (PAPER.stretched(drawn)[:, 0, 0] * 255).round().int().tolist()
    assert found == [[0, 12, 255], [0, 128, 255], [7, 7, 7]]  # 12.75 is cut
    with pytest.raises(UserError, match="corrected: does not renormalise pictures; ask for"):
        CORRECTED.stretched(drawn)


def test_an_unknown_protocol_is_named():
    assert choose_metric_protocol("paper") is PAPER
    with pytest.raises(UserError, match="protocol 'new': give corrected or paper"):
        choose_metric_protocol("new")
