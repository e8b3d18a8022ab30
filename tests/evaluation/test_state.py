import json
from pathlib import Path

import numpy as np
import pytest
import torch

from egoframe.errors import UserError
from egoframe.evaluation.batch import Batch
from egoframe.evaluation.state import (
    AROUND,
    RightState,
    StateRecogniser,
    asked,
    load_state_recogniser,
    surroundings,
)
from egoframe.evaluation.state_training import StateConfig, train_state_recogniser
from egoframe.training import LoopConfig
from tests.evaluation.drawn import write_dataset

BOX = {"label": "drawer_1", "x0": 0.25, "y0": 0.5, "x1": 0.5, "y1": 0.75}


def facts(verb: str, *moments: str) -> str:
    boxes = {name: {"boxes": [BOX] if name in moments else []} for name in ("pre", "pnr")}
    return json.dumps({"verb": verb, "item": {"name": "drawer_1"}, "frames": boxes})


def test_what_surrounds_a_box_is_cut_out():
    frames = torch.rand(1, 3, 64, 64)
    half = 0.5 / AROUND[0]  # so that all of the frame surrounds it
    whole = surroundings(frames, torch.tensor([[0.5 - half, 0.5 - half, 0.5 + half, 0.5 + half]]))
    torch.testing.assert_close(whole[:, :3], frames)
    down, across = torch.meshgrid(torch.arange(64.0) + 0.5, torch.arange(64.0) + 0.5, indexing="ij")
    places = torch.stack((down, across, across))[None]
    seen = surroundings(places, torch.tensor([[0.4, 0.5, 0.6, 0.7]]))[0]  # a box's middle
    assert seen[:3].mean((1, 2)).tolist() == pytest.approx([0.6 * 64, 32, 32], abs=0.01)
    assert seen[4].mean() == pytest.approx(32, abs=0.01)
    for k, around in ((1, AROUND[0]), (4, AROUND[1])):
        assert (seen[k].max() - seen[k].min()) == pytest.approx(0.2 * around * 64, rel=0.05)


def test_squares_are_square_in_wide_frames():
    down, across = torch.meshgrid(torch.arange(32.0), torch.arange(64.0), indexing="ij")
    frames = torch.stack((down, across, across))[None]
    seen = surroundings(frames, torch.tensor([[0.4, 0.4, 0.6, 0.6]]))[0]
    steps = seen[3].diff(dim=0)[30:34].mean(), seen[4].diff(dim=1)[:, 30:34].mean()
    assert steps[0] == pytest.approx(float(steps[1]), rel=1e-4)


@pytest.mark.parametrize(
    ("verb", "question", "before", "during"),
    [("open", 0, False, True), ("close", 0, True, True), ("turn-off", 1, True, False),
     ("take", 2, False, True), ("put-down", 2, True, True)],
)  # fmt: skip
def test_what_is_asked_of_a_frame(verb, question, before, during):
    for moment, answer in (("pre", before), ("pnr", during)):
        found = asked(facts(verb, moment), moment)
        assert found == (question, answer, (0.25, 0.5, 0.5, 0.75))


def test_nothing_is_asked_where_nothing_is_known():
    assert asked(None, "pnr") is None
    assert asked(facts("stir", "pnr"), "pnr") is None
    assert asked(facts("open", "pre"), "pnr") is None  # its box is not seen


def test_a_drawn_frame_is_right_where_it_answers_as_the_true_one(monkeypatch, tmp_path):
    StateRecogniser(widths=(8, 16)).save_pretrained(tmp_path)
    judge = RightState(tmp_path)
    monkeypatch.setattr(  # it says yes where the surroundings are bright
        judge.recogniser, "forward", lambda seen: seen.mean((1, 2, 3))[:, None].expand(-1, 3)
    )
    drawn = torch.zeros(5, 3, 32, 32)
    drawn[:2] = 1
    told = [facts(verb, "pre", "pnr") for verb in ("open", "turn-off", "take", "close")]
    batch = Batch(
        names=list("abcde"), actions=[""] * 5, descriptions=[None] * 5, boxes=[[]] * 5,
        facts=[*told, None], before=drawn, truth=drawn, drawn=drawn, fitted=drawn,
    )  # fmt: skip
    right = judge(batch)["state"]
    assert np.array_equal(right, [1, 0, 0, np.nan, np.nan], equal_nan=True)


def test_training_writes_a_model_that_can_be_opened(tmp_path):
    write_dataset(tmp_path / "pairs", count=6, train=6)
    loop = LoopConfig(steps=2, batch_size=4, trackers=())
    told = train_state_recogniser(StateConfig(tmp_path / "pairs", tmp_path / "out", loop))
    assert set(told) == {"open", "on", "held", "all"}
    load_state_recogniser(tmp_path / "out" / "state-recogniser")
    with pytest.raises(UserError, match="no state recogniser here"):
        load_state_recogniser(tmp_path)


def test_other_datasets_cannot_teach_it(tmp_path):
    from tests.little_dataset import write_dataset as write_without_facts

    write_without_facts(tmp_path / "pairs")
    with pytest.raises(UserError, match="knows no facts"):
        train_state_recogniser(StateConfig(tmp_path / "pairs", Path(tmp_path / "out")))


@pytest.mark.slow
@pytest.mark.usefixtures("renderer_available")
def test_the_packaged_one_knows_the_states_of_kitchens_it_never_saw(tmp_path):
    from egoframe.curation.build import BuildConfig, build_dataset
    from egoframe.evaluation.state_training import accuracy
    from egoframe.kitchen.family import KITCHEN
    from egoframe.simulator.record import RecordConfig, record
    from egoframe.sources.epic import EpicSource
    from egoframe.storage import Folder

    settings = RecordConfig(scenes=2, actions=50, seed=91, frames_only=True, validation_share=0.5)
    list(record(tmp_path / "recording", settings, KITCHEN))
    reader = EpicSource(tmp_path / "recording")
    list(build_dataset(reader.clips(), Folder(tmp_path / "pairs"), BuildConfig(size=128)))
    assert accuracy(load_state_recogniser(), tmp_path / "pairs")["all"] >= 0.9
