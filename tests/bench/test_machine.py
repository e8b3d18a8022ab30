import time

import pytest
import torch

from egoframe.bench.machine import flops, matmul_ceiling, peak_memory, seconds

CPU = torch.device("cpu")


def test_seconds_are_those_of_the_quickest_run():
    naps = iter([0.0, 0.05, 0.01, 0.03])  # the first warms up
    assert 0.01 <= seconds(lambda: time.sleep(next(naps)), CPU, 3) < 0.03


def test_operations_are_counted():
    a, b = torch.ones(3, 5), torch.ones(5, 7)
    assert flops(lambda: a @ b) == 2 * 3 * 5 * 7


@pytest.mark.slow
def test_the_ceiling_is_not_passed_by_a_product():
    a = torch.randn(2048, 2048)
    taken = seconds(lambda: a @ a, CPU, 2)
    assert 2 * 2048**3 / taken < 1.5 * matmul_ceiling(CPU, torch.float32)


def test_memory_covers_what_is_held():
    before = peak_memory(CPU)
    held = torch.ones(64, 2**20)  # 256 MiB
    assert peak_memory(CPU) >= max(before, held.nbytes)
