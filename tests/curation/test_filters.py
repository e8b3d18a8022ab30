import numpy as np
import pytest
from scipy import ndimage

from egoframe.curation import filters


def picture(seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).uniform(0, 255, (64, 64, 3))
    return ndimage.gaussian_filter(noise, (2, 2, 0), mode="wrap").astype(np.uint8)


def test_similarity_of_equal_and_of_unrelated_pictures():
    assert filters.similarity(picture(), picture()) == pytest.approx(1)
    assert abs(filters.similarity(picture(0), picture(1))) < 0.3


def test_similarity_agrees_with_numpys_correlation():
    a, b = picture(0)[:48, :48], picture(1)[:48, :48]

    def small(p: np.ndarray) -> np.ndarray:
        blocks = p.reshape(24, 2, 24, 2, 3).astype(float).mean((1, 3))
        return (blocks - blocks.mean((0, 1))).ravel()

    expected = np.corrcoef(small(a), small(b))[0, 1]
    assert filters.similarity(a, b) == pytest.approx(expected, abs=0.01)


def test_blur_lowers_sharpness():
    sharp = picture()
    blurred = ndimage.gaussian_filter(sharp.astype(float), (3, 3, 0)).astype(np.uint8)
    assert filters.sharpness(blurred) < 0.3 * filters.sharpness(sharp)


def test_sharpness_is_the_variance_of_scipys_laplacian():
    grey = picture().astype(float).mean(-1)
    expected = ndimage.laplace(grey)[1:-1, 1:-1].var()
    assert filters.sharpness(picture()) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("shift", [(0, 0), (0, 6), (4, 3), (0, -9)])
def test_camera_motion_is_the_way_the_picture_moved(shift):
    moved = np.roll(picture(), shift, (0, 1))
    expected = np.hypot(*shift) / 64
    assert filters.camera_motion(picture(), moved) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"similarity": 0.0}, "scene jump"),
        ({"similarity": 1.0}, "nothing happens"),
        ({"sharpness": 0.0}, "blurred"),
        ({"camera_motion": 0.9}, "camera moves"),
    ],
)
def test_every_rejection_has_its_reason(change, reason):
    figures = {"similarity": 0.8, "sharpness": 100.0, "camera_motion": 0.0, **change}
    assert filters.reason_to_reject(figures, filters.FilterConfig()) == reason
