"""`Enhancer`: any image-text-to-text model of transformers, asked LEGO's question.

Shape suffixes: B pictures, I image tokens, T text tokens, D width.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image
from torch import Tensor

from egoframe.enhancer.opening import open_model, open_processor, parts
from egoframe.enhancer.prompts import after_answer, asked, check_marks, question
from egoframe.errors import UserError

IGNORED = -100  # label of what a loss leaves out
NO_LIMIT = 1 << 20  # tokens: longer than any answer
MAX_TOKENS = 77  # whose embeddings are returned; of a description, where the model sets no limit


@dataclass(frozen=True)
class Enhancement:
    """What the enhancer saw and said."""

    descriptions: list[str]
    image_embeds: Tensor  # (B, I, D) the projector's output
    text_embeds: Tensor  # (B, 77, D) last hidden states, zero beyond each description's end
    text_mask: Tensor  # bool (B, 77)
    image_states: Tensor | None = None  # (B, I, V) what `projector` makes image_embeds of

    def rows(self, places: Sequence[int]) -> Enhancement:
        """Those of some pictures."""
        kept = (self.image_embeds, self.text_embeds, self.text_mask, self.image_states)
        tensors = (None if x is None else x[list(places)] for x in kept)
        return Enhancement([self.descriptions[k] for k in places], *tensors)  # type: ignore


class Enhancer:
    """A vision-language model with its processor."""

    def __init__(self, model: Any, processor: Any) -> None:
        self.model = model.eval()
        self.processor = processor
        if processor.tokenizer.pad_token is None:
            processor.tokenizer.pad_token = processor.tokenizer.eos_token

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        dtype: torch.dtype | None = None,
        bits: Literal[4, 8] | None = None,
        device: str | torch.device = "cpu",
    ) -> Enhancer:
        """Open a transformers model with its processor.

        Arguments:
            folder: of such a model, or of a pipeline that has one; or a hub id.
            dtype: of the weights; that on disk where not given.
            bits: of the language model's weights, quantised with bitsandbytes while they are read.
            device: to put it on.
        Raises:
            UserError: no such model, a part of it is missing, or it cannot be quantised here.
        """
        model, processor = parts(folder)
        return cls(open_model(model, dtype, bits, device), open_processor(processor))

    def save_pretrained(self, folder: str | Path) -> None:
        """Write model and processor."""
        self.model.save_pretrained(folder)
        self.processor.save_pretrained(folder)

    @property
    def image_embed_dim(self) -> int:
        """Width of the image embeddings: they take the place of the language model's tokens."""
        return self.model.config.get_text_config().hidden_size

    @property
    def text_embed_dim(self) -> int:
        """Width of the text embeddings."""
        return self.model.config.get_text_config().hidden_size

    @torch.inference_mode()
    def __call__(
        self,
        images: Sequence[Image.Image],
        actions: Sequence[str],
        descriptions: Sequence[str] | None = None,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> Enhancement:
        """Describe how each action is done in each picture.

        Arguments:
            images: B RGB pictures.
            actions: B actions, such as "open drawer".
            descriptions: B texts to take instead of generating them; the embeddings are those
                that generating them would have given, had the model come to its end token.
            temperature: of the choice of tokens; 0 takes the likeliest.
            seed: of that choice.
        Raises:
            UserError: a text holds one of the model's own marks, such as its end token, or the
                pictures give different numbers of image tokens.
        """
        check_marks(self.processor.tokenizer, (*actions, *(descriptions or ())))
        questions = [question(action) for action in actions]
        inputs = self.inputs(images, questions)
        image_states, image_embeds = self._image_embeds(inputs)
        if descriptions is None:
            with self._last_states() as seen:
                answers = self._generate(inputs, temperature, seed)
            states = torch.cat(seen, 1)
        else:
            answers = [
                self._answer_tokens(words, text)
                for words, text in zip(questions, descriptions, strict=True)
            ]
            states = self._states(inputs, [answer[:MAX_TOKENS] for answer in answers])
        mask = torch.zeros(len(answers), MAX_TOKENS, dtype=torch.bool, device=states.device)
        for row, answer in enumerate(answers):
            mask[row, : len(answer)] = True
        text_embeds = states.new_zeros(*mask.shape, states.shape[-1])
        text_embeds[:, : states.shape[1]] = states
        text_embeds *= mask[..., None]
        return Enhancement(self.decode(answers), image_embeds, text_embeds, mask, image_states)

    @torch.inference_mode()
    def describe(
        self,
        images: Sequence[Image.Image],
        actions: Sequence[str],
        temperature: float = 0.0,
        seed: int = 0,
    ) -> list[str]:
        """The descriptions alone, as calling gives them; the pictures may be of any sizes."""
        check_marks(self.processor.tokenizer, actions)
        inputs = self.inputs(images, [question(action) for action in actions])
        return self.decode(self._generate(inputs, temperature, seed))

    @torch.inference_mode()
    def embed_images(self, images: Sequence[Image.Image]) -> Tensor:
        """The image embeddings (B, I, D) of B RGB pictures.

        Raises:
            UserError: the pictures give different numbers of image tokens.
        """
        return self._image_embeds(self.inputs(images, [""] * len(images)))[1]

    def lesson(
        self,
        images: Sequence[Image.Image],
        questions: Sequence[str],
        answers: Sequence[str],
    ) -> dict[str, Tensor]:
        """What the model is given when it answers, as it learns from it; on the CPU.

        Arguments:
            images: B RGB pictures.
            questions: B, such as `prompts.question("open drawer")`.
            answers: B, such as descriptions.
        Returns:
            The model's inputs, token for token those of calling with these descriptions, and
            `labels` (B, T): the answers' tokens, the end token included; −100 everywhere else.
        """
        given = self.inputs(images, questions)
        said = [self._answer_tokens(q, a) for q, a in zip(questions, answers, strict=True)]
        inputs = self._answered(given, said)
        labels = torch.full_like(inputs["input_ids"], IGNORED)
        start = given["input_ids"].shape[1]
        for row, answer in enumerate(said):
            labels[row, start : start + len(answer)] = answer
        return {**inputs, "labels": labels}

    def make_room(self, questions: Sequence[str], answers: Sequence[str]) -> None:
        """Let answers be as long as these; what was allowed before, still is.

        Raises:
            UserError: a text holds one of the model's own marks, or cannot be told from the prompt.
        """
        check_marks(self.processor.tokenizer, (*questions, *answers))
        told = zip(questions, answers, strict=True)
        longest = max(len(self._answer_tokens(words, text, NO_LIMIT)) for words, text in told)
        if longest > self._limit(MAX_TOKENS):
            self.model.generation_config.max_new_tokens = longest

    def inputs(self, images: Sequence[Image.Image], questions: Sequence[str]) -> dict[str, Tensor]:
        """All that the processor makes of B pictures and questions, padded on the left."""
        prompts = [asked(self.processor, words) for words in questions]
        start = self.processor.tokenizer.bos_token
        batch = self.processor(
            images=[[image] for image in images],
            text=prompts,
            return_tensors="pt",
            padding=True,
            padding_side="left",
            add_special_tokens=not (start and prompts[0].startswith(start)),
        )
        return {key: value.to(self.model.device) for key, value in batch.items()}

    @property
    def projector(self) -> Any:
        """What makes image embeddings (B, I, D) of image states (B, I, V): LLaVA's projector, which
        takes each token by itself; nothing for other families, whose projectors merge tokens."""
        return getattr(self.model.base_model, "multi_modal_projector", torch.nn.Identity())

    def _image_embeds(self, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """What goes into the projector (B, I, V), and what it puts out for each picture, parts of
        one picture in a row (B, I, D); twice the latter where there is no projector."""
        takes = inspect.signature(self.model.get_image_features).parameters
        given = {key: value for key, value in inputs.items() if key in takes}
        projector, seen = self.projector, []
        hook = projector.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
        features = self.model.get_image_features(**given).pooler_output
        hook.remove()
        counts = (inputs["input_ids"] == self.model.config.image_token_id).sum(1).tolist()
        if len(set(counts)) > 1:
            told = " and ".join(str(count) for count in sorted(set(counts)))
            raise UserError(
                f"the pictures give {told} image tokens each; give pictures of one size together"
            )
        embeds = torch.cat([part.flatten(0, -2) for part in features])
        embeds = embeds.unflatten(0, (len(counts), -1))
        states = seen[0].view(*embeds.shape[:2], -1) if seen else embeds
        return states, embeds

    def _answer_tokens(self, words: str, text: str, limit: int | None = None) -> Tensor:
        """The tokens (T,) with which the model would answer the question so, the end token last.

        Arguments:
            limit: tokens at most; as many as the model may say, if not given.
        Raises:
            UserError: the tokenizer runs prompt and text together.
        """
        tokenizer = self.processor.tokenizer
        prompt = asked(self.processor, words)
        lead = "" if prompt[-1:].isspace() else " "
        space, end = self._ending()
        count = (limit or self._limit(MAX_TOKENS)) - 1
        for before in (prompt, "\n"):
            start = tokenizer(before, add_special_tokens=False)["input_ids"]
            whole = tokenizer(f"{before}{lead}{text.strip()}{space}", add_special_tokens=False)[
                "input_ids"
            ]
            if whole[: len(start)] == start:
                return torch.tensor([*whole[len(start) :][:count], end])
        raise UserError(f"{text!r}: the model's tokenizer cannot tell it from the prompt")

    def _ending(self) -> tuple[str, int]:
        """The white space and the token at the end of an answer; the chat template tells them."""
        tokenizer = self.processor.tokenizer
        after = after_answer(self.processor)
        mark = after.lstrip()
        ids = tokenizer(mark, add_special_tokens=False)["input_ids"]
        if ids and ids[0] in tokenizer.all_special_ids:
            return after[: len(after) - len(mark)], ids[0]
        return "", tokenizer.eos_token_id

    @property
    def ends(self) -> list[int]:
        """Every token that ends an answer."""
        own = self.model.generation_config.eos_token_id
        listed = own if isinstance(own, list) else [own]
        ends = (self._ending()[1], *listed, self.processor.tokenizer.eos_token_id)
        return [end for end in dict.fromkeys(ends) if end is not None]

    def _limit(self, least: int = 1) -> int:
        """Tokens of a description, at most."""
        return max(least, self.model.generation_config.max_new_tokens or MAX_TOKENS)

    def decode(self, answers: Sequence[Tensor] | Tensor) -> list[str]:
        """The words of answers, each (T,) tokens."""
        decode = self.processor.tokenizer.decode
        return [decode(answer, skip_special_tokens=True).strip() for answer in answers]

    @contextmanager
    def _last_states(self) -> Iterator[list[Tensor]]:
        """Collects what the model's head reads at each step of generation: (B, 1, D), at most 77.

        That is the last layer's state after its norm. `output_hidden_states` would keep those of
        all layers and of the prompt: for a picture at LEGO's size 165 MB, not 0.8.
        """
        seen: list[Tensor] = []

        def read(_: Any, arguments: tuple[Tensor, ...]) -> None:
            if len(seen) < MAX_TOKENS:
                seen.append(arguments[0][:, -1:].clone())

        hook = self.model.get_output_embeddings().register_forward_pre_hook(read)
        try:
            yield seen
        finally:
            hook.remove()

    def _generate(self, inputs: dict[str, Tensor], temperature: float, seed: int) -> list[Tensor]:
        """The tokens (T,) of each answer, its end token last where it came to one."""
        choice: dict[str, Any] = {"do_sample": False}
        if temperature > 0:
            choice = {"do_sample": True, "temperature": temperature, "top_k": 50, "top_p": 1.0}
        ends, start = self.ends, inputs["input_ids"].shape[1]
        cards = range(torch.cuda.device_count())
        with torch.random.fork_rng(cards) if temperature > 0 else nullcontext():
            if temperature > 0:
                torch.manual_seed(seed)
            sequences = self.model.generate(
                **inputs,
                **choice,
                max_new_tokens=self._limit(),
                eos_token_id=ends,
                pad_token_id=self.processor.tokenizer.pad_token_id,
                use_cache=True,
            )
        answers = []
        for row in sequences[:, start:]:
            found = torch.isin(row, torch.tensor(ends, device=row.device)).nonzero()
            answers.append(row[: int(found[0]) + 1] if len(found) else row)
        return answers

    def _answered(self, inputs: dict[str, Tensor], answers: Sequence[Tensor]) -> dict[str, Tensor]:
        """The inputs with an answer after each question, padded on the right."""
        ids, attention = inputs["input_ids"], inputs["attention_mask"]
        longest = max(len(answer) for answer in answers)
        answer_ids = ids.new_full((len(answers), longest), self.processor.tokenizer.pad_token_id)
        kept = attention.new_zeros(answer_ids.shape)
        for row, answer in enumerate(answers):
            answer_ids[row, : len(answer)] = answer
            kept[row, : len(answer)] = 1
        # What else tells of each token, such as its kind, is 0 for words.
        longer = {
            key: torch.cat((value, value.new_zeros(answer_ids.shape)), 1)
            for key, value in inputs.items()
            if value.shape == ids.shape
        }
        longer["input_ids"] = torch.cat((ids, answer_ids), 1)
        longer["attention_mask"] = attention = torch.cat((attention, kept), 1)
        if not hasattr(self.model.base_model, "get_rope_index"):  # else the model places tokens
            longer["position_ids"] = (attention.cumsum(1) - 1).clamp(min=0)
        return {**inputs, **longer}

    def _states(self, inputs: dict[str, Tensor], answers: list[Tensor]) -> Tensor:
        """The last layer's states (B, T, D), after its norm, where each token of the given answers
        is predicted."""
        out = self.model.base_model(**self._answered(inputs, answers), use_cache=False)
        start = inputs["input_ids"].shape[1] - 1  # the prompt's last token predicts the first
        longest = max(len(answer) for answer in answers)
        return out.last_hidden_state[:, start : start + longest]
