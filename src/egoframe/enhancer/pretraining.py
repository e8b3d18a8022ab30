"""Makes the small enhancer from nothing, by visual instruction: the loss counts the answer alone.

A sentence has few words that only the picture tells, such as which hand and what colour, among
many that any answer to the question has. `emphasis` makes those few weigh more. A vision tower that
starts from nothing still learns too slowly from them, so it is also taught to ground words: where
the dataset has boxes, the language model's own head must read a box's label off the image tokens
inside it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, interpolate, rms_norm

from egoframe.enhancer.anticipation import calibrate
from egoframe.enhancer.lessons import anticipating, describing, planning
from egoframe.enhancer.model import Enhancer
from egoframe.enhancer.prompts import NEXT, mirrored, prompt
from egoframe.enhancer.small import IMAGE_SIZE, PATCH, new_model, new_processor
from egoframe.errors import UserError
from egoframe.frames import load_frames
from egoframe.pairs import FRAMES, open_described, open_pairs
from egoframe.training import Batch, LoopConfig, fit
from egoframe.training.processes import start_whole

IGNORED = -100  # label of what the loss leaves out
# Of each token of an answer about what is next: it has few. All weigh alike, so that the answers'
# probabilities are true.
NEXT_WEIGHT = 10.0
CALIBRATED = 300  # unseen pairs, at most, that these probabilities are made true on


@dataclass(frozen=True)
class PretrainingConfig:
    """One run of `egoframe train small-enhancer`."""

    dataset: Path
    out: Path
    start_from: Path | None = None  # a small enhancer of these widths, which goes on learning
    described_by: str | None = None  # learn from these descriptions alone; LEGO: "gpt-curation"
    vision_dim: int = 192  # width of the vision tower
    text_dim: int = 256  # width of the language model
    anticipation: float = 0.0  # share of the questions that ask what is done next
    planning: float = 0.0  # share of the others that ask for the steps of a task
    shift: int = 4  # pixels; pictures are moved by up to this much while training
    emphasised: tuple[str, ...] = ()  # words that tell what only the picture shows
    emphasis: float = 4.0  # weight of their tokens in the loss; that of others is 1
    grounding: float = 0.5  # weight of reading the labels of boxes off the image tokens
    loop: LoopConfig = field(default_factory=LoopConfig)


def pretrain_enhancer(config: PretrainingConfig) -> Enhancer:
    """Train the small enhancer on described pairs, and write it to `out/enhancer`; resumable.

    Raises:
        UserError: the dataset has no descriptions, or none by `described_by`; or no tasks or no
            validation split, where the settings need them.
    """
    accelerator = start_whole(config)
    dataset = open_described(config.dataset, "train", config.described_by)
    lessons = describing(dataset) + (anticipating(dataset) if config.anticipation else [])
    plans = planning(dataset) if config.planning else []
    if config.anticipation:
        unseen = open_pairs(config.dataset, "validation")
        spread = range(0, len(unseen), max(1, len(unseen) // CALIBRATED))
        unseen = unseen.select(list(spread)[:CALIBRATED])
    if config.planning and not plans:
        raise UserError(f"{config.dataset}: tells of no task whose steps could be learnt")
    lessons += plans
    texts = [lesson.answer for lesson in lessons]
    actions = sorted(set(dataset["action"]))
    processor = new_processor(
        [*texts, *map(mirrored, texts), *actions, NEXT, *{p.question for p in plans}]
    )
    torch.manual_seed(config.loop.seed)
    model = new_model(processor, config.vision_dim, config.text_dim)
    if config.start_from is not None:
        _start_from(config.start_from, model, processor.tokenizer)
    pixels = load_frames(dataset).flatten(0, 1)
    if pixels.shape[-1] != IMAGE_SIZE:
        size = (IMAGE_SIZE, IMAGE_SIZE)
        parts = (interpolate(part.float(), size, mode="area") for part in pixels.split(64))
        pixels = torch.cat([part.round().byte() for part in parts])
    tokens = [
        [tokenize(processor, lesson.question, say(lesson.answer)) for lesson in lessons]
        for say in (str, mirrored)
    ]
    frames = torch.tensor([2 * lesson.pair + FRAMES.index(lesson.frame) for lesson in lessons])
    pairs = len(dataset)  # lessons: so many descriptions, what follows each input frame, and then
    after_action = torch.arange(pairs, 2 * pairs)
    for number, lesson in enumerate(lessons[2 * pairs : len(lessons) - len(plans)], 2 * pairs):
        after_action[lesson.pair] = number  # some action frames; and last, the plans
    normalise = _Normalise(processor)
    device = accelerator.device
    weights = token_weights(processor.tokenizer, config.emphasised, config.emphasis).to(device)
    boxes = [told for both in zip(dataset["input_boxes"], dataset["action_boxes"], strict=True)
             for told in both]  # fmt: skip
    grounded = [
        [label_tokens(processor.tokenizer, told, flip) for told in boxes] for flip in (False, True)
    ]

    def loss(batch: Batch) -> Tensor:
        flipped, indices = batch.chance(0.5), batch.indices
        following = torch.where(batch.chance(0.5), indices + pairs, after_action[indices])
        anticipates = batch.chance(config.anticipation)
        if plans:
            plan = len(lessons) - len(plans) + batch.integers(len(plans))
            indices = torch.where(batch.chance(config.planning), plan, indices)
        chosen = torch.where(anticipates, following, indices)
        pictures = pixels[frames[chosen]].float()
        pictures = torch.where(flipped[:, None, None, None], pictures.flip(-1), pictures)
        limits = -config.shift, config.shift + 1
        shift = torch.randint(*limits, (2,), generator=batch.shared).tolist()
        pictures = pictures.roll(shift, (-2, -1))
        rows = [tokens[int(f)][int(i)] for f, i in zip(flipped, chosen, strict=True)]
        ids, labels = (x.to(device) for x in pad(rows, processor.tokenizer.pad_token_id))
        seen = model.model(
            input_ids=ids,
            attention_mask=(ids != processor.tokenizer.pad_token_id).long(),
            pixel_values=normalise(pictures).to(device),
        )
        targets = labels[:, 1:]
        answered = targets != IGNORED
        hidden = seen.last_hidden_state[:, :-1][answered]
        logits, wanted = model.lm_head(hidden).float(), targets[answered]
        plain = anticipates.to(device)[:, None].expand_as(targets)[answered]
        weight = torch.where(plain, NEXT_WEIGHT, weights[wanted])
        said = (weight * cross_entropy(logits, wanted, reduction="none")).sum() / weight.sum()

        words = torch.stack(
            [grounded[int(f)][int(i)] for f, i in zip(flipped, frames[chosen], strict=True)]
        )
        words = words.to(device).flatten(0, 1)
        inside = words[:, 0] != IGNORED
        tokens_D = seen.image_hidden_states.flatten(0, -2)[inside]
        read = model.lm_head(rms_norm(tokens_D, tokens_D.shape[-1:])).float()
        shown = [cross_entropy(read, words[inside, k], ignore_index=IGNORED) for k in range(2)]
        return said + config.grounding * torch.stack(shown).nan_to_num().sum()

    model.load_state_dict(fit(model, loss, dataset["pair_id"], config))
    enhancer = Enhancer(model, processor)
    if accelerator.is_main_process:
        if config.anticipation:
            photos = [frame.convert("RGB") for frame in unseen["input_frame"]]
            calibrate(enhancer, photos, unseen["action"])
        enhancer.save_pretrained(config.out / "enhancer")
    return enhancer


@torch.no_grad()
def _start_from(folder: Path, model: Any, tokenizer: Any) -> None:
    """Give a new model the weights of a trained one; of words that both know, the embeddings too.

    Raises:
        UserError: there is none, or it has other widths.
    """
    trained = Enhancer.from_pretrained(folder, torch.float32)
    known, own = (
        trained.processor.tokenizer.get_vocab(),
        trained.model.get_input_embeddings().weight,
    )
    table = model.get_input_embeddings().weight.clone()
    try:
        for word, place in tokenizer.get_vocab().items():
            if word in known:
                table[place] = own[known[word]]
        model.load_state_dict(
            {
                name: table if value.data_ptr() == own.data_ptr() else value  # tied to the head
                for name, value in trained.model.state_dict().items()
            }
        )
    except RuntimeError:
        raise UserError(
            f"start_from={folder}: has other layers or widths; set them alike"
        ) from None


def tokenize(processor: Any, question: str, answer: str) -> tuple[list[int], int]:
    """The tokens of prompt and answer, its end token last, and the prompt's length."""
    tokenizer = processor.tokenizer
    image = processor.image_token * (IMAGE_SIZE // PATCH) ** 2
    before = tokenizer(prompt(question, image), add_special_tokens=False)["input_ids"]
    after = tokenizer(f" {answer}", add_special_tokens=False)["input_ids"]
    return [*before, *after, tokenizer.eos_token_id], len(before)


def token_weights(tokenizer: Any, words: tuple[str, ...], emphasis: float) -> Tensor:
    """The weight (V,) of every token in the loss: `emphasis` for those of `words`, else 1."""
    weights = torch.ones(len(tokenizer))
    for word in words:
        weights[tokenizer(f" {word}", add_special_tokens=False)["input_ids"]] = emphasis
    return weights


def label_tokens(tokenizer: Any, boxes: list[dict[str, Any]], flip: bool) -> Tensor:
    """The first and the last word (P, 2) of the label of the smallest box that each image token
    lies in, as token ids; IGNORED where there is none. With `flip`, of the mirror image.
    """
    side = IMAGE_SIZE // PATCH
    middles = (torch.arange(side) + 0.5) / side
    found = torch.full((side, side, 2), IGNORED)
    for box in sorted(boxes, key=lambda b: (b["x0"] - b["x1"]) * (b["y1"] - b["y0"])):
        rows, columns = (
            (middles > box[low]) & (middles < box[high])
            | (torch.arange(side) == int(side * (box[low] + box[high]) / 2))
            for low, high in (("y0", "y1"), ("x0", "x1"))
        )
        words = (mirrored(box["label"]) if flip else box["label"]).split()
        ids = [tokenizer(f" {words[k]}", add_special_tokens=False)["input_ids"][0] for k in (0, -1)]
        found[rows[:, None] & columns] = torch.tensor(ids)
    return (found.flip(1) if flip else found).flatten(0, 1)


def pad(rows: list[tuple[list[int], int]], pad_id: int) -> tuple[Tensor, Tensor]:
    """Token ids (B, T) and labels (B, T), padded on the right."""
    longest = max(len(ids) for ids, _ in rows)
    ids = torch.full((len(rows), longest), pad_id)
    labels = torch.full((len(rows), longest), IGNORED)
    for row, (tokens, start) in enumerate(rows):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        labels[row, start : len(tokens)] = torch.tensor(tokens[start:])
    return ids, labels


class _Normalise:
    """What the processor does to the pictures' values, on tensors."""

    def __init__(self, processor: Any) -> None:
        image = processor.image_processor
        self.mean = torch.tensor(image.image_mean).view(1, 3, 1, 1)
        self.std = torch.tensor(image.image_std).view(1, 3, 1, 1)

    def __call__(self, pictures_0_255: Tensor) -> Tensor:
        return (pictures_0_255 / 255 - self.mean) / self.std
