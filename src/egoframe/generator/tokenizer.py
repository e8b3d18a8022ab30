"""A CLIP tokenizer of one's own, trained on the words of a dataset."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

LENGTH = 77  # tokens that CLIP's text model reads


def new_tokenizer(texts: Iterable[str], vocab_size: int = 2048) -> Any:
    """Train the byte-pair encoding on `texts` and put it into a `CLIPTokenizer`.

    The same texts give the same tokenizer: every character has its place beforehand.
    """
    import json

    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
    from transformers import CLIPTokenizer

    begin, end = "<|startoftext|>", "<|endoftext|>"
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token=end))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Punctuation(),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    texts = [*texts]
    pieces = (tokenizer.pre_tokenizer.pre_tokenize_str(text.lower()) for text in texts)
    seen = {character for split in pieces for piece, _ in split for character in piece}
    alphabet = sorted(seen.union(chr(code) for code in range(33, 127)))
    characters = [character + ending for ending in ("", "</w>") for character in alphabet]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[begin, end, *characters],
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    merges = [tuple(merge) for merge in model["merges"]]
    return CLIPTokenizer(vocab=model["vocab"], merges=merges)  # type: ignore[arg-type]
