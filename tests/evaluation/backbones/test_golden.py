"""The networks against what the authors' code and the lpips package computed."""

import json

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from egoframe.evaluation.backbones.egovlp import EgoVLP
from egoframe.evaluation.backbones.inception import Inception
from egoframe.evaluation.backbones.lpips import Lpips
from tests.golden import GOLDEN, fill, needs_golden, noise

pytestmark = needs_golden


@pytest.fixture(scope="module")
def told() -> dict:
    return json.loads((GOLDEN / "metrics.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def outputs() -> dict[str, torch.Tensor]:
    return load_file(GOLDEN / "metrics_outputs.safetensors")


@pytest.fixture(scope="module")
def pictures() -> tuple[torch.Tensor, torch.Tensor]:
    first, second = (noise(name, (4, 3, 256, 342)) for name in ("metric_images", "metric_images_2"))
    return first.sigmoid(), (0.5 * second + first).sigmoid()


def near(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()


@torch.no_grad()
def test_inception(told, outputs, pictures):
    network = Inception().eval()
    weights = {key: fill(key, shape) for key, shape in told["inception"].items()}
    told_apart = network.load_state_dict(weights, strict=False)
    assert (told_apart.missing_keys, told_apart.unexpected_keys) == ([], ["fc.weight", "fc.bias"])
    for name, batch in zip(("fid_features", "fid_features_2"), pictures, strict=True):
        near(network(batch), outputs[name])


@pytest.mark.parametrize("name", ["alex", "vgg", "squeeze"])
@torch.no_grad()
def test_lpips(told, outputs, pictures, name):
    network = Lpips(name).eval()
    weights = {
        key.split(".", 1)[1]: fill(f"lpips_{name}.{key}", shape)
        for key, shape in told[f"lpips_{name}"].items()
    }
    network.features.load_state_dict(weights)
    for k, given in enumerate(network.lins[:5]):
        assert torch.equal(given.weight, outputs[f"lpips_{name}_lin{k}"])
    near(network(*pictures), outputs[f"lpips_{name}"])


@pytest.mark.parametrize("frames", [4, pytest.param(16, marks=pytest.mark.slow)])
@torch.no_grad()
def test_egovlp(told, outputs, pictures, frames):
    network = EgoVLP(frames).eval()
    keys = told[f"egovlp_{frames}"]
    network.load_state_dict({key: fill(key, shape) for key, shape in keys.items()})
    mean, deviation = (
        torch.tensor(x).view(1, 3, 1, 1) for x in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )

    def ready(picture: torch.Tensor) -> torch.Tensor:
        small = F.interpolate(picture[None], (224, 299), mode="bilinear", align_corners=False)
        return (small[..., 38:262] - mean) / deviation

    truth, drawn, before = (ready(x) for x in (pictures[0][0], pictures[1][0], pictures[0][1]))

    def embed(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        half = frames // 2
        return network(torch.stack([first] * half + [second] * half, 1))

    for kind, start in (("", None), ("plus_", before)):
        a, b = (embed(x if start is None else start, x) for x in (truth, drawn))
        if not kind:
            near(a, outputs[f"egovlp_{frames}_gt"])
            near(b, outputs[f"egovlp_{frames}_gen"])
        near(F.cosine_similarity(a, b)[0], outputs[f"egovlp_{frames}_{kind}similarity"])
