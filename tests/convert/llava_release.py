"""Miniatures of LLaVA with Llama 2, as LLaVA's repository saves it, and of the CLIP beside it."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM

from tests.enhancer.families import llama_tokenizer
from tests.golden import fill

WIDTH, SEEN = 32, 16  # of the language model, of CLIP
TOWER = "model.vision_tower.vision_tower.vision_model."
VISION = {
    "hidden_size": SEEN, "intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2,
    "image_size": 32, "patch_size": 8, "projection_dim": 16,
}  # fmt: skip
PICTURES = {
    "crop_size": 32, "size": 32, "do_center_crop": True, "do_normalize": True, "do_resize": True,
    "feature_extractor_type": "CLIPFeatureExtractor", "resample": 3,
    "image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28],
}  # fmt: skip


def settings(vocabulary: int, **changes: Any) -> dict[str, Any]:
    """The release's config.json."""
    return {
        "architectures": ["LlavaLlamaForCausalLM"], "model_type": "llava", "bos_token_id": 1,
        "eos_token_id": 2, "hidden_act": "silu", "hidden_size": WIDTH, "intermediate_size": 64,
        "num_attention_heads": 4, "num_key_value_heads": 4, "num_hidden_layers": 2,
        "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "rope_scaling": None,
        "vocab_size": vocabulary, "torch_dtype": "float32", "tie_word_embeddings": False,
        "mm_hidden_size": SEEN, "mm_vision_tower": "openai/clip-vit-large-patch14",
        "mm_vision_select_layer": -2, "mm_use_im_start_end": False, "tune_mm_mlp_adapter": False,
    } | changes  # fmt: skip


def language_model(told: dict[str, Any]) -> LlamaForCausalLM:
    """transformers' language model of that size, without weights."""
    names = ("hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads",
             "num_hidden_layers", "max_position_embeddings", "rms_norm_eps",
             "vocab_size")  # fmt: skip
    return LlamaForCausalLM(LlamaConfig(**{name: told[name] for name in names}))


def tower_state() -> dict[str, torch.Tensor]:
    """CLIP's vision model, by the names inside it."""
    shapes = {
        k: v.shape for k, v in CLIPVisionModel(CLIPVisionConfig(**VISION)).state_dict().items()
    }
    return {
        key.removeprefix("vision_model."): fill(f"clip.{key.removeprefix('vision_model.')}", shape)
        for key, shape in shapes.items()
    }


def state(told: dict[str, Any], tower: bool = False) -> dict[str, torch.Tensor]:
    """Every tensor of the release."""
    shapes = {key: value.shape for key, value in language_model(told).state_dict().items()}
    shapes |= {"model.mm_projector.weight": (WIDTH, SEEN), "model.mm_projector.bias": (WIDTH,)}
    tensors = {key: fill(key, tuple(shape)) for key, shape in shapes.items()}
    for layer in range(2):
        tensors[f"model.layers.{layer}.self_attn.rotary_emb.inv_freq"] = torch.rand(4)
    if tower:
        tensors |= {TOWER + key: value + 0.01 for key, value in tower_state().items()}
        tensors[f"{TOWER}embeddings.position_ids"] = torch.arange(17)[None]
    return tensors


def write_release(folder: Path, tower: bool = False, dtype: torch.dtype | None = None,
                  **changes: Any) -> Path:  # fmt: skip
    """A release in two pickled shards; `changes` are of its config.json."""
    folder.mkdir(parents=True)
    tokenizer = llama_tokenizer(marks=())
    tokenizer.save_pretrained(folder)
    told = settings(len(tokenizer), **changes)
    (folder / "config.json").write_text(json.dumps(told), encoding="utf-8")
    (folder / "training_args.bin").write_bytes(b"not read")
    tensors = {key: value.to(dtype or value.dtype) for key, value in state(told, tower).items()}
    names, places = list(tensors), {}
    for number, part in enumerate((names[:12], names[12:])):
        file = f"pytorch_model-0000{number + 1}-of-00002.bin"
        torch.save({key: tensors[key] for key in part}, folder / file)
        places |= dict.fromkeys(part, file)
    index = {"metadata": {"total_size": 1}, "weight_map": places}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index), encoding="utf-8")
    return folder


def write_clip(folder: Path, **changes: Any) -> Path:
    """A whole CLIP model, of which the vision model is used."""
    folder.mkdir(parents=True)
    told = {"model_type": "clip", "vision_config": VISION | changes, "projection_dim": 16}
    (folder / "config.json").write_text(json.dumps(told), encoding="utf-8")
    (folder / "preprocessor_config.json").write_text(json.dumps(PICTURES), encoding="utf-8")
    tensors = {f"vision_model.{key}": value for key, value in tower_state().items()}
    tensors["vision_model.embeddings.position_ids"] = torch.arange(17)[None]
    tensors["text_model.final_layer_norm.weight"] = torch.ones(4)
    tensors["visual_projection.weight"] = torch.ones(16, SEEN)
    save_file(tensors, folder / "model.safetensors")
    return folder


def packed(folder: Path, place: Path) -> Path:
    """A .zip of the folder, which lies in it under its own name."""
    return Path(shutil.make_archive(str(place), "zip", folder.parent, folder.name))
