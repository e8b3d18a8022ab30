"""One first-person photo and an action in, the picture of doing it out."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from egoframe.generator.autoencoder import InputAwareAutoencoder
    from egoframe.generator.conditioner import Conditioner
    from egoframe.generator.pipeline import ActionFramePipeline
    from egoframe.models import load

__all__ = ["ActionFramePipeline", "Conditioner", "InputAwareAutoencoder", "load"]

# Loaded when first asked for, so that `import egoframe` stays quick. Diffusers finds the parts of a
# saved pipeline here, too.
_HOMES = {
    "ActionFramePipeline": "egoframe.generator.pipeline",
    "Conditioner": "egoframe.generator.conditioner",
    "InputAwareAutoencoder": "egoframe.generator.autoencoder",
    "load": "egoframe.models",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'egoframe' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
