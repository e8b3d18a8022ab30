"""Pictures as the networks of metrics see them: features of each, and distances of two.

Features are compared as sets (FID, KID: `distributions.py`) or pair by pair (`similarity`).

Shape suffixes: B pictures, 3 colours, H height, W width, D width of a feature, T frames; pictures
are RGB, 0 to 1, those of a call of one size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from egoframe.errors import UserError
from egoframe.evaluation.backbones import egovlp, inception
from egoframe.evaluation.backbones.egovlp import EgoVLP
from egoframe.evaluation.backbones.inception import Inception
from egoframe.evaluation.backbones.lpips import Lpips, spread, whole
from egoframe.evaluation.protocol import MetricProtocol
from egoframe.evaluation.published import HUB_WEIGHTS, hub_model, hub_sha256, open_network
from egoframe.released import CLIP

CLIP_LOOKS = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IMAGENET_LOOKS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # mean and deviation of the colours
PLUS = "-plus"  # EgoVLP+ has EgoVLP's weights

METRICS = (
    "inception", "clip", "egovlp-ego4d", "egovlp-epic", "egovlp-plus-ego4d", "egovlp-plus-epic",
    "lpips-alex", "lpips-vgg", "lpips-squeeze",
)  # fmt: skip


@dataclass(frozen=True)
class Extractor:
    """Features of pictures: (pictures (B, 3, H, W), their input frames likewise) → (B, D), float32,
    on the CPU. Input frames count for EgoVLP+ alone.

    Arguments:
        width: D.
        sha256: of the file of the weights.
        resize: what is done to pictures, in words.
    """

    name: str
    width: int
    sha256: str
    resize: str
    device: torch.device
    features: Callable[[Tensor, Tensor], Tensor]

    @torch.inference_mode()
    def __call__(self, pictures_B3HW: Tensor, inputs_B3HW: Tensor) -> Tensor:
        on_device = (x.to(self.device) for x in (pictures_B3HW, inputs_B3HW))
        return self.features(*on_device).cpu()


class RegionDistance(NamedTuple):
    """Distances (B,): of whole pictures, and the means inside and outside a region of each; nan
    where there is nothing inside, or outside."""

    whole: Tensor
    inside: Tensor
    outside: Tensor


@dataclass(frozen=True)
class Distance:
    """Distances (B,), float32, on the CPU, of true and drawn pictures (B, 3, H, W).

    Arguments:
        sha256: of the file of the weights.
        resize: what is done to pictures, in words.
    """

    name: str
    sha256: str
    resize: str
    device: torch.device
    network: Lpips
    protocol: MetricProtocol

    @torch.inference_mode()
    def __call__(self, truth_B3HW: Tensor, drawn_B3HW: Tensor) -> Tensor:
        return whole(self._layers(truth_B3HW, drawn_B3HW)).cpu()

    @torch.inference_mode()
    def by_region(
        self, truth_B3HW: Tensor, drawn_B3HW: Tensor, region_BHW: Tensor
    ) -> RegionDistance:
        """Also inside and outside the regions (bool) of the true pictures.

        Every layer is spread over the picture first, as lpips does when asked for a map.
        """
        layers = self._layers(truth_B3HW, drawn_B3HW)
        height, width = truth_B3HW.shape[2:]
        apart_BHW = spread(layers, (height, width)).cpu()
        parts = [
            (apart_BHW * part).sum((1, 2)) / part.sum((1, 2)) for part in (region_BHW, ~region_BHW)
        ]
        return RegionDistance(whole(layers).cpu(), *parts)

    def _layers(self, truth_B3HW: Tensor, drawn_B3HW: Tensor) -> list[Tensor]:
        truth, drawn = (x.to(self.device) for x in (truth_B3HW, drawn_B3HW))
        drawn = self.protocol.fitted(drawn, truth)
        return self.network.layers(*(self.protocol.for_lpips(x) for x in (truth, drawn)))


def similarity(first_BD: Tensor, second_BD: Tensor) -> Tensor:
    """Cosine similarity (B,) of features, pair by pair."""
    return F.cosine_similarity(first_BD, second_BD)


def normalised(pictures_B3HW: Tensor, looks: tuple[tuple[float, ...], tuple[float, ...]]) -> Tensor:
    """Pictures less the mean of their colours, by the deviation."""
    mean, deviation = (pictures_B3HW.new_tensor(x).view(1, 3, 1, 1) for x in looks)
    return (pictures_B3HW - mean) / deviation


def open_metric(
    name: str,
    protocol: MetricProtocol,
    weights: str | Path | None = None,
    device: str | torch.device = "cpu",
) -> Extractor | Distance:
    """A metric's network with its weights, ready to measure as a protocol says.

    Arguments:
        name: of METRICS.
        weights: the published file; of "clip" a folder or hub id of transformers. Where not given,
            what is in the cache, or fetched into it.
        device: to measure on.
    Raises:
        UserError: no metric of that name, or its weights cannot be had, are damaged, or another's.
    """
    if name not in METRICS:
        raise UserError(f"metric {name!r}: give one of {', '.join(METRICS)}")
    where = torch.device(device)
    if name == "clip":
        return _open_clip(protocol, weights, where)
    opened, sha256 = open_network(name.replace(PLUS, ""), weights)
    network: Any = opened.to(where)
    if isinstance(network, Lpips):
        span = "0 to 1 taken for −1 to 1" if protocol.half_contrast else "−1 to 1"
        resize = f"none, values {span}; a drawn picture of another size: {protocol.fit.text}"
        return Distance(name, sha256, resize, where, network, protocol)
    if isinstance(network, Inception):
        resize, width = protocol.inception.describe(inception.SIDE), inception.WIDTH
        features = _inception_features(network, protocol)
    else:
        resize, width = protocol.egovlp.describe(egovlp.SIDE), egovlp.OUT
        features = _egovlp_features(network, protocol, after_input=PLUS in name)
    return Extractor(name, width, sha256, resize, where, features)


def _inception_features(
    network: Inception, protocol: MetricProtocol
) -> Callable[[Tensor, Tensor], Tensor]:
    def features(pictures_B3HW: Tensor, _: Tensor) -> Tensor:
        return network(protocol.inception(pictures_B3HW, inception.SIDE))

    return features


def _egovlp_features(
    network: EgoVLP, protocol: MetricProtocol, after_input: bool
) -> Callable[[Tensor, Tensor], Tensor]:
    """A clip in which nothing moves; of EgoVLP+, the first half is the input frame."""

    def ready(pictures_B3HW: Tensor) -> Tensor:
        return normalised(protocol.egovlp(pictures_B3HW, egovlp.SIDE), IMAGENET_LOOKS)

    def features(pictures_B3HW: Tensor, inputs_B3HW: Tensor) -> Tensor:
        half = network.frames // 2
        if after_input:
            shown = ready(protocol.fitted(pictures_B3HW, inputs_B3HW))
            before = ready(inputs_B3HW)
        else:
            shown = before = ready(pictures_B3HW)
        return network(torch.stack([before] * half + [shown] * half, 1))

    return features


def _open_clip(
    protocol: MetricProtocol, weights: str | Path | None, device: torch.device
) -> Extractor:
    from transformers import CLIPConfig, CLIPVisionConfig, CLIPVisionModelWithProjection

    with hub_model(CLIP, weights, f"config.json and {HUB_WEIGHTS}") as source:
        sha256 = hub_sha256(source)
        told = CLIPVisionConfig.get_config_dict(source)[0]
        if told.get("model_type") not in ("clip", "clip_vision_model"):
            raise UserError(f"{source}: no CLIP, but a {told.get('model_type')}")
        vision: Any = CLIPVisionConfig.from_pretrained(source)
        if told["model_type"] == "clip":  # whose width of embeddings is told beside the towers
            vision.projection_dim = CLIPConfig.from_pretrained(source).projection_dim
        loaded: Any = CLIPVisionModelWithProjection.from_pretrained(
            source, config=vision, dtype=torch.float32, use_safetensors=True,
            output_loading_info=True,
        )  # fmt: skip
        model, report = loaded
        if report["missing_keys"]:
            raise UserError(f"{source}: this CLIP lacks {min(report['missing_keys'])}")
    network = model.eval().requires_grad_(False).to(device)
    side = vision.image_size

    def features(pictures_B3HW: Tensor, _: Tensor) -> Tensor:
        pixels = normalised(protocol.clip(pictures_B3HW, side), CLIP_LOOKS)
        return network(pixel_values=pixels).image_embeds

    resize = protocol.clip.describe(side)
    return Extractor("clip", vision.projection_dim, sha256, resize, device, features)
