"""All metrics by name, and how each becomes figures of a batch.

A metric gives figures of pairs (B,), and features (B, D) that are compared once all are there.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from egoframe.errors import UserError
from egoframe.evaluation.batch import Batch, Metric, to_bytes
from egoframe.evaluation.pair_metrics import pixels
from egoframe.evaluation.protocol import choose_metric_protocol
from egoframe.evaluation.regions import changed_region

if TYPE_CHECKING:
    from egoframe.evaluation.captions import Captioner, TextSimilarity
    from egoframe.evaluation.extractors import Distance, Extractor

PIXELS, RECOGNISER, STATE, JUDGE = "pixels", "recogniser", "state", "judge"
EXTRACTORS = (
    "inception", "clip", "egovlp-ego4d", "egovlp-plus-ego4d", "egovlp-epic", "egovlp-plus-epic",
    "lpips-alex", "lpips-vgg", "lpips-squeeze",
)  # fmt: skip
CAPTIONERS = ("blip-base", "blip-large")
CAPTIONS = tuple(f"{name}-{data}" for name in CAPTIONERS for data in ("ego4d", "epic"))
METRICS = (PIXELS, RECOGNISER, STATE, *EXTRACTORS, *CAPTIONS, JUDGE)
ASKED_FOR = (*CAPTIONS, JUDGE)  # measured only where they are asked for
PLUS = "-plus"  # EgoVLP+ has EgoVLP's weights
TOKENIZER = "distilbert-base-uncased"
WEIGHTS = (RECOGNISER, STATE, *(name for name in EXTRACTORS if PLUS not in name), *CAPTIONERS,
           TOKENIZER, JUDGE)  # fmt: skip


@dataclass(frozen=True)
class MetricSpec:
    """A metric that can be had, ready to be opened in any process.

    Arguments:
        weights: files or folders, by the names of WEIGHTS, that the user gave.
        measured_by: the hashes of its weights and how it resizes, in words.
    """

    name: str
    protocol: str
    weights: tuple[tuple[str, str], ...] = ()
    measured_by: str = ""

    @property
    def identity(self) -> str:
        """Another one for all that gives other figures."""
        return json.dumps([self.name, self.protocol, self.measured_by])

    def given(self, name: str) -> str | None:
        """The weights that the user gave for a network."""
        return dict(self.weights).get(name)


def available(
    names: Sequence[str], protocol: str, weights: dict[str, str], device: str
) -> tuple[list[MetricSpec], dict[str, str]]:
    """The metrics of these names that can be had; and why the others cannot.

    Raises:
        UserError: no metric, or no weights, of such a name.
    """
    for name, known in (*((n, METRICS) for n in names), *((n, WEIGHTS) for n in weights)):
        if name not in known:
            raise UserError(f"{name}: no such metric or weights; give {', '.join(known)}")
    found, left_out = [], {}
    for name in names:
        spec = MetricSpec(name, protocol, tuple(sorted(weights.items())))
        try:
            told = _opened(spec, device)[1]
        except UserError as error:
            left_out[name] = str(error)
        else:
            found.append(MetricSpec(name, protocol, spec.weights, told))
    return found, left_out


def open_metric(spec: MetricSpec, device: str) -> Metric:
    """The metric itself."""
    return _opened(spec, device)[0]


def _opened(spec: MetricSpec, device: str) -> tuple[Metric, str]:
    """A metric and how it measures, in words; loads nothing that others need alone."""
    if spec.name == PIXELS:
        return pixels, "PSNR and SSIM of values 0 to 1"
    if spec.name in (RECOGNISER, STATE):
        return _open_recogniser(spec)
    if spec.name == JUDGE:
        from egoframe.evaluation.judge import Judge

        model = spec.given(JUDGE)
        if model is None:
            raise UserError("judge: give a vision-language model, as --weights judge=FOLDER-OR-ID")
        return Judge(model, device), f"questions of egoframe.evaluation.judge, put to {model}"
    return (_open_captions if spec.name in CAPTIONS else _open_extractor)(spec, device)


def _open_recogniser(spec: MetricSpec) -> tuple[Metric, str]:
    from egoframe.evaluation import recogniser, state
    from egoframe.models import fingerprint

    of_actions = spec.name == RECOGNISER
    folder = Path(spec.given(spec.name) or (recogniser if of_actions else state).PACKAGED)
    kind: Any = recogniser.RecognisedAction if of_actions else state.RightState
    told = "" if of_actions else ", of actions that change the state"
    return kind(folder), f"weights {fingerprint(folder)[:16]}{told}"


def _open_captions(spec: MetricSpec, device: str) -> tuple[Metric, str]:
    from egoframe.evaluation.captions import open_captioner, open_text_similarity

    captioner, data = spec.name.rsplit("-", 1)
    tower, protocol = spec.given(f"egovlp-{data}"), choose_metric_protocol(spec.protocol)
    says = open_captioner(captioner, protocol, spec.given(captioner), device)
    compares = open_text_similarity(
        f"egovlp-text-{data}", Path(tower) if tower else None, spec.given(TOKENIZER), device
    )
    told = f"weights {says.sha256[:16]} and {compares.sha256[:16]}; {says.resize}"
    return _Captions(spec.name, says, compares), told


def _open_extractor(spec: MetricSpec, device: str) -> tuple[Metric, str]:
    from egoframe.evaluation import extractors

    protocol = choose_metric_protocol(spec.protocol)
    network = extractors.open_metric(
        spec.name, protocol, spec.given(spec.name.replace(PLUS, "")), device
    )
    told = f"weights {network.sha256[:16]}; {network.resize}"
    if isinstance(network, extractors.Distance):
        return _Lpips(network), told
    return _Features(network), told


@dataclass(frozen=True)
class _Features:
    network: Extractor

    def __call__(self, batch: Batch) -> dict[str, np.ndarray]:
        return {self.network.name: self.network(batch.drawn, batch.before).numpy()}


@dataclass(frozen=True)
class _Lpips:
    network: Distance

    def __call__(self, batch: Batch) -> dict[str, np.ndarray]:
        changed = torch.from_numpy(changed_region(to_bytes(batch.before), to_bytes(batch.truth)))
        found = self.network.by_region(batch.truth, batch.drawn, changed)
        name = self.network.name
        return {
            name: found.whole.numpy(),
            f"{name} changed": found.inside.numpy(),
            f"{name} unchanged": found.outside.numpy(),
        }


@dataclass(frozen=True)
class _Captions:
    """Captions of drawn pictures against the pairs' descriptions; nan without one."""

    name: str
    says: Captioner
    compares: TextSimilarity

    def __call__(self, batch: Batch) -> dict[str, np.ndarray]:
        captions = self.says(batch.drawn)
        values: Any = np.full(len(batch), np.nan)
        known = [k for k, text in enumerate(batch.descriptions) if text is not None]
        if known:
            wanted = [str(batch.descriptions[k]) for k in known]
            values[known] = self.compares(wanted, [captions[k] for k in known]).numpy()
        return {self.name: values}
