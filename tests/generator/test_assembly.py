import errno

import pytest

from egoframe.errors import UserError
from egoframe.generator.assembly import write_pipeline
from egoframe.pairs import open_pairs
from tests.generator.tiny import tiny_pipeline
from tests.little_dataset import write_dataset


def test_a_full_disk_is_said_in_one_line_and_the_same_call_goes_on(tmp_path, monkeypatch):
    dataset = open_pairs(write_dataset(tmp_path / "pairs"), "train")
    pipe = tiny_pipeline()
    own = pipe.vae.save_pretrained

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pipe.vae, "save_pretrained", full)
    with pytest.raises(UserError, match=r"out: cannot be written \(.*No space left.*make room"):
        write_pipeline(pipe, dataset, tmp_path / "out", tmp_path / "features")
    assert (tmp_path / "features" / "familiarity.json").exists()  # what took minutes is kept
    monkeypatch.setattr(pipe.vae, "save_pretrained", own)
    write_pipeline(pipe, dataset, tmp_path / "out", tmp_path / "features")
    assert (tmp_path / "out" / "familiarity.json").exists()
