import json

import pytest
import torch

from egoframe import machine
from egoframe.bench import untrained
from egoframe.bench.stages import Bench
from egoframe.errors import UserError
from tests.cli.run import refused, run
from tests.generator.tiny import tiny_pipeline


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setitem(untrained.WIDTHS, "untrained-small", 32)
    monkeypatch.setattr(machine, "matmul_ceiling", lambda *_: 1e11)
    return untrained.untrained("untrained-small", 64)


def test_the_stock_pipeline_draws_the_same_pictures(small):
    told = dict(Bench(small, steps=3, batches=(1, 2), repeats=1).run())
    for batch in (1, 2):
        figures = told[f"batch_{batch}"]
        assert figures["largest_difference"] <= 2
        rates = figures["pictures_per_second"], figures["stock_pictures_per_second"]
        assert figures["times_stock"] == pytest.approx(rates[0] / rates[1])
        assert figures["peak_memory_gib"] > 0.1
    assert {"encode", "step", "decode"} <= told.keys()
    assert "enhance" not in told


def test_a_model_that_the_stock_pipeline_cannot_draw_with_is_timed_alone(monkeypatch):
    monkeypatch.setattr(machine, "matmul_ceiling", lambda *_: 1e11)
    told = dict(Bench(tiny_pipeline(), steps=2, batches=(1,), repeats=1).run())
    assert told["enhance"] > 0
    assert "times_stock" not in told["batch_1"]


def test_the_largest_untrained_model_has_stable_diffusions_sizes():
    with torch.device("meta"):
        parts = untrained.networks(untrained.WIDTHS["untrained-sd15"])
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
    assert counts["unet"] == 859_520_964 + 4 * 9 * 320  # the published one, and 4 channels more
    assert counts["vae"] == 83_653_863
    assert counts["text_encoder"] == 123_060_480
    with pytest.raises(UserError, match="untrained-small or untrained-sd15"):
        untrained.untrained("untrained-huge", 256)


@pytest.mark.slow
def test_the_command_prints_json():
    done = run("bench", "--size", "64", "--steps", "1", "--repeats", "1", "--batch", "1", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["batch_1"]["largest_difference"] <= 2
    assert told["matmul_ceiling_tflops"] > 0


def test_bad_options_get_one_line():
    assert "--size 100" in refused(run("bench", "--size", "100"))
    assert "--dtype" in refused(run("bench", "--dtype", "int4"))
    assert "no such model" in refused(run("bench", "--model", "nothing-like-it"))
