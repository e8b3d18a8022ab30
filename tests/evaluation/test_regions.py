import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from egoframe.evaluation.regions import changed_region, region_psnr


def pictures(seed: int, count: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 48, 3), dtype=np.uint8)


def test_psnr_over_the_whole_frame_equals_scikit_image():
    truth, drawn = pictures(0), pictures(1)
    ours = region_psnr(truth, drawn, np.ones(truth.shape[:3], bool))
    for index in range(len(truth)):
        expected = peak_signal_noise_ratio(truth[index], drawn[index])
        assert ours[index] == pytest.approx(expected, rel=1e-9)


def test_psnr_sees_only_its_region():
    truth = pictures(0)
    drawn = truth.copy()
    drawn[:, :16] = 255 - drawn[:, :16]
    top = np.zeros(truth.shape[:3], bool)
    top[:, :16] = True
    assert (region_psnr(truth, drawn, top) < 10).all()
    assert (region_psnr(truth, drawn, ~top) == 60).all()


def test_an_empty_region_has_no_psnr():
    truth = pictures(0)
    assert np.isnan(region_psnr(truth, truth, np.zeros(truth.shape[:3], bool))).all()


def test_the_changed_region_covers_what_moved_and_little_else():
    before = np.full((1, 64, 64, 3), 120, np.uint8)
    after = before.copy()
    after[0, 20:30, 40:50] = 220
    region = changed_region(before, after)[0]
    assert region[20:30, 40:50].all()
    assert region.sum() < 20 * 20
    assert not region[:, :30].any()


def test_grain_is_not_a_change():
    rng = np.random.default_rng(0)
    before = np.full((1, 64, 64, 3), 120, np.uint8)
    noisy = (before + rng.normal(0, 5, before.shape)).clip(0, 255).astype(np.uint8)
    assert not changed_region(before, noisy).any()


def test_frames_of_different_sizes_are_refused():
    with pytest.raises(ValueError, match="shape"):
        changed_region(pictures(0), pictures(0)[:, :16])
