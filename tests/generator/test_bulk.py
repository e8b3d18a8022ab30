import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from egoframe.errors import UserError
from egoframe.generator.bulk import SetConfig, generate_set
from tests.generator.tiny import tiny_pipeline
from tests.little_dataset import write_dataset


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> SetConfig:
    folder = tmp_path_factory.mktemp("set")
    tiny_pipeline().save_pretrained(folder / "model")
    write_dataset(folder / "pairs", described=False)
    return SetConfig(str(folder / "pairs"), str(folder / "model"), "train", device="cpu")


@pytest.fixture(scope="module")
def whole(config: SetConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The set, drawn in one go."""
    out = tmp_path_factory.mktemp("whole")
    assert list(generate_set(config, out, workers=1))[-1] == (40, 40)
    return out


def pictures(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


def test_a_set_drawn_with_stops_by_two_workers_equals_one_drawn_in_one_go(config, whole, tmp_path):
    run = generate_set(config, tmp_path, workers=2)
    assert next(run) == (0, 40)
    next(run)
    run.close()  # as Ctrl-C does
    some = pictures(tmp_path)
    assert 0 < len(some) < 40
    (tmp_path / next(iter(some))).unlink()
    assert list(generate_set(config, tmp_path, workers=2))[-1] == (40, 40)
    assert pictures(tmp_path) == pictures(whole)


@pytest.mark.slow
def test_a_cluster_draws_the_same(ray, config, whole, tmp_path):
    some = SetConfig(config.dataset, config.model, "train", device="cpu")
    for path in sorted(whole.glob("*.png"))[8:]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert list(generate_set(some, tmp_path, "ray", 1))[-1] == (40, 40)
    assert pictures(tmp_path) == pictures(whole)


def test_a_picture_depends_on_its_pair_alone(config, whole, tmp_path):
    some = SetConfig(config.dataset, config.model, "train", pairs=3, device="cpu")
    list(generate_set(some, tmp_path, workers=1))
    names = [path.name for path in tmp_path.glob("*.png")]
    assert len(names) == 3
    for name in names:
        apart = [np.asarray(Image.open(folder / name), int) for folder in (tmp_path, whole)]
        assert np.abs(apart[0] - apart[1]).max() <= 1


def test_what_cannot_be_drawn_is_refused(config, whole, tmp_path, monkeypatch):
    seeded = SetConfig(config.dataset, config.model, "train", seed=1, device="cpu")
    with pytest.raises(UserError, match="another seed"):
        next(generate_set(seeded, whole))
    others = tmp_path / "others"  # with other frames, and the same names
    monkeypatch.setattr("tests.little_dataset.COLORS", ("green", "grey"))
    write_dataset(others, described=False)
    elsewhere = SetConfig(str(others), config.model, "train", device="cpu")
    with pytest.raises(UserError, match="another pairs_sha256"):
        next(generate_set(elsewhere, whole))
    told = json.loads((whole / "settings.json").read_text(encoding="utf-8"))
    assert "model" not in told  # a path of this machine
    described = SetConfig(config.dataset, config.model, "train", 1, "dataset", device="cpu")
    with pytest.raises(UserError, match="has no description"):
        list(generate_set(described, tmp_path, workers=1))
