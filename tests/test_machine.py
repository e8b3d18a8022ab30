import time

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from egoframe.machine import flops, matmul_ceiling, peak_memory, seconds

CPU = torch.device("cpu")


def test_seconds_are_those_of_the_quickest_run_and_all_take_turns():
    naps, order = iter([0.0, 0.05, 0.01, 0.03]), []  # the first warms up
    works = [lambda: time.sleep(next(naps)) or order.append("a"), lambda: order.append("b")]
    slow, quick = seconds(works, CPU, 3)
    assert 0.01 <= slow < 0.03
    assert quick < 0.01
    assert "".join(order) == "abababab"


def test_operations_are_counted():
    a, b = torch.ones(3, 5), torch.ones(5, 7)
    assert flops(lambda: a @ b) == 2 * 3 * 5 * 7
    query, key = torch.ones(1, 2, 16, 8), torch.ones(1, 2, 32, 8)
    attend = 2 * (2 * 2 * 16 * 32 * 8)  # two products for each of two heads
    assert flops(lambda: scaled_dot_product_attention(query, key, key)) == attend


def test_counting_leaves_what_is_compiled_compiled():
    ran = []

    def backend(graph, _):
        return lambda *inputs: ran.append(1) or graph.forward(*inputs)

    double = torch.compile(lambda x: x @ x, backend=backend)
    double(torch.ones(4, 4))
    assert flops(lambda: double(torch.ones(4, 4))) == 2 * 4**3
    double(torch.ones(4, 4))
    assert len(ran) == 2


@pytest.mark.slow
def test_the_ceiling_is_not_passed_by_a_product():
    a = torch.randn(2048, 2048)
    (taken,) = seconds([lambda: a @ a], CPU, 2)
    assert 2 * 2048**3 / taken < 1.5 * matmul_ceiling(CPU, torch.float32)


def test_memory_grows_by_what_is_held():
    before = peak_memory(CPU)
    held = torch.ones(before // 4 + 2**26)  # more than ever before, in float32
    assert peak_memory(CPU) >= before + held.nbytes - before // 2
