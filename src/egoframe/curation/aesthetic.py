"""LAION's aesthetic predictors: how pleasing a picture is to people, about 1..10, told from CLIP.

Both read CLIP ViT-L/14's image embedding at length 1: the first is linear (LAION-AI,
aesthetic-predictor), the improved one a chain of linear layers (christophschuhmann,
improved-aesthetic-predictor) with dropouts in between, and nothing else, so it is linear too.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from egoframe.curation.embedding import ClipEmbedding
from egoframe.errors import UserError, first_line

LINEAR = ("",)
IMPROVED = ("layers.0.", "layers.2.", "layers.4.", "layers.6.", "layers.7.")
# The published .pth as safetensors: save_file(torch.load(PTH, weights_only=True), SAFETENSORS).


class AestheticScore:
    """Scores pictures.

    Arguments:
        weights: a predictor, as safetensors, by the names of the published ones.
        clip: of the width that the predictor was made for.
    Raises:
        UserError: no such file, no such predictor, or one for another CLIP.
    """

    def __init__(self, weights: Path, clip: ClipEmbedding) -> None:
        self.layers = _read(weights)
        self.clip = clip
        width = self.layers[0][0].shape[1]
        if width != clip.width:
            raise UserError(
                f"{weights}: made for a CLIP of width {width}, {clip.source} has {clip.width}; "
                "the published predictors go with openai/clip-vit-large-patch14"
            )

    def __call__(self, pictures: Sequence[np.ndarray]) -> list[float]:
        """The score of each picture, uint8 RGB (H, W, 3)."""
        hidden = self.clip.embed(pictures)
        for weight, bias in self.layers:
            hidden = hidden @ weight.T + bias
        return [float(score) for score in hidden[:, 0]]


def _read(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weight (out, in) and bias (out) of each layer."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = {name: t.float().numpy() for name, t in load_file(path).items()}
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{path}: cannot be read as safetensors ({first_line(error)}); of a .pth, make one: "
            "safetensors.torch.save_file(torch.load(PTH, weights_only=True), SAFETENSORS)"
        ) from None
    for names in (LINEAR, IMPROVED):
        if set(tensors) == {f"{name}{kind}" for name in names for kind in ("weight", "bias")}:
            layers = [(tensors[f"{name}weight"], tensors[f"{name}bias"]) for name in names]
            if _fit(layers):
                return layers
    raise UserError(
        f"{path}: no aesthetic predictor; expected the linear one (weight, bias) or the improved "
        "one (layers.0, 2, 4, 6, 7)"
    )


def _fit(layers: list[tuple[np.ndarray, np.ndarray]]) -> bool:
    """Whether each layer takes what the one before gives, and the last gives one figure."""
    if any(weight.ndim != 2 or bias.shape != weight.shape[:1] for weight, bias in layers):
        return False
    widths = [weight.shape for weight, _ in layers]
    chained = all(after[1] == before[0] for before, after in pairwise(widths))
    return chained and widths[-1][0] == 1
