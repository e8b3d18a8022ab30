"""A tiny untrained language model with a chat template, as a folder of transformers."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers as tf

from tests.enhancer.families import byte_tokenizer, text_config

TEMPLATE = """\
{% for m in messages %}<|im_start|>{{ m.role }}{{ '\n' }}{{ m.content }}<|im_end|>{{ '\n' }}\
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant{{ '\n' }}{% endif %}"""
WITHOUT_SYSTEM = "{{ raise_exception('no system role here') }}"


def save_tiny_model(folder: Path, template: str | None = TEMPLATE, length: int = 32768) -> Path:
    """Save a two-layer Llama that reads so many tokens."""
    tokenizer = byte_tokenizer(["<|im_start|>"], pad_token="<|endoftext|>", eos_token="<|im_end|>")
    tokenizer.chat_template = template
    torch.manual_seed(0)
    config = tf.LlamaConfig(**text_config(tokenizer) | {"max_position_embeddings": length})
    tf.LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
