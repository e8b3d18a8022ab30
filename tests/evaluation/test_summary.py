import numpy as np
import pytest
import torch

from egoframe.evaluation.distributions import frechet_distance
from egoframe.evaluation.summary import by_verb, comparisons, rows_of, with_similarities


def measured() -> dict[str, dict[str, np.ndarray]]:
    random = np.random.default_rng(0)
    truth = random.normal(size=(40, 6))
    near = truth + 0.1 * random.normal(size=truth.shape)
    return {
        "truth": {"clip": truth, "inception": truth, "psnr": np.full(40, 60.0)},
        "ours": {"clip": near, "inception": near, "psnr": 20 + random.normal(size=40)},
        "theirs": {
            "clip": -truth,
            "inception": truth[::-1].copy(),
            "psnr": 18 + random.normal(size=40),
        },
    }


def test_features_become_likeness_to_the_truth():
    figures = with_similarities(measured())
    assert figures["truth"]["clip"] == pytest.approx(np.ones(40))
    assert figures["theirs"]["clip"] == pytest.approx(-np.ones(40))
    told = measured()
    expected = torch.nn.functional.cosine_similarity(
        *(torch.from_numpy(told[name]["clip"]) for name in ("ours", "truth"))
    )
    assert figures["ours"]["clip"] == pytest.approx(expected.numpy())
    assert "inception" not in figures["ours"]


def test_sets_are_compared_with_the_true_ones_in_any_order():
    rows = rows_of(measured())
    assert rows["truth"]["fid"]["mean"] == pytest.approx(0, abs=1e-6)
    assert rows["theirs"]["fid"]["mean"] == pytest.approx(0, abs=1e-6)
    told = measured()
    sets = (torch.from_numpy(told[name]["inception"]) for name in ("truth", "ours"))
    assert rows["ours"]["fid"]["mean"] == pytest.approx(frechet_distance(*sets))
    low, high = rows["ours"]["kid"]["interval"]
    assert low < rows["ours"]["kid"]["mean"] < high


def test_figures_that_no_pair_has_have_no_row():
    told = measured()
    told["ours"]["state"] = np.full(40, np.nan)
    told["theirs"]["state"] = np.array([np.nan] * 38 + [1.0, 0.0])
    rows = rows_of(told)
    assert "state" not in rows["ours"]
    assert rows["theirs"]["state"]["mean"] == 0.5
    assert rows["theirs"]["state"]["pairs"] == 2


def test_models_are_compared_pair_by_pair():
    (psnr,) = [c for c in comparisons(measured()) if c["figure"] == "psnr"]
    assert (psnr["first"], psnr["second"]) == ("ours", "theirs")
    assert psnr["interval"][0] < 2 < psnr["interval"][1]
    assert psnr["p"] < 0.001


def test_verbs_come_the_commonest_first():
    told = by_verb(measured(), ["take"] * 10 + ["open"] * 30)
    assert {verb: row["pairs"] for verb, row in told.items()} == {"open": 30, "take": 10}
    assert next(iter(told)) == "open"
    values = measured()["ours"]["psnr"]
    assert told["take"]["rows"]["ours"]["psnr"] == pytest.approx(values[:10].mean())
