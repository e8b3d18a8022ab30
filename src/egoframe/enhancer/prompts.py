"""The words of the conversation with the enhancer."""

from __future__ import annotations

import re

MIRRORED = {"left": "right", "right": "left", "clockwise": "anticlockwise",
            "anticlockwise": "clockwise"}  # fmt: skip


def question(action: str) -> str:
    """What LEGO asks its VLLM (paper, section 3.2), for an action such as "open drawer"."""
    return f"How does the person properly {action} that is displayed in the video frame?"


def prompt(action: str, image_token: str = "<image>") -> str:
    """The whole prompt, in LLaVA's format; the answer follows it."""
    return f"USER: {image_token}\n{question(action)} ASSISTANT:"


def mirrored(text: str) -> str:
    """A text about a picture, made true of the picture's mirror image."""
    return re.sub(rf"\b({'|'.join(MIRRORED)})\b", lambda match: MIRRORED[match[0]], text)
