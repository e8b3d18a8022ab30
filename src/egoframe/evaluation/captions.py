"""Captions of drawn pictures, by BLIP (Li et al., 2022), and how like a description they are.

The search is transformers' own: it weighs beams by their new words alone, where the release's
version (4.19) counts the prompt's too.

Shape suffixes: B pictures or texts, 3 colours, H height, W width, D width of an embedding; pictures
are RGB, 0 to 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from egoframe.errors import UserError
from egoframe.evaluation.extractors import CLIP_LOOKS, normalised, similarity
from egoframe.evaluation.protocol import PILLOW, MetricProtocol, Resize
from egoframe.evaluation.published import HUB_WEIGHTS, hub_model, hub_sha256, open_network

CAPTIONERS = {
    "blip-base": "Salesforce/blip-image-captioning-base",
    "blip-large": "Salesforce/blip-image-captioning-large",
}
PROMPT = "a picture of"
SEARCH = {"num_beams": 3, "max_length": 20, "min_length": 5, "repetition_penalty": 1.0}
TOGETHER = 30  # pictures
RESIZE = Resize(PILLOW)
DROPOUT = 0.1  # of BLIP's words in training, and of the branches of the large one's last layer
SEED = 42

TEXTS = ("egovlp-text-ego4d", "egovlp-text-epic")
TOKENIZER = "distilbert-base-uncased"
WORDS = "vocab.txt"
LONGEST = 512  # tokens


@dataclass(frozen=True)
class Captioner:
    """Says what is to be seen in pictures.

    Arguments:
        sha256: of the file of the weights.
        resize: what is done to pictures, in words.
    """

    name: str
    sha256: str
    resize: str
    device: torch.device
    model: Any
    tokenizer: Any
    dropout: bool

    @torch.inference_mode()
    def __call__(self, pictures: Iterable[Tensor]) -> list[str]:
        """Captions of pictures (3, H, W), of any sizes, 30 at once.

        In protocol "paper" they depend on the order of the pictures, for the release never takes
        BLIP out of its training mode; its random numbers are a GPU's, and not to be had elsewhere.
        """
        captions: list[str] = []
        left = iter(pictures)
        self.model.train(self.dropout)
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(SEED)
            while group := list(islice(left, TOGETHER)):
                captions += self._caption(group)
        return captions

    def _caption(self, pictures: list[Tensor]) -> list[str]:
        side = self.model.config.vision_config.image_size
        squares_B3HW = torch.cat([RESIZE(picture[None], side) for picture in pictures])
        asked = self.tokenizer([PROMPT] * len(pictures), return_tensors="pt").to(self.device)
        found = self.model.generate(
            normalised(squares_B3HW, CLIP_LOOKS).to(self.device),
            asked.input_ids, asked.attention_mask, **SEARCH,
        )  # fmt: skip
        texts = [self.tokenizer.decode(row[1:], skip_special_tokens=True) for row in found]
        return [text[len(PROMPT) :].strip() for text in texts]


@dataclass(frozen=True)
class TextSimilarity:
    """Cosine similarity (B,), float32, of texts and others, as EgoVLP embeds them.

    Arguments:
        sha256: of the file of the weights.
    """

    name: str
    sha256: str
    device: torch.device
    network: nn.Module
    tokenizer: Any

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str], others: Sequence[str]) -> Tensor:
        return similarity(self.embed(texts), self.embed(others))

    def embed(self, texts: Sequence[str]) -> Tensor:
        """Embeddings (B, 256), on the CPU."""
        tokens = self.tokenizer(
            list(texts), padding=True, truncation=True, max_length=LONGEST, return_tensors="pt"
        ).to(self.device)
        return self.network(tokens.input_ids, tokens.attention_mask).cpu()


def open_captioner(
    name: str,
    protocol: MetricProtocol,
    weights: str | Path | None = None,
    device: str | torch.device = "cpu",
) -> Captioner:
    """BLIP, ready to caption as a protocol says.

    Arguments:
        name: of CAPTIONERS.
        weights: a folder or hub id of transformers; where not given, what is in the cache, or
            fetched into it.
    Raises:
        UserError: no captioner of that name, or its weights cannot be had, are damaged, or
            another's.
    """
    from transformers import BlipConfig, BlipForConditionalGeneration

    if name not in CAPTIONERS:
        raise UserError(f"captioner {name!r}: give {' or '.join(CAPTIONERS)}")
    needed = f"config.json, {HUB_WEIGHTS} and {WORDS}"
    with hub_model(CAPTIONERS[name], weights, needed) as source:
        sha256 = hub_sha256(source)
        config: Any = BlipConfig.from_pretrained(source)
        for part in ("hidden", "attention_probs"):  # which transformers forgets
            setattr(config.text_config, f"{part}_dropout_prob", DROPOUT)
        loaded: Any = BlipForConditionalGeneration.from_pretrained(
            source, config=config, dtype=torch.float32, use_safetensors=True,
            output_loading_info=True,
        )  # fmt: skip
        model, report = loaded
        if report["missing_keys"]:
            raise UserError(f"{source}: this BLIP lacks {min(report['missing_keys'])}")
        tokenizer = _open_tokenizer(source, config.text_config.vocab_size)
    if name == "blip-large":
        drop_paths(model.vision_model.encoder.layers)
    model.requires_grad_(False).to(device)
    return Captioner(
        name, sha256, RESIZE.describe(config.vision_config.image_size), torch.device(device),
        model, tokenizer, protocol.dropout,
    )  # fmt: skip


def open_text_similarity(
    name: str,
    weights: str | Path | None = None,
    tokenizer: str | Path | None = None,
    device: str | torch.device = "cpu",
) -> TextSimilarity:
    """EgoVLP's text tower, ready to compare.

    Arguments:
        name: of TEXTS.
        weights: EgoVLP's published file; where not given, that in the cache.
        tokenizer: of DistilBERT: a folder or hub id; where not given, what is in the cache, or
            fetched into it.
    Raises:
        UserError: no text tower of that name, or a file cannot be had, is damaged, or another's.
    """
    from transformers import DistilBertConfig

    if name not in TEXTS:
        raise UserError(f"text similarity {name!r}: give {' or '.join(TEXTS)}")
    network, sha256 = open_network(name, weights)
    with hub_model(TOKENIZER, tokenizer, WORDS) as source:
        words = _open_tokenizer(source, DistilBertConfig().vocab_size)
    return TextSimilarity(name, sha256, torch.device(device), network.to(device), words)


def drop_paths(layers: Sequence[Any]) -> None:
    """In training, leave out branches of some pictures at random (Huang et al., 2016): none in the
    first layer, `DROPOUT` of them in the last."""
    for depth, layer in enumerate(layers):
        hook = partial(_drop, DROPOUT * depth / max(1, len(layers) - 1))
        layer.self_attn.register_forward_hook(hook)
        layer.mlp.register_forward_hook(hook)


def _drop(rate: float, branch: nn.Module, _: Any, out: Any) -> Any:
    if not branch.training:
        return out
    if isinstance(out, tuple):  # attention tells its weights too
        return (_drop(rate, branch, None, out[0]), *out[1:])
    kept = torch.rand(len(out), 1, 1, device=out.device) >= rate
    return out * kept / (1 - rate)


def _open_tokenizer(source: str, most: int) -> Any:
    from transformers import BertTokenizer

    tokenizer: Any = BertTokenizer.from_pretrained(source)
    known = len(tokenizer)
    if known <= len(tokenizer.all_special_tokens):  # what transformers makes of a missing file
        raise FileNotFoundError(f"no {WORDS}")
    if known > most:
        raise UserError(f"{source}: its {WORDS} has {known} words, for a network of {most}")
    return tokenizer
