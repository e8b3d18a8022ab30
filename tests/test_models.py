import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from egoframe import models
from egoframe.errors import UserError
from egoframe.released import RELEASES


@pytest.mark.parametrize("name", list(RELEASES))
def test_a_released_model_comes_before_a_folder(name, tmp_path, monkeypatch):
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(models, "prepared", lambda name: Path("/prepared") / name)

    assert models.resolve(name) == Path("/prepared") / name


def test_a_model_that_is_not_there_lists_those_that_are():
    with pytest.raises(UserError) as told:
        models.resolve("lego")

    for name in ("kitchen", *RELEASES):
        assert name in str(told.value)


def test_a_checkpoint_says_how_it_becomes_a_model(tmp_path):
    path = tmp_path / "weights.ckpt"
    path.touch()

    with pytest.raises(UserError, match=f"convert it first, with egoframe convert lego {path} OUT"):
        models.resolve(path)


def test_the_fingerprint_is_of_weights_and_settings_alone(tmp_path):
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet/w.safetensors").write_bytes(b"weights" * 300_000)
    (tmp_path / "model_index.json").write_bytes(b"{}")
    (tmp_path / "README.md").write_bytes(b"not weights")
    expected = b"model_index.json" + b"{}" + b"unet/w.safetensors" + b"weights" * 300_000
    assert models.fingerprint(tmp_path) == hashlib.sha256(expected).hexdigest()


def test_a_released_model_is_known_by_what_it_was_made_from(tmp_path):
    """Its weights, tens of gigabytes, are not read for every picture."""
    (tmp_path / "w.safetensors").write_bytes(b"weights")
    (tmp_path / "source.json").write_bytes(b'{"sha256": 1}')
    expected = hashlib.sha256(b"source.json" + b'{"sha256": 1}').hexdigest()
    assert models.fingerprint(tmp_path) == expected


def test_names_are_looked_up_without_torch():
    code = (
        "import sys; from egoframe.models import resolve; resolve('kitchen'); "
        "sys.exit('torch' in sys.modules or 'huggingface_hub' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
