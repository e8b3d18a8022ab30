import json

import pytest

from egoframe.errors import UserError
from egoframe.generator.features import Recipe, make_features
from tests.generator.tiny import tiny_pipeline
from tests.little_dataset import write_dataset


def test_features_are_those_of_their_enhancer_whatever_else_lies_in_its_folder(tmp_path):
    """A model's U-Net may be trained on, and its features be used again."""
    pipe = tiny_pipeline()
    pipe.save_pretrained(tmp_path / "model")
    write_dataset(tmp_path / "pairs")
    model = tmp_path / "model"
    recipe = Recipe(tmp_path / "pairs", model / "vae", model, pipe.tokenizer, "none", "dataset")
    made = make_features(tmp_path / "features", recipe)
    assert made.rows([0, 39], [False, False])["tokens"].shape == (2, 77)
    (model / "unet" / "config.json").write_text("{}")
    make_features(tmp_path / "features", recipe)
    path = model / "enhancer" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"changed": True}))
    with pytest.raises(UserError, match="features of another enhancer"):
        make_features(tmp_path / "features", recipe)
