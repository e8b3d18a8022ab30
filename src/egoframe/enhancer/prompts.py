"""The words of the conversation with the enhancer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from egoframe.errors import UserError

MIRRORED = {"left": "right", "right": "left", "clockwise": "anticlockwise",
            "anticlockwise": "clockwise"}  # fmt: skip


def question(action: str) -> str:
    """What LEGO asks its VLLM (paper, section 3.2), for an action such as "open drawer"."""
    return f"How does the person properly {action} that is displayed in the video frame?"


NEXT = "What does the person do next, after what the video frame displays?"


def plan_question(task: str) -> str:
    """What is asked for the steps of a task, such as "make a cup of tea"."""
    return f"Which steps, one after another, does the person take here to {task}?"


def prompt(words: str, image_token: str = "<image>") -> str:
    """The whole prompt of a question, in LLaVA's format; the answer follows it."""
    return f"USER: {image_token}\n{words} ASSISTANT:"


def _message(words: str) -> dict[str, Any]:
    """A question as a message of a conversation: a picture, then the words."""
    content = [{"type": "image"}, {"type": "text", "text": words}]
    return {"role": "user", "content": content}


def asked(processor: Any, words: str) -> str:
    """The whole prompt of any question, in the format of the processor's chat template where it has
    one."""
    template = _template(processor)
    if template is None:
        return prompt(words)
    return processor.tokenizer.apply_chat_template(
        [_message(words)], chat_template=template, tokenize=False, add_generation_prompt=True
    )


def after_answer(processor: Any) -> str:
    """What the chat template puts after an answer, such as its end token; "" without a template."""
    template = _template(processor)
    if template is None:
        return ""
    said = {"role": "assistant", "content": [{"type": "text", "text": "ANSWER"}]}
    told = processor.tokenizer.apply_chat_template(
        [_message(""), said], chat_template=template, tokenize=False
    )
    return told.rpartition("ANSWER")[2] if "ANSWER" in told else ""


def check_marks(tokenizer: Any, texts: Iterable[str]) -> None:
    """Refuse texts that hold a mark of the model, such as its end token.

    Raises:
        UserError: one does; the line names both.
    """
    for text in texts:
        marks = [mark for mark in tokenizer.all_special_tokens if mark in text]
        if marks:
            raise UserError(f"{text!r}: {marks[0]} is a mark of the model, not a word")


def _template(processor: Any) -> str | None:
    template = getattr(processor, "chat_template", None) or processor.tokenizer.chat_template
    return template.get("default") if isinstance(template, dict) else template


def mirrored(text: str) -> str:
    """A text about a picture, made true of the picture's mirror image."""
    return re.sub(rf"\b({'|'.join(MIRRORED)})\b", lambda match: MIRRORED[match[0]], text)
