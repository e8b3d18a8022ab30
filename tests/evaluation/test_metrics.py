import numpy as np
import pytest
import torch

from egoframe.errors import UserError
from egoframe.evaluation import captions, extractors, metrics
from egoframe.evaluation.batch import Batch
from egoframe.evaluation.metrics import available, open_metric


def test_every_metric_that_can_be_opened_has_a_name():
    assert set(metrics.EXTRACTORS) == set(extractors.METRICS)
    assert set(metrics.CAPTIONERS) == set(captions.CAPTIONERS)
    assert metrics.TOKENIZER == captions.TOKENIZER


def test_lpips_is_told_by_region_and_what_it_was_measured_by(squeezenet):
    (spec,), left_out = available(
        ["lpips-squeeze"], "corrected", {"lpips-squeeze": str(squeezenet)}, "cpu"
    )
    assert left_out == {}
    assert "weights " in spec.measured_by
    truth = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    before = truth.clone()
    before[0, :, :32] = 0  # the upper half of the first changes; nothing of the second
    drawn = truth.clone()
    drawn[:, :, 32:] = 0.5
    batch = Batch(
        names=["a", "b"], actions=[""] * 2, descriptions=[None] * 2, boxes=[[]] * 2,
        facts=[None] * 2, before=before, truth=truth, drawn=drawn, fitted=drawn,
    )  # fmt: skip
    told = open_metric(spec, "cpu")(batch)
    assert told["lpips-squeeze changed"][0] < told["lpips-squeeze unchanged"][0]
    assert np.isnan(told["lpips-squeeze changed"][1])


def test_figures_of_another_protocol_or_file_are_told_apart(squeezenet, tmp_path):
    other = tmp_path / "other.pth"
    state = torch.load(squeezenet)
    torch.save({key: value + 1e-3 for key, value in state.items()}, other)
    identities = {
        available(["lpips-squeeze"], protocol, {"lpips-squeeze": str(file)}, "cpu")[0][0].identity
        for protocol in ("corrected", "paper")
        for file in (squeezenet, other)
    }
    assert len(identities) == 4


def test_what_cannot_be_had_is_left_out_with_its_reason(tmp_path, monkeypatch):
    monkeypatch.setenv("EGOFRAME_HOME", str(tmp_path))
    found, left_out = available(["pixels", "egovlp-ego4d", "judge"], "corrected", {}, "cpu")
    assert [spec.name for spec in found] == ["pixels"]
    assert "egovlp.pth" in left_out["egovlp-ego4d"]
    assert "--weights judge=" in left_out["judge"]
    with pytest.raises(UserError, match="no such metric"):
        available(["pixels"], "corrected", {"egovlp": "file"}, "cpu")
