"""Opening a vision-language model of transformers and its processor, whole or not at all."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError

from egoframe.errors import UserError

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model",
                   "tekken.json")  # fmt: skip
PROCESSOR_FILES = ("processor_config.json", "preprocessor_config.json")
# All beside the language model's layers: it is small, and the image embeddings stay exact.
NOT_QUANTISED = ["lm_head", r".*\b(vision_\w+|visual|multi_modal_projector|connector)"]


def parts(folder: str | Path) -> tuple[str | Path, str | Path]:
    """Where model and processor lie: in one folder or hub id, or in two of a pipeline's folder."""
    path = Path(folder)
    if (path / "model_index.json").exists():
        return path / "enhancer", path / "processor"
    return folder, folder


def open_model(
    folder: str | Path,
    dtype: torch.dtype | None = None,
    bits: Literal[4, 8] | None = None,
    device: str | torch.device = "cpu",
) -> Any:
    """Open an image-text-to-text model: a folder, or a hub id.

    Arguments:
        dtype: of the weights; that on disk where not given.
        bits: of the weights of the language model, quantised while they are read.
        device: to put it on.
    Raises:
        UserError: no such model, or it cannot be quantised here.
    """
    from transformers import AutoConfig, AutoModelForImageTextToText

    _check_files(folder, "model", ("config.json",))
    extra: dict[str, Any] = {}
    try:
        if bits is not None:
            computed_in = dtype or AutoConfig.from_pretrained(folder).dtype or torch.float32
            quantisation = _quantisation(bits, computed_in)
            extra = {"quantization_config": quantisation, "device_map": {"": device}}
        model: Any = AutoModelForImageTextToText.from_pretrained(
            folder, dtype=dtype, use_safetensors=True, **extra
        )
    except (OSError, ValueError, ImportError, RuntimeError, SafetensorError) as error:
        raise _refused(folder, error) from None
    return model if bits is not None else model.to(device)


def open_processor(folder: str | Path) -> Any:
    """Open the processor of a model, without its part for videos: a folder, or a hub id.

    Raises:
        UserError: there is none, or it lacks its tokenizer or image processor.
    """
    from transformers import AutoProcessor

    _check_files(folder, "tokenizer", TOKENIZER_FILES)
    _check_files(folder, "image processor", PROCESSOR_FILES)
    try:
        kind = _processor_class(folder)
        if kind is not None and "video_processor" in kind.get_attributes():
            processor = without_videos(kind).from_pretrained(folder)
        else:
            processor = AutoProcessor.from_pretrained(folder)
    except (OSError, ValueError, ImportError, TypeError) as error:
        raise _refused(folder, error) from None
    for part in ("tokenizer", "image_processor"):
        if getattr(processor, part, None) is None:
            raise _refused(folder, f"its processor has no {part.replace('_', ' ')}")
    return processor


def without_videos(kind: Any) -> Any:
    """A processor class without its video part, which would need torchvision."""
    names = kind.get_attributes()
    kept = [name for name in names if name != "video_processor"]

    def from_args_and_dict(cls: Any, args: list[Any], processor_dict: Any, **kwargs: Any) -> Any:
        given = dict(zip(kept, args, strict=True))
        args = [given.get(name) for name in names]
        return kind.from_args_and_dict.__func__(cls, args, processor_dict, **kwargs)

    return type(
        kind.__name__,
        (kind,),
        {
            "__module__": kind.__module__,
            "get_attributes": classmethod(lambda _: list(kept)),
            "from_args_and_dict": classmethod(from_args_and_dict),
        },
    )


def _processor_class(folder: str | Path) -> Any:
    """The class that the folder names, or that its model's configuration implies."""
    import transformers
    from transformers.image_processing_base import ImageProcessingMixin

    for reads in (
        transformers.ProcessorMixin.get_processor_dict,
        ImageProcessingMixin.get_image_processor_dict,
    ):
        try:
            name = reads(folder)[0].get("processor_class")
        except OSError:  # no such file
            continue
        if name:
            return getattr(transformers, name, None)
    return transformers.PROCESSOR_MAPPING.get(
        type(transformers.AutoConfig.from_pretrained(folder)), None
    )


def _quantisation(bits: Literal[4, 8], computed_in: torch.dtype) -> Any:
    from transformers import BitsAndBytesConfig

    if importlib.util.find_spec("bitsandbytes") is None:
        raise UserError(f'{bits} bits need bitsandbytes: pip install "egoframe[quantize]"')
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it tells of casts at every step
    return BitsAndBytesConfig(
        load_in_8bit=bits == 8,
        load_in_4bit=bits == 4,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=computed_in,
        llm_int8_skip_modules=NOT_QUANTISED,
    )


def _check_files(folder: str | Path, part: str, names: tuple[str, ...]) -> None:
    path = Path(folder)
    if path.is_dir() and not any((path / name).exists() for name in names):
        raise _refused(folder, f"no {part}: {' or '.join(names[:2])} is missing")


def _refused(folder: str | Path, why: object) -> UserError:
    line = (str(why).strip() or type(why).__name__).splitlines()[0]
    return UserError(f"{folder}: not a vision-language model with its processor ({line})")
