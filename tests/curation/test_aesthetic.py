from pathlib import Path

import numpy as np
import pytest

from egoframe.curation.aesthetic import AestheticScore
from egoframe.curation.filters import ModelsConfig, open_models
from egoframe.errors import UserError

WIDTHS = {"layers.0": (9, 6), "layers.2": (6, 5), "layers.4": (5, 4), "layers.6": (4, 3),
          "layers.7": (3, 1)}  # fmt: skip


class Recorded:
    """Stands for a CLIP: embeddings that are known beforehand."""

    source, width = "clip", 9

    def embed(self, pictures) -> np.ndarray:
        vectors = np.array(
            [np.random.default_rng(int(p[0, 0, 0])).normal(size=9) for p in pictures]
        )
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def write(path: Path, tensors: dict[str, np.ndarray]) -> Path:
    from safetensors.numpy import save_file

    save_file({name: np.asarray(t, np.float32) for name, t in tensors.items()}, path)
    return path


def improved(draw: np.random.Generator) -> dict[str, np.ndarray]:
    tensors = {}
    for name, (wide, narrow) in WIDTHS.items():
        tensors[f"{name}.weight"] = draw.normal(size=(narrow, wide))
        tensors[f"{name}.bias"] = draw.normal(size=narrow)
    return tensors


PICTURES = [np.full((8, 8, 3), k, np.uint8) for k in range(4)]


def test_the_linear_predictor(tmp_path):
    draw = np.random.default_rng(0)
    weight, bias = draw.normal(size=9), 5.0
    path = write(
        tmp_path / "linear.safetensors", {"weight": weight[None], "bias": np.array([bias])}
    )
    expected = [sum(w * v for w, v in zip(weight, vector, strict=True)) + bias
                for vector in Recorded().embed(PICTURES)]  # fmt: skip
    np.testing.assert_allclose(AestheticScore(path, Recorded())(PICTURES), expected, atol=1e-5)


def test_the_improved_predictor_is_torchs_own_sequence(tmp_path):
    """As its repository builds it: linear layers with dropouts in between, and no activations."""
    import torch

    tensors = improved(np.random.default_rng(1))
    path = write(tmp_path / "improved.safetensors", tensors)
    linear = [torch.nn.Linear(*WIDTHS[name]) for name in WIDTHS]
    drop = torch.nn.Dropout
    layers = [linear[0], drop(0.2), linear[1], drop(0.2), linear[2], drop(0.1), *linear[3:]]
    holder = torch.nn.Module()
    holder.layers = torch.nn.Sequential(*layers)
    holder.load_state_dict({k: torch.tensor(v, dtype=torch.float32) for k, v in tensors.items()})
    with torch.no_grad():
        expected = holder.eval().layers(torch.tensor(Recorded().embed(PICTURES)))[:, 0].numpy()
    np.testing.assert_allclose(AestheticScore(path, Recorded())(PICTURES), expected, atol=1e-4)


def test_a_predictor_for_another_clip_is_said(tmp_path):
    path = write(tmp_path / "l.safetensors", {"weight": np.ones((1, 7)), "bias": np.ones(1)})
    with pytest.raises(UserError, match="a CLIP of width 7, clip has 9"):
        AestheticScore(path, Recorded())


@pytest.mark.parametrize(
    "change",
    [{"layers.7.bias": np.ones(2)}, {"layers.2.weight": np.ones((5, 7))}, {"more": np.ones(1)},
     {"layers.7.weight": np.ones((2, 3)), "layers.7.bias": np.ones(2)}],
)  # fmt: skip
def test_what_is_no_predictor_is_said(tmp_path, change):
    path = write(tmp_path / "p.safetensors", improved(np.random.default_rng(0)) | change)
    with pytest.raises(UserError, match="no aesthetic predictor"):
        AestheticScore(path, Recorded())


def test_what_is_no_safetensors_is_said(tmp_path):
    (tmp_path / "old.pth").write_bytes(b"PK\x03\x04 a pickle")
    for name in ("old.pth", "absent.safetensors"):
        with pytest.raises(UserError, match=rf"{name}: cannot be read .*weights_only=True"):
            AestheticScore(tmp_path / name, Recorded())


def test_without_its_clip_it_cannot_be(tmp_path):
    with pytest.raises(UserError, match=r"give models\.clip too"):
        open_models(ModelsConfig(aesthetic=tmp_path / "p.safetensors"))
