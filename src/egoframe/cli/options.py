"""Choices that several commands offer."""

from __future__ import annotations

from typing import Literal

Dtype = Literal["float32", "bfloat16", "float16"]
Bits = Literal[4, 8]
