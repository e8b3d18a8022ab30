"""Descriptions for whole datasets, written by a vision-language model; resumable shard by shard."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from PIL import Image

from egoframe.enhancer.model import MAX_TOKENS
from egoframe.enhancer.opening import parts
from egoframe.enhancer.prompts import check_marks, question
from egoframe.errors import UserError, first_line
from egoframe.pairs import columns_of, read_rows, shards, write_shard
from egoframe.storage import Folder

SOURCE = "description_source"


class Engine(Protocol):
    """Describes how actions are done in pictures; `Enhancer` is one."""

    def describe(self, images: Sequence[Image.Image], actions: Sequence[str]) -> list[str]:
        """One description for each picture and its action."""
        ...


class VllmEngine:
    """The same question put to vLLM, on GPUs alone.

    Follows the interface of vLLM 0.10 and later: `LLM.chat` on a list of conversations, in which a
    part of type "image_pil" is a PIL picture.

    Raises:
        UserError: vLLM is not installed, or cannot open the model.
    """

    def __init__(self, folder: str | Path, dtype: str = "auto") -> None:
        from transformers import GenerationConfig

        try:
            from vllm import LLM, SamplingParams
        except ImportError as error:
            raise UserError(
                f'--engine vllm cannot be had here ({error}): pip install "egoframe[vllm]", on a '
                "machine with a GPU"
            ) from None
        model, processor = parts(folder)
        if model != processor:
            raise UserError(
                f"{folder}: vLLM wants model and processor in one folder, a pipeline keeps them "
                "apart; leave out --engine vllm"
            )
        try:
            limit = GenerationConfig.from_pretrained(model).max_new_tokens or MAX_TOKENS
        except OSError:  # it has no such settings
            limit = MAX_TOKENS
        self.folder = folder
        self.sampling = SamplingParams(temperature=0.0, max_tokens=limit)
        try:
            self.model = LLM(model=str(model), dtype=dtype, limit_mm_per_prompt={"image": 1})
        except (ValueError, RuntimeError, OSError) as error:
            raise UserError(f"{folder}: vLLM cannot open it ({first_line(error)})") from None

    def describe(self, images: Sequence[Image.Image], actions: Sequence[str]) -> list[str]:
        """One description for each picture and its action.

        Raises:
            UserError: an action holds one of the model's own marks, or the model has no chat
                template.
        """
        check_marks(self.model.get_tokenizer(), actions)
        conversations = [
            [
                {
                    "role": "user",
                    "content": [
                        {"type": "image_pil", "image_pil": image},
                        {"type": "text", "text": question(action)},
                    ],
                }
            ]
            for image, action in zip(images, actions, strict=True)
        ]
        try:
            answers = self.model.chat(conversations, self.sampling, use_tqdm=False)
        except ValueError as error:
            raise UserError(f"{self.folder}: vLLM cannot ask it ({first_line(error)})") from None
        return [answer.outputs[0].text.strip() for answer in answers]


def shards_without(folder: Folder, splits: Sequence[str], writer: str) -> dict[str, int]:
    """The shards in which not every description is by `writer`, and how many pairs each has.

    Raises:
        UserError: there is no dataset, it lacks these splits, or a shard is damaged.
    """
    todo = {}
    for shard in shards(folder, splits):
        sources = [r["description_source"] for r in read_rows(folder, shard, [SOURCE])]
        if any(source != writer for source in sources):
            todo[shard] = len(sources)
    return todo


def enhance_shard(
    folder: Folder,
    shard: str,
    engine: Engine,
    writer: str,
    batch_size: int,
    done: Callable[[int], None],
) -> None:
    """Write the engine's descriptions into every pair of a shard, which is replaced at the end.

    Arguments:
        writer: the description_source of the pairs.
        batch_size: pairs that the engine is given together.
        done: called with the number of pairs after each batch.
    Raises:
        UserError: a picture or an action that the model cannot take, with the pair's name; or the
            shard is damaged, or cannot be written.
    """
    columns = columns_of(folder, shard)
    rows = list(read_rows(folder, shard))
    for start in range(0, len(rows), batch_size):
        batch = rows[start : start + batch_size]
        said = engine.describe([_picture(row) for row in batch], [row["action"] for row in batch])
        for row, description in zip(batch, said, strict=True):
            row |= {"description": description, SOURCE: writer, "description_flags": []}
        done(len(batch))
    write_shard(folder, shard, rows, columns)


def _picture(row: dict[str, Any]) -> Image.Image:
    try:
        return Image.open(io.BytesIO(row["input_frame"]["bytes"])).convert("RGB")
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"pair {row['pair_id']}: its input frame is damaged ({error})") from None
