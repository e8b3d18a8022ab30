"""`Enhancer`: any image-text-to-text model of transformers, asked LEGO's question.

Shape suffixes: B pictures, I image tokens, T text tokens, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from egoframe.enhancer.prompts import prompt
from egoframe.errors import UserError

MAX_TOKENS = 77  # of a description: what the conditioner reads


@dataclass(frozen=True)
class Enhancement:
    """What the enhancer saw and said."""

    descriptions: list[str]
    image_embeds: Tensor  # (B, I, D) the projector's output
    text_embeds: Tensor  # (B, 77, D) last hidden states, zero beyond each description's end
    text_mask: Tensor  # bool (B, 77)


class Enhancer:
    """A vision-language model with its processor."""

    def __init__(self, model: Any, processor: Any) -> None:
        self.model = model.eval()
        self.processor = processor

    @classmethod
    def from_pretrained(cls, folder: str | Path, dtype: torch.dtype | None = None) -> Enhancer:
        """Open a transformers model with its processor: a folder, or a hub id.

        Raises:
            UserError: no such model, or its processor is missing.
        """
        from transformers import AutoModelForImageTextToText, AutoProcessor

        try:
            processor = AutoProcessor.from_pretrained(folder)
            model = AutoModelForImageTextToText.from_pretrained(
                folder, dtype=dtype, use_safetensors=True
            )
        except (OSError, ValueError) as error:
            line = str(error).splitlines()[0]
            raise UserError(
                f"{folder}: not a vision-language model with its processor ({line})"
            ) from None
        return cls(model, processor)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write model and processor."""
        self.model.save_pretrained(folder)
        self.processor.save_pretrained(folder)

    @property
    def image_embed_dim(self) -> int:
        """Width of the image embeddings."""
        return self.model.config.text_config.hidden_size

    @property
    def text_embed_dim(self) -> int:
        """Width of the text embeddings."""
        return self.model.config.text_config.hidden_size

    @torch.inference_mode()
    def __call__(
        self,
        images: Sequence[Image.Image],
        actions: Sequence[str],
        descriptions: Sequence[str] | None = None,
    ) -> Enhancement:
        """Describe how each action is done in each picture.

        Arguments:
            images: B RGB pictures.
            actions: B actions, such as "open drawer".
            descriptions: B texts to take instead of generating them; the embeddings are those
                that generating them would have given.
        Raises:
            UserError: a text holds one of the model's own marks, such as its end token.
        """
        tokenizer = self.processor.tokenizer
        for text in (*actions, *(descriptions or ())):
            marks = [mark for mark in tokenizer.all_special_tokens if mark in text]
            if marks:
                raise UserError(f"{text!r}: {marks[0]} is a mark of the model, not a word")
        inputs = self._inputs(images, actions)
        if descriptions is None:
            answers, states = self._generate(inputs)
        else:
            answers = [self._answer_tokens(text) for text in descriptions]
            states = self._states(inputs, answers)
        mask = torch.zeros(len(answers), MAX_TOKENS, dtype=torch.bool, device=states.device)
        for row, answer in enumerate(answers):
            mask[row, : len(answer)] = True
        text_embeds = states.new_zeros(*mask.shape, states.shape[-1])
        text_embeds[:, : states.shape[1]] = states
        text_embeds *= mask[..., None]
        said = [tokenizer.decode(a, skip_special_tokens=True).strip() for a in answers]
        return Enhancement(said, self._image_embeds(inputs["pixel_values"]), text_embeds, mask)

    @torch.inference_mode()
    def embed_images(self, images: Sequence[Image.Image]) -> Tensor:
        """The image embeddings (B, I, D) of B RGB pictures."""
        return self._image_embeds(self._inputs(images, [""] * len(images))["pixel_values"])

    def _inputs(self, images: Sequence[Image.Image], actions: Sequence[str]) -> dict[str, Tensor]:
        batch = self.processor(
            images=list(images),
            text=[prompt(action) for action in actions],
            return_tensors="pt",
            padding=True,
            padding_side="left",
        )
        return {key: value.to(self.model.device) for key, value in batch.items()}

    def _image_embeds(self, pixel_values: Tensor) -> Tensor:
        features = self.model.get_image_features(pixel_values=pixel_values).pooler_output
        return torch.stack(tuple(features))

    def _answer_tokens(self, text: str) -> Tensor:
        """The tokens (T,) of an answer, its end token last."""
        tokenizer = self.processor.tokenizer
        tokens = tokenizer(f" {text.strip()}", add_special_tokens=False)["input_ids"]
        return torch.tensor([*tokens[: MAX_TOKENS - 1], tokenizer.eos_token_id])

    def _until_end(self, tokens_T: Tensor) -> Tensor:
        ends = (tokens_T == self.processor.tokenizer.eos_token_id).nonzero()
        return tokens_T[: int(ends[0]) + 1] if len(ends) else tokens_T

    def _generate(self, inputs: dict[str, Tensor]) -> tuple[list[Tensor], Tensor]:
        """The tokens of each answer, and the states (B, T, D) that predicted them."""
        out = self.model.generate(
            **inputs,
            max_new_tokens=MAX_TOKENS,
            do_sample=False,
            return_dict_in_generate=True,
            output_hidden_states=True,
        )
        new = out.sequences[:, inputs["input_ids"].shape[1] :]
        states = torch.stack([step[-1][:, -1] for step in out.hidden_states], 1)
        return [self._until_end(row) for row in new], states

    def _states(self, inputs: dict[str, Tensor], answers: list[Tensor]) -> Tensor:
        """The last layer's states (B, T, D), after its norm, where each token of the given answers
        is predicted."""
        ids, attention = inputs["input_ids"], inputs["attention_mask"]
        longest = max(len(answer) for answer in answers)
        answer_ids = ids.new_full((len(answers), longest), self.processor.tokenizer.pad_token_id)
        kept = attention.new_zeros(answer_ids.shape)
        for row, answer in enumerate(answers):
            answer_ids[row, : len(answer)] = answer
            kept[row, : len(answer)] = 1
        attention = torch.cat((attention, kept), 1)
        out = self.model.base_model(
            input_ids=torch.cat((ids, answer_ids), 1),
            attention_mask=attention,
            position_ids=(attention.cumsum(1) - 1).clamp(min=0),
            pixel_values=inputs["pixel_values"],
        )
        start = ids.shape[1] - 1  # the prompt's last token predicts the first of the answer
        return out.last_hidden_state[:, start : start + longest]
