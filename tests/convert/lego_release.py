"""Miniatures of the authors' checkpoint, from the formula of the golden values."""

import json
from pathlib import Path

import torch

from egoframe.generator.tokenizer import new_tokenizer
from tests.convert.ldm_layout import checkpoint_shapes
from tests.golden import fill

MINI = {"base": 32, "vae": 32, "text": (600, 256, 2)}  # as in the golden values
TEXTS = ["open drawer", "the right hand opens the red drawer", "take mug", "cut bread"]


def mini_state(**sizes) -> dict[str, torch.Tensor]:
    """Every tensor of a miniature checkpoint."""
    shapes = checkpoint_shapes(**{**MINI, **sizes})
    state = {key: fill(key, shape) for key, shape in shapes.items()}
    state["betas"] = torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    state["model_ema.decay"] = torch.tensor(0.9999)
    state["model_ema.num_updates"] = torch.tensor(0, dtype=torch.int)
    return state


def write_checkpoint(path: Path, state: dict[str, torch.Tensor]) -> Path:
    torch.save({"state_dict": state, "global_step": 10, "epoch": 1}, path)
    return path


def write_clip(
    folder: Path,
    vocabulary: int = 600,
    width: int = 768,
    feed_forward: int = 256,
    layers: int = 2,
    heads: int = 8,
) -> Path:
    """A folder with what the conversion reads of CLIP: tokenizer and text settings."""
    new_tokenizer(TEXTS * 20, vocab_size=300).save_pretrained(folder)
    text = {
        "vocab_size": vocabulary, "hidden_size": width, "intermediate_size": feed_forward,
        "num_hidden_layers": layers, "num_attention_heads": heads, "max_position_embeddings": 77,
        "hidden_act": "quick_gelu", "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2,
        "model_type": "clip_text_model",
    }  # fmt: skip
    told = {"model_type": "clip", "text_config": text, "projection_dim": width}
    (folder / "config.json").write_text(json.dumps(told), encoding="utf-8")
    return folder
