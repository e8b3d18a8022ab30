"""Lessons as batches for the enhancer, and how well it knows their answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from PIL import ImageOps
from torch import Tensor
from torch.nn.functional import cross_entropy

from egoframe.enhancer.lessons import Lesson, describing
from egoframe.enhancer.model import IGNORED, Enhancer
from egoframe.enhancer.prompts import mirrored
from egoframe.errors import UserError, first_line
from egoframe.training.randomness import key_of, mix

if TYPE_CHECKING:
    import datasets


class LessonBatches:
    """Makes batches of lessons; a frame is read when it is wanted, and on the CPU.

    Arguments:
        enhancer: that learns; only its processor and settings are used.
        pairs: of a dataset.
        lessons: about these pairs.
        mirror: show half of them as mirror images, left and right swapped in what is said. Which
            ones follows from (seed, pair, epoch).
    """

    def __init__(
        self,
        enhancer: Enhancer,
        pairs: datasets.Dataset,
        lessons: Sequence[Lesson],
        mirror: bool = False,
        seed: int = 0,
    ) -> None:
        self.enhancer, self.pairs, self.lessons = enhancer, pairs, lessons
        self.mirror, self.seed = mirror, seed

    def __call__(self, wanted: Sequence[dict[str, int]]) -> dict[str, Tensor]:
        """The model's inputs and labels for some lessons, each a number and an `epoch`.

        Raises:
            UserError: a pair's frame is damaged.
        """
        told = [self._told(self.lessons[one["lesson"]], one["epoch"]) for one in wanted]
        images, questions, answers = zip(*told, strict=True)
        return self.enhancer.lesson(images, questions, answers)

    def _told(self, lesson: Lesson, epoch: int) -> tuple[Any, str, str]:
        """Frame, question and answer."""
        try:
            row = self.pairs[lesson.pair]
            image = row[lesson.frame].convert("RGB")
        except (OSError, ValueError) as error:
            name = self.pairs.select_columns("pair_id")[lesson.pair]["pair_id"]
            raise UserError(
                f"pair {name}: its {lesson.frame.replace('_', ' ')} is damaged "
                f"({first_line(error)})"
            ) from None
        if self.mirror and mix(mix(self.seed, key_of(row["pair_id"])), epoch) % 2:
            return ImageOps.mirror(image), mirrored(lesson.question), mirrored(lesson.answer)
        return image, lesson.question, lesson.answer


@torch.inference_mode()
def answer_loss(enhancer: Enhancer, pairs: datasets.Dataset, batch_size: int) -> float:
    """The mean cross entropy of the answers' tokens, in nats, over described pairs."""
    batches, total, count = LessonBatches(enhancer, pairs, describing(pairs)), 0.0, 0
    for start in range(0, len(pairs), batch_size):
        numbers = range(start, min(start + batch_size, len(pairs)))
        batch = batches([{"lesson": number, "epoch": 0} for number in numbers])
        batch = {key: value.to(enhancer.model.device) for key, value in batch.items()}
        targets = batch.pop("labels")[:, 1:]
        logits = enhancer.model(**batch, use_cache=False).logits[:, :-1].float()
        losses = cross_entropy(
            logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum"
        )
        total, count = total + losses.item(), count + int((targets != IGNORED).sum())
    return total / count
