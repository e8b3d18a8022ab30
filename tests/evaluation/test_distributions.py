"""FID and KID against golden values, closed forms and brute force."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from egoframe.evaluation.distributions import frechet_distance, kernel_distance
from tests.golden import GOLDEN, needs_golden


def sets(n: int = 40, m: int = 30, width: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    first = torch.randn(n, width, generator=draw)
    return first, torch.randn(m, width, generator=draw) * 1.3 + 0.4


@needs_golden
def test_the_frechet_distance_is_the_golden_one():
    told = load_file(GOLDEN / "metrics_outputs.safetensors")
    found = frechet_distance(told["frechet_a"], told["frechet_b"])
    assert found == pytest.approx(float(told["frechet_distance"]), rel=1e-6)


def test_the_frechet_distance_is_that_of_the_matrix_root():
    first, second = (x.double().numpy() for x in sets())
    one, two = (np.cov(x, rowvar=False) for x in (first, second))
    values = np.linalg.eigvals(one @ two)
    root = np.sqrt(np.maximum(values.real, 0)).sum()
    expected = ((first.mean(0) - second.mean(0)) ** 2).sum() + np.trace(one + two) - 2 * root
    assert frechet_distance(*sets()) == pytest.approx(expected, rel=1e-9)


def test_fewer_pictures_than_features_do():
    first, second = sets(5, 6, 40)
    apart = frechet_distance(first, second)
    assert apart > 0
    assert frechet_distance(second, first) == pytest.approx(apart)


def test_a_set_is_at_no_distance_from_itself_in_any_order():
    first, second = sets()
    shuffled = first[torch.randperm(len(first), generator=torch.Generator().manual_seed(1))]
    assert frechet_distance(first, shuffled) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(shuffled, second) == pytest.approx(frechet_distance(first, second))
    assert kernel_distance(shuffled, second) == pytest.approx(kernel_distance(first, second))


def test_the_kernel_distance_is_that_of_its_sums():
    first, second = sets(7, 5, 3)

    def kernel(a: torch.Tensor, b: torch.Tensor) -> float:
        return float((a.double() @ b.double() / 3 + 1) ** 3)

    def mean(values: list[float]) -> float:
        return sum(values) / len(values)

    def brute(x: torch.Tensor, y: torch.Tensor) -> float:
        within = [
            mean([kernel(a, b) for i, a in enumerate(z) for j, b in enumerate(z) if i != j])
            for z in (x, y)
        ]
        return sum(within) - 2 * mean([kernel(a, b) for a in x for b in y])

    found = kernel_distance(first, second)
    assert found.value == pytest.approx(brute(first, second))
    left = [brute(torch.cat((first[:k], first[k + 1 :])), second) for k in range(7)]
    spread = sum((value - mean(left)) ** 2 for value in left)
    assert found.error == pytest.approx((6 / 7 * spread) ** 0.5)


def test_the_kernel_distance_has_no_bias():
    """Sets of one distribution: over many draws, the mean is 0 within its own error."""
    draw = torch.Generator().manual_seed(3)
    found = [
        kernel_distance(*torch.randn(2, 20, 8, generator=draw).unbind()).value for _ in range(400)
    ]
    assert abs(np.mean(found)) < 3 * np.std(found) / 20


def test_one_picture_or_other_widths_are_refused():
    first, second = sets()
    for other in (second[:1], second[:, :5]):
        for distance in (frechet_distance, kernel_distance):
            with pytest.raises(ValueError, match="features of two pictures at least, of one width"):
                distance(first, other)
