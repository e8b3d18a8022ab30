"""Tiny untrained models of the families of enhancers, with the processors they come with.

`FAMILIES[name]()` builds an `Enhancer`. Its pictures may be of any size; those of one size give the
same number of image tokens.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import torch
import transformers as tf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

from egoframe.enhancer.model import Enhancer
from egoframe.enhancer.opening import without_videos
from egoframe.enhancer.prompts import question

WORDS = ["The right hand opens the red drawer.", "The left hand lifts the mug up.", "open drawer"]
WIDTH = 64  # of the language models
RANGE = 0.15  # deviation of the weights: large enough that a token out of place shows
ANSWER_TOKENS = 12  # at most

LLAVA_TEMPLATE = """\
{% for m in messages %}{{ m.role | upper }}:{% for c in m.content %}\
{% if c.type == 'image' %} <image>{{ '\n' }}{% else %}{{ c.text }} {% endif %}\
{% endfor %}{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"""
QWEN_TEMPLATE = """\
{% for m in messages %}<|im_start|>{{ m.role }}{{ '\n' }}{% for c in m.content %}\
{% if c.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ c.text }}\
{% endif %}{% endfor %}<|im_end|>{{ '\n' }}{% endfor %}\
{% if add_generation_prompt %}<|im_start|>assistant{{ '\n' }}{% endif %}"""
SMOLVLM_TEMPLATE = """\
<|im_start|>{% for m in messages %}{{ m.role | capitalize }}:{% for c in m.content %}\
{% if c.type == 'image' %}<image>{% else %} {{ c.text }}{% endif %}{% endfor %}\
<end_of_utterance>{{ '\n' }}{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"""
QWEN_MARKS = ["<|im_start|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
              "<|video_pad|>"]  # fmt: skip
SMOLVLM_MARKS = ["<fake_token_around_image>", "<image>", "<global-img>", "<row_1_col_1>",
                 "<row_1_col_2>", "<row_2_col_1>", "<row_2_col_2>"]  # fmt: skip


def llava() -> Enhancer:
    """LLaVA-1.5: CLIP, a two-layer projector, Llama with its way of writing spaces."""
    tokenizer = llama_tokenizer()
    config = tf.LlavaConfig(
        vision_config=tf.CLIPVisionConfig(
            hidden_size=16, intermediate_size=32, num_hidden_layers=3, num_attention_heads=2,
            image_size=32, patch_size=8, projection_dim=16,
        ),
        text_config=tf.LlamaConfig(**text_config(tokenizer)),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=16,
    )  # fmt: skip
    processor = tf.LlavaProcessor(
        image_processor=CLIPImageProcessorPil(
            size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
        ),
        tokenizer=tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=LLAVA_TEMPLATE,
    )
    return _enhancer(tf.LlavaForConditionalGeneration, config, processor)


def qwen2_5_vl() -> Enhancer:
    """Qwen2.5-VL: windowed vision of any size, three-part positions."""
    tokenizer = _qwen_tokenizer()
    config = tf.Qwen2_5_VLConfig(
        vision_config={
            "depth": 2, "hidden_size": 16, "intermediate_size": 32, "num_heads": 2,
            "out_hidden_size": WIDTH, "patch_size": 4, "window_size": 16,
            "fullatt_block_indexes": [1], "initializer_range": RANGE,
        },
        text_config=text_config(tokenizer) | {"rope_parameters": _rope([4, 2, 2])},
        **_qwen_ids(tokenizer),
    )  # fmt: skip
    processor = without_videos(tf.Qwen2_5_VLProcessor)(
        image_processor=_qwen_pictures(), tokenizer=tokenizer, chat_template=QWEN_TEMPLATE
    )
    return _enhancer(tf.Qwen2_5_VLForConditionalGeneration, config, processor)


def qwen3_vl() -> Enhancer:
    """Qwen3-VL: as before, and what early vision layers see enters early language layers."""
    tokenizer = _qwen_tokenizer()
    config = tf.Qwen3VLConfig(
        vision_config={
            "depth": 3, "hidden_size": 16, "intermediate_size": 32, "num_heads": 2,
            "out_hidden_size": WIDTH, "patch_size": 4, "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0, 1], "initializer_range": RANGE,
        },
        text_config=text_config(tokenizer)
        | {"rope_parameters": _rope([4, 2, 2]), "head_dim": WIDTH // 4},
        **_qwen_ids(tokenizer),
    )  # fmt: skip
    processor = without_videos(tf.Qwen3VLProcessor)(
        image_processor=_qwen_pictures(), tokenizer=tokenizer, chat_template=QWEN_TEMPLATE
    )
    return _enhancer(tf.Qwen3VLForConditionalGeneration, config, processor)


def idefics3() -> Enhancer:
    """Idefics3, of which the first SmolVLM is one: a picture is seen in parts and as a whole."""
    return _smol("Idefics3", Idefics3ImageProcessorPil, tf.Idefics3Processor)


def smolvlm() -> Enhancer:
    """SmolVLM2; its processor needs num2words."""
    return _smol("SmolVLM", SmolVLMImageProcessorPil, without_videos(tf.SmolVLMProcessor))


FAMILIES: dict[str, Callable[[], Enhancer]] = {
    "llava": llava,
    "qwen2_5_vl": qwen2_5_vl,
    "qwen3_vl": qwen3_vl,
    "idefics3": idefics3,
    "smolvlm": smolvlm,
}


def llama_tokenizer(marks: tuple[str, ...] = ("<pad>", "<image>"), **extra: Any) -> Any:
    """A BPE with Llama's treatment of spaces: a text begins with one, special tokens or not."""
    special = ["<unk>", "<s>", "</s>", *marks]
    letters = [chr(code) for code in range(33, 127)] + ["\n", "▁"]
    bpe = _train(pre_tokenizers.Metaspace(prepend_scheme="first"), special, letters)["model"]
    names = {"pad_token": "<pad>"} if "<pad>" in marks else {}
    if "<image>" in marks:
        names["extra_special_tokens"] = {"image_token": "<image>"}
    return tf.LlamaTokenizer(
        vocab=bpe["vocab"], merges=[tuple(pair) for pair in bpe["merges"]],
        add_bos_token=True, **names, **extra,
    )  # fmt: skip


def byte_tokenizer(marks: list[str], **names: str) -> Any:
    """A byte-level BPE, as Qwen and SmolVLM have."""
    splits = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = [*names.values(), *marks]
    trained = _train(splits, special, pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer.from_str(json.dumps(trained))
    tokenizer.decoder = decoders.ByteLevel()
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, extra_special_tokens=marks, **names
    )


def text_config(tokenizer: Any) -> dict[str, Any]:
    """Settings of a two-layer language model."""
    return {
        "vocab_size": len(tokenizer), "hidden_size": WIDTH, "intermediate_size": 128,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 512, "initializer_range": RANGE,
        "pad_token_id": tokenizer.pad_token_id, "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }  # fmt: skip


def _train(splits: Any, special: list[str], letters: list[str]) -> dict[str, Any]:
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>" if "<unk>" in special else None))
    tokenizer.pre_tokenizer = splits
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=letters, show_progress=False
    )
    tokenizer.train_from_iterator([*WORDS, question("take the mug"), " The right hand"], trainer)
    return json.loads(tokenizer.to_str())


def _qwen_tokenizer() -> Any:
    return byte_tokenizer(QWEN_MARKS, pad_token="<|endoftext|>", eos_token="<|im_end|>")


def _qwen_ids(tokenizer: Any) -> dict[str, int]:
    ids = tokenizer.convert_tokens_to_ids
    names = ("image_pad", "video_pad", "vision_start", "vision_end")
    keys = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    return {key: ids(f"<|{name}|>") for key, name in zip(keys, names, strict=True)}


def _qwen_pictures() -> Any:
    return Qwen2VLImageProcessorPil(
        size={"shortest_edge": 64, "longest_edge": 1536}, patch_size=4, merge_size=2
    )


def _rope(sections: list[int]) -> dict[str, Any]:
    return {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": sections}


def _smol(name: str, pictures: Any, processor_class: Any) -> Enhancer:
    tokenizer = byte_tokenizer(
        SMOLVLM_MARKS, bos_token="<|im_start|>", eos_token="<end_of_utterance>", pad_token="<pad>"
    )
    config = getattr(tf, f"{name}Config")(
        vision_config={
            "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
            "num_attention_heads": 2, "image_size": 32, "patch_size": 8,
            "initializer_range": RANGE,
        },
        text_config=tf.LlamaConfig(**text_config(tokenizer)),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
    )  # fmt: skip
    processor = processor_class(
        image_processor=pictures(size={"longest_edge": 64}, max_image_size={"longest_edge": 32}),
        tokenizer=tokenizer,
        image_seq_len=4,
        chat_template=SMOLVLM_TEMPLATE,
        **({"video_processor": None} if name == "SmolVLM" else {}),
    )
    return _enhancer(getattr(tf, f"{name}ForConditionalGeneration"), config, processor)


def _enhancer(model_class: Any, config: Any, processor: Any) -> Enhancer:
    torch.manual_seed(1)
    model = model_class(config)
    model.generation_config.max_new_tokens = ANSWER_TOKENS
    model.generation_config.eos_token_id = processor.tokenizer.eos_token_id
    model.generation_config.pad_token_id = processor.tokenizer.pad_token_id
    return Enhancer(model, processor)
