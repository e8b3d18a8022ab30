"""PSNR and SSIM against scikit-image."""

import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from egoframe.evaluation.pixels import psnr, ssim


def pictures(count: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    truth = torch.rand(count, 3, 20, 27, generator=draw)
    noise = torch.randn(truth.shape, generator=draw) * torch.tensor([0.02, 0.1, 0.4]).view(
        3, 1, 1, 1
    )
    return truth, (truth + noise).clamp(0, 1)


def test_they_are_scikit_images():
    truth, drawn = pictures()
    for k in range(3):
        one, other = (x[k].permute(1, 2, 0).double().numpy() for x in (truth, drawn))
        assert psnr(truth, drawn)[k].item() == pytest.approx(
            peak_signal_noise_ratio(one, other, data_range=1), abs=1e-4
        )
        expected = structural_similarity(
            one, other, data_range=1, channel_axis=2, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False,
        )  # fmt: skip
        assert ssim(truth, drawn)[k].item() == pytest.approx(expected, abs=1e-6)


def test_a_picture_is_like_itself_and_alone_as_in_a_batch():
    truth, drawn = pictures()
    assert psnr(truth, truth).isinf().all()
    torch.testing.assert_close(ssim(truth, truth), torch.ones(3))
    for metric in (psnr, ssim):
        alone = torch.cat([metric(truth[k : k + 1], drawn[k : k + 1]) for k in range(3)])
        torch.testing.assert_close(metric(truth, drawn), alone)


def test_pictures_smaller_than_the_window_are_refused():
    with pytest.raises(ValueError, match="11² at least"):
        ssim(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8))
