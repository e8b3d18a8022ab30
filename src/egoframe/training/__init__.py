"""The training that every stage shares: exact resume, EMA, one process or many."""

from egoframe.training.config import LoopConfig
from egoframe.training.loop import fit
from egoframe.training.randomness import Batch

__all__ = ["Batch", "LoopConfig", "fit"]
