"""A teacher on this machine: a text-generation model of transformers.

It answers one conversation at a time. For large sets, let a server such as vLLM's run the model.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

from egoframe.errors import UserError
from egoframe.teacher.client import Reply
from egoframe.teacher.prompt import Message

REFUSED = "not a text-generation model with a chat template"


class LocalModel:
    """A causal language model with its tokenizer: a folder, or a hub id.

    Arguments:
        temperature: 0 takes the likeliest tokens; None leaves it to the model's settings.
        max_tokens: of an answer.
        seed: of the choice of tokens, together with the question's words.
        device: such as cpu or cuda; the GPU, where there is one, if not given.
    Raises:
        UserError: no such model, or no such device.
    """

    def __init__(
        self,
        name: str,
        *,
        temperature: float | None,
        max_tokens: int,
        seed: int,
        device: str | None = None,
    ) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging

        from egoframe.enhancer.opening import NO_CODE, one_line
        from egoframe.models import usable_device

        logging.disable_progress_bar()
        self.name, self.max_tokens, self.seed = name, max_tokens, seed
        where = usable_device(device)
        dtype = torch.float32 if where.type == "cpu" else "auto"
        with one_line(name, REFUSED):
            self.tokenizer: Any = AutoTokenizer.from_pretrained(name, **NO_CODE)
            if self.tokenizer.chat_template is None:
                raise ValueError("its tokenizer has no chat template")
            model: Any = AutoModelForCausalLM.from_pretrained(
                name, dtype=dtype, use_safetensors=True, **NO_CODE
            )
            self.model = model.to(where).eval()
        self.choice: dict[str, Any] = {}
        if temperature is not None:
            self.choice["do_sample"] = temperature > 0
            if temperature > 0:
                self.choice["temperature"] = temperature

    async def answer(self, asked: Sequence[Message]) -> Reply:
        """The next message; see `Teacher`.

        Raises:
            UserError: the model's context is too short for the question, or its chat template does
                not take it.
        """
        import torch

        from egoframe.enhancer.opening import one_line

        with one_line(self.name, "its chat template does not take the question"):
            inputs = self.tokenizer.apply_chat_template(
                list(asked), add_generation_prompt=True, return_dict=True, return_tensors="pt"
            ).to(self.model.device)
        start = inputs["input_ids"].shape[1]
        self._check_length(start)
        words = "".join(message["content"] for message in asked)
        cards = range(torch.cuda.device_count())
        with torch.inference_mode(), torch.random.fork_rng(cards):
            torch.manual_seed(zlib.crc32(f"{self.seed} {words}".encode()))
            output = self.model.generate(
                **inputs,
                **self.choice,
                max_new_tokens=self.max_tokens,
                pad_token_id=self.tokenizer.pad_token_id or self.tokenizer.eos_token_id,
            )
        written = output[0, start:]
        text = self.tokenizer.decode(written, skip_special_tokens=True)
        cut = len(written) == self.max_tokens and int(written[-1]) not in self._ends()
        return Reply(text, start, len(written), finish="length" if cut else "stop")

    async def close(self) -> None: ...

    def _ends(self) -> list[int]:
        ends = self.model.generation_config.eos_token_id
        return ends if isinstance(ends, list) else [ends]

    def _check_length(self, tokens: int) -> None:
        limit = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        if limit is not None and tokens + self.max_tokens > limit:
            raise UserError(
                f"{self.name}: reads {limit} tokens, and a question of {tokens} with its answer of "
                f"{self.max_tokens} has more; lower examples_per_prompt or max_tokens"
            )
