"""LLaVA with Llama 2, as LLaVA's own repository saves it → a folder of transformers.

There the language model's settings lie flat in `config.json`, the projector is one linear layer,
and CLIP is often not among the weights, for it was frozen. transformers' projector has two layers
with an activation between: here the first is the released one, the activation is none, and the
second is the identity, which changes no bit of what passes through it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor

from egoframe.convert.checkpoint import (
    Tell,
    check_keys,
    new_folder,
    open_checkpoint,
    saving,
    silent,
    some,
)
from egoframe.convert.shards import INDICES, SINGLE, Source, Writer
from egoframe.enhancer.opening import one_line
from egoframe.errors import UserError, first_line
from egoframe.released import CLIP

CLIP_FILES = ("config.json", "preprocessor_config.json", "model.safetensors")
CLIP_TOKENIZER = "tokenizer.json"  # which convert lego reads in the same folder
TOWER, PROJECTOR = "model.vision_tower.vision_tower.vision_model.", "model.mm_projector."
GROWN = ("model.embed_tokens.weight", "lm_head.weight")  # a row for each token
DERIVED = ("rotary_emb.inv_freq", "position_ids")  # buffers that are worked out anew
TOKENIZER = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json",
             "special_tokens_map.json", "added_tokens.json")  # fmt: skip
LLAMA = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
         "num_key_value_heads", "hidden_act", "max_position_embeddings", "rms_norm_eps",
         "rope_theta", "rope_scaling", "bos_token_id", "eos_token_id")  # fmt: skip
UNFIT = "no LLaVA has what its config.json says"
MAX_ANSWER = 1024  # tokens that LEGO lets it write

SYSTEM = (
    "You are a helpful language and vision assistant. You are able to understand the visual "
    "content that the user provides, and assist the user with a variety of tasks using natural "
    "language."
)
# LLaVA's conversation `llava_llama_2`. It tokenises what stands on either side of a picture by
# itself, and SentencePiece writes a space before each text: hence the one after "<image>", and the
# one before "[INST]".
TEMPLATE = (
    "{% macro told(m) %}{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for c in m.content %}{% if c.type == 'image' %}IMAGE{{ ' \\n' }}{% else %}{{ c.text }}"
    "{% endif %}{% endfor %}{% endif %}{% endmacro %}"
    "{% for m in messages %}{% if m.role == 'assistant' %}{{ ' ' + told(m) + ' ' + eos_token }}"
    "{% else %}{{ bos_token + ' [INST] ' }}"
    "{% if loop.first %}{{ '<<SYS>>\\nSYSTEM\\n<</SYS>>\\n\\n' }}{% endif %}"
    "{{ told(m) + ' [/INST]' }}{% endif %}{% endfor %}"
)


def convert_llava(
    source: Path,
    out: Path,
    clip: str | Path = CLIP,
    dtype: torch.dtype | None = None,
    tell: Tell = silent,
) -> None:
    """Convert a released LLaVA with Llama 2; `out` is whole or absent.

    One file of the source is open at a time, and of a .zip, one is unpacked. A tower in it is left
    out unless it was trained: LEGO's code does not read it, but CLIP's, in its own precision.

    Arguments:
        source: the folder, or a .zip of it.
        clip: folder or hub id of the CLIP model that it sees with.
        dtype: of the weights but CLIP's; that of the source where not given.
        tell: is told of each part.
    Raises:
        UserError: another kind of model, a file that is missing, damaged or hostile, or no space.
    """
    with new_folder(out) as folder:
        with saving(out):
            release = Source(source, folder / "source")
            told = _settings(release)
            shards, keys = _shards(release)
            tokenizer = _tokenizer(release)
        trained = told.get("unfreeze_mm_vision_tower") is True
        own_tower = trained and any(key.startswith(TOWER) for key in keys)
        clip_folder = _clip_folder(clip, told, source, with_weights=not own_tower)
        config = _config(told, tokenizer, clip_folder, source)
        wanted = _wanted(config, told["vocab_size"], own_tower, source)
        left_out = DERIVED if own_tower else (*DERIVED, TOWER)

        writer = Writer(folder)
        found: dict[str, Tensor] = {}
        for number, shard in enumerate(shards):
            tell(f"converting {shard} ({number + 1} of {len(shards)})")
            tensors = open_checkpoint(release.path(shard))
            kept = {key: value for key, value in tensors.items() if not _named(key, left_out)}
            floating = (value.dtype for value in kept.values() if value.is_floating_point())
            dtype = dtype or next(floating, None)
            found |= {key: torch.empty_like(value, device="meta") for key, value in kept.items()}
            written = {
                _renamed(key): _grown(key, value, config.text_config.vocab_size).to(dtype)
                for key, value in kept.items()
                if value.shape == wanted.get(key) and value.is_floating_point()
            }
            with saving(out):
                writer.add(written)
            del tensors, kept, written
            release.drop(shard)
        check_keys(found, wanted, "LLaVA with Llama 2", source)
        if not own_tower:
            tell("converting CLIP")
            tower = _tower(clip_folder, config.vision_config)
            with saving(out):
                writer.add({_renamed(key): value for key, value in tower.items()})
        width = config.text_config.hidden_size
        second = {"weight": torch.eye(width, dtype=dtype), "bias": torch.zeros(width, dtype=dtype)}
        config.dtype = dtype
        with saving(out):
            writer.add({f"multi_modal_projector.linear_2.{key}": x for key, x in second.items()})
            writer.finish()
            config.save_pretrained(folder)
            _save_processor(folder, config, told, tokenizer, clip_folder)
        shutil.rmtree(folder / "source", ignore_errors=True)


def _named(key: str, parts: tuple[str, ...]) -> bool:
    """Whether a key starts or ends with one of these."""
    return key.startswith(parts) or key.endswith(parts)


def _settings(release: Source) -> dict[str, Any]:
    """The release's config.json, if it is one of LLaVA with Llama 2 and a linear projector."""
    told, source = release.json("config.json"), release.source
    if "text_config" in told:
        raise UserError(
            f"{source}: a model in transformers' own layout; it needs no converting, give it as "
            "it is"
        )
    counts = ("mm_hidden_size", "vocab_size", *LLAMA[:4])
    lacking = [key for key in counts if not isinstance(told.get(key), int)]
    if told.get("model_type") not in ("llava", "llava_llama") or lacking:
        kind = told.get("model_type")
        lacks = f", it lacks a number as {', '.join(lacking)}" if lacking else ""
        raise UserError(f"{source}: no LLaVA with Llama 2 (model_type is {kind!r}{lacks})")
    if not isinstance(told.get("mm_vision_tower") or CLIP, str):
        raise UserError(f"{source}: mm_vision_tower in its config.json is no name of a model")
    projector = told.get("mm_projector_type") or "linear"
    if projector != "linear":
        raise UserError(
            f"{source}: its projector is {projector}, not LLaVA-Llama-2's linear one; for LLaVA "
            "1.5 and later take the conversions of llava-hf on the hub"
        )
    return told


def _shards(release: Source) -> tuple[list[str], set[str]]:
    """The files with weights, and the keys in them."""
    source, names = release.source, release.names
    index = next((name for name in INDICES if name in names), None)
    if index is None:
        single = next((name for name in SINGLE if name in names), None)
        if single is None:
            raise UserError(f"{source}: no weights in it: {' or '.join((*INDICES, *SINGLE))}")
        return [single], set(open_checkpoint(release.path(single)))
    places = release.json(index).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(x, str) for x in places.values()):
        raise UserError(f"{source}: {index} names no file for each weight")
    shards = sorted(set(places.values()))
    missing = [shard for shard in shards if shard not in names]
    if missing or not shards:
        raise UserError(f"{source}: shards that {index} names are missing: {some(missing)}")
    return shards, set(places)


def _tokenizer(release: Source) -> Any:
    """Llama's tokenizer, with marks for a picture and for padding."""
    from transformers import LlamaTokenizer

    source, folder = release.source, release.spare / "tokenizer"
    if not release.names & set(TOKENIZER[:2]):
        raise UserError(f"{source}: no tokenizer in it: {' or '.join(TOKENIZER[:2])} is missing")
    folder.mkdir()
    for name in release.names & set(TOKENIZER):
        shutil.copyfile(release.path(name), folder / name)
    with one_line(source, "its tokenizer cannot be read"):
        tokenizer = LlamaTokenizer.from_pretrained(folder)
    marks = {"extra_special_tokens": ["<image>"]}
    tokenizer.add_special_tokens(marks, replace_extra_special_tokens=False)
    if tokenizer.pad_token is None:
        tokenizer.add_special_tokens({"pad_token": "<pad>"})
    return tokenizer


def _clip_folder(
    clip: str | Path, told: Mapping[str, Any], source: Path, with_weights: bool
) -> Path:
    """The folder of CLIP; what is on the hub is fetched, unless it is in the cache."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HTTPError

    named = PurePosixPath(told.get("mm_vision_tower") or CLIP).name
    if clip == CLIP and named != PurePosixPath(CLIP).name:
        raise UserError(f"{source}: it sees with {named}; give the folder or hub id of that CLIP")
    if Path(clip).is_dir():
        return Path(clip)
    wanted = CLIP_FILES if with_weights else CLIP_FILES[:2]
    try:
        return Path(snapshot_download(str(clip), allow_patterns=list(wanted)))
    except (OSError, ValueError, HTTPError) as error:
        raise UserError(
            f"{clip}: cannot be had from the hub ({first_line(error)}); fetch "
            f"{', '.join(CLIP_FILES)} and {CLIP_TOKENIZER} of {named} by other means, and give "
            "their folder as the CLIP model"
        ) from None


def _config(told: Mapping[str, Any], tokenizer: Any, clip_folder: Path, source: Path) -> Any:
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig

    with one_line(clip_folder, "no CLIP model: config.json is amiss"):
        kind = json.loads((clip_folder / "config.json").read_text(encoding="utf-8"))["model_type"]
        vision: Any = CLIPVisionConfig.from_pretrained(clip_folder)
        patches = (vision.image_size // vision.patch_size) ** 2
    if kind not in ("clip", "clip_vision_model"):
        raise UserError(f"{clip_folder}: no CLIP model, but a {kind}")
    if vision.hidden_size != told["mm_hidden_size"]:
        raise UserError(
            f"{clip_folder}: this CLIP's width is {vision.hidden_size}, LLaVA's projector takes "
            f"{told['mm_hidden_size']}; give the one that it was trained with"
        )
    whole = told.get("mm_vision_select_feature", "patch") == "cls_patch"
    with one_line(source, UNFIT):
        text = LlamaConfig(
            **{key: told[key] for key in LLAMA if told.get(key) is not None},
            vocab_size=max(told["vocab_size"], len(tokenizer)),
            pad_token_id=tokenizer.pad_token_id,
            tie_word_embeddings=False,
        )
        return LlavaConfig(
            vision_config=vision,
            text_config=text,
            image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
            image_seq_length=patches + whole,
            projector_hidden_act="linear",
            vision_feature_layer=told.get("mm_vision_select_layer", -2),
            vision_feature_select_strategy="full" if whole else "default",
            tie_word_embeddings=False,
            architectures=["LlavaForConditionalGeneration"],
        )


def _wanted(config: Any, rows: int, own_tower: bool, source: Path) -> dict[str, torch.Size]:
    """The shapes that the release's weights must have, by its own names."""
    from transformers import LlamaForCausalLM

    with one_line(source, UNFIT), torch.device("meta"):
        language = LlamaForCausalLM(config.text_config).state_dict()
    wanted = {key: value.shape for key, value in language.items()}
    width = config.text_config.hidden_size
    wanted |= {key: torch.Size((rows, width)) for key in GROWN}
    wanted[f"{PROJECTOR}weight"] = torch.Size((width, config.vision_config.hidden_size))
    wanted[f"{PROJECTOR}bias"] = torch.Size((width,))
    return wanted | (_tower_shapes(config.vision_config) if own_tower else {})


def _tower_shapes(vision: Any) -> dict[str, torch.Size]:
    from transformers import CLIPVisionModel

    with torch.device("meta"):
        tower = CLIPVisionModel(vision).state_dict()
    return {f"{TOWER}{key.removeprefix('vision_model.')}": x.shape for key, x in tower.items()}


def _tower(folder: Path, vision: Any) -> dict[str, Tensor]:
    """The weights of CLIP's vision model, by the names that a release gives them."""
    file = next((folder / name for name in SINGLE if (folder / name).exists()), folder / SINGLE[0])
    tensors = {
        f"{TOWER}{key.removeprefix('vision_model.')}": value
        for key, value in open_checkpoint(file).items()
        if key.startswith("vision_model.") and not key.endswith(DERIVED)
    }
    check_keys(tensors, _tower_shapes(vision), "CLIP's vision model", file)
    return tensors


def _renamed(key: str) -> str:
    """The name that a weight has in transformers' LLaVA folders on the hub."""
    if key.startswith(TOWER):
        return f"vision_tower.vision_model.{key.removeprefix(TOWER)}"
    if key.startswith(PROJECTOR):
        return f"multi_modal_projector.linear_1.{key.removeprefix(PROJECTOR)}"
    return f"language_model.{key}"


def _grown(key: str, rows_VD: Tensor, count: int) -> Tensor:
    """Embeddings with rows for the new tokens: the mean, which greedy decoding never chooses."""
    if key not in GROWN or len(rows_VD) == count:
        return rows_VD
    mean = rows_VD.float().mean(0, keepdim=True).to(rows_VD.dtype)
    return torch.cat((rows_VD, mean.expand(count - len(rows_VD), -1)))


def _save_processor(
    folder: Path, config: Any, told: Mapping[str, Any], tokenizer: Any, clip_folder: Path
) -> None:
    """Write the processor with its chat template, and how to generate."""
    from transformers import GenerationConfig, LlavaProcessor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    pictures = CLIPImageProcessorPil()
    settings = clip_folder / "preprocessor_config.json"
    if settings.exists():
        with one_line(settings, "cannot be read"):
            pictures = CLIPImageProcessorPil.from_pretrained(clip_folder)
    image = "<im_start><image><im_end>" if told.get("mm_use_im_start_end") else "<image>"
    LlavaProcessor(
        image_processor=pictures,
        tokenizer=tokenizer,
        patch_size=config.vision_config.patch_size,
        vision_feature_select_strategy=config.vision_feature_select_strategy,
        num_additional_image_tokens=1,
        chat_template=TEMPLATE.replace("IMAGE", image).replace("SYSTEM", SYSTEM),
    ).save_pretrained(folder)
    GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        max_new_tokens=MAX_ANSWER,
    ).save_pretrained(folder)
