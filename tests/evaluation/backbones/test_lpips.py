"""LPIPS against its definition, layer by layer: its range, and its map."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from egoframe.evaluation.backbones.lpips import LAYERS, SCALE, SHIFT, Lpips
from egoframe.evaluation.extractors import open_metric
from egoframe.evaluation.protocol import CORRECTED, PAPER
from tests.evaluation.weights import pictures


def maps(network: Lpips, first: torch.Tensor, second: torch.Tensor) -> list[torch.Tensor]:
    """Each layer's weighted squared differences (B, H, W), of pictures as they are given."""
    shift, scale = (torch.tensor(x)[:, None, None] for x in (SHIFT, SCALE))
    found = []
    for (place, channels), lin in zip(LAYERS["squeeze"], network.lins, strict=True):
        states = [network.features[: place + 1]((x - shift) / scale) for x in (first, second)]
        assert states[0].shape[1] == channels
        one, other = (x / (x.norm(dim=1, keepdim=True) + 1e-10) for x in states)
        found.append(torch.einsum("bchw,c->bhw", (one - other) ** 2, lin.weight.flatten()))
    return found


@torch.no_grad()
def test_paper_measures_half_the_contrast(squeezenet):
    truth, drawn = pictures(2, 64, 90), pictures(2, 64, 90, seed=1)
    opened = {protocol: open_metric("lpips-squeeze", protocol, squeezenet)
              for protocol in (PAPER, CORRECTED)}  # fmt: skip
    for protocol, given in ((PAPER, (truth, drawn)), (CORRECTED, (2 * truth - 1, 2 * drawn - 1))):
        expected = sum(layer.mean((1, 2)) for layer in maps(opened[PAPER].network, *given))
        torch.testing.assert_close(opened[protocol](truth, drawn), expected)
    assert (opened[PAPER](truth, drawn) != opened[CORRECTED](truth, drawn)).all()


@torch.no_grad()
def test_a_region_is_measured_in_the_map(squeezenet):
    truth, drawn = pictures(3, 64, 90), pictures(3, 64, 90, seed=1)
    region = torch.zeros(3, 64, 90, dtype=torch.bool)
    region[0, 10:40, 20:50] = True
    region[1] = True
    distance = open_metric("lpips-squeeze", CORRECTED, squeezenet)
    whole = torch.zeros(3, 64, 90)
    for layer in maps(distance.network, 2 * truth - 1, 2 * drawn - 1):
        whole += F.interpolate(layer[:, None], (64, 90), mode="bilinear", align_corners=False)[:, 0]
    found = distance.by_region(truth, drawn, region)
    torch.testing.assert_close(found.whole, distance(truth, drawn))
    for k in range(3):
        for part, values in ((region[k], found.inside), (~region[k], found.outside)):
            expected = float(whole[k][part].mean()) if part.any() else np.nan
            assert values[k].item() == pytest.approx(expected, rel=1e-5, nan_ok=True)


@torch.no_grad()
def test_what_changes_outside_a_region_hardly_counts_inside(squeezenet):
    truth = pictures(1, 128, 128)
    drawn, region = truth.clone(), torch.zeros(1, 128, 128, dtype=torch.bool)
    region[0, :32, :32] = True
    drawn[..., 80:, 80:] = 1 - drawn[..., 80:, 80:]
    found = open_metric("lpips-squeeze", CORRECTED, squeezenet).by_region(truth, drawn, region)
    assert found.inside[0] < 0.05 * found.outside[0]
