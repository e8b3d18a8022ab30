"""Opening a vision-language model of transformers and its processor, whole or not at all."""

from __future__ import annotations

import importlib.util
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from huggingface_hub.errors import HTTPError

from egoframe.errors import UserError, first_line

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model",
                   "tekken.json")  # fmt: skip
PROCESSOR_FILES = ("processor_config.json", "preprocessor_config.json")
# All beside the language model's layers: it is small, and the image embeddings stay exact.
NOT_QUANTISED = ["lm_head", r".*\b(vision_\w+|visual|multi_modal_projector|connector)"]
ADAPTERS = "adapter_config.json"  # PEFT's: a folder of adapters has it, and names their base
REFUSED = "not a vision-language model with its processor"
NO_CODE = {"trust_remote_code": False}  # what a folder brings is never run, nor asked about


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
    """Open an image-text-to-text model: a folder, that of adapters to such a model, or a hub id.

    Adapters are merged into the weights of their base, but kept beside those that are quantised.

    Arguments:
        dtype: of the weights; that on disk where not given.
        bits: of the weights of the language model, quantised while they are read.
        device: to put it on.
    Raises:
        UserError: no such model, or it cannot be quantised here.
    """
    from transformers import AutoConfig, AutoModelForImageTextToText

    check_bits(bits)
    if (Path(folder) / ADAPTERS).exists():
        return _with_adapters(Path(folder), dtype, bits, device)
    _check_files(folder, "model", ("config.json",))
    extra: dict[str, Any] = dict(NO_CODE)
    with one_line(folder, REFUSED):
        if bits is not None:
            computed_in = dtype or AutoConfig.from_pretrained(folder, **NO_CODE).dtype
            extra["quantization_config"] = _quantisation(bits, computed_in or torch.float32)
            extra["device_map"] = {"": device}
        model: Any = AutoModelForImageTextToText.from_pretrained(
            folder, dtype=dtype, use_safetensors=True, **extra
        )
        return model if bits is not None else model.to(device)


def _with_adapters(
    folder: Path, dtype: torch.dtype | None, bits: Literal[4, 8] | None, device: str | torch.device
) -> Any:
    from transformers import GenerationConfig

    if importlib.util.find_spec("peft") is None:
        raise UserError(f'{folder}: adapters need peft: pip install "egoframe[train]"')
    from peft import PeftModel

    _check_files(folder, "adapters", ("adapter_model.safetensors",))
    with quiet(), one_line(folder, "no adapters of a vision-language model"):
        base = json.loads((folder / ADAPTERS).read_text(encoding="utf-8"))[
            "base_model_name_or_path"
        ]
        model = open_model(base, dtype, bits, device)
        adapted: Any = PeftModel.from_pretrained(model, folder)
        model = adapted.get_base_model() if bits is not None else adapted.merge_and_unload()
        if (folder / "generation_config.json").exists():
            model.generation_config = GenerationConfig.from_pretrained(folder)
    return model


def open_processor(folder: str | Path) -> Any:
    """Open the processor of a model, without its part for videos: a folder, or a hub id.

    Raises:
        UserError: there is none, or it lacks its tokenizer or image processor.
    """
    from transformers import AutoProcessor

    _check_files(folder, "tokenizer", TOKENIZER_FILES)
    _check_files(folder, "image processor", PROCESSOR_FILES)
    with one_line(folder, REFUSED):
        kind: Any = _processor_class(folder) or AutoProcessor
        if kind is not AutoProcessor and "video_processor" in kind.get_attributes():
            kind = without_videos(kind)
        processor = kind.from_pretrained(folder, **NO_CODE)
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
            kind = getattr(transformers, str(name), None)
            if kind is not None and not hasattr(kind, "get_attributes"):
                raise ValueError(f"its processor_class is {name!r}")
            return kind
    config = transformers.AutoConfig.from_pretrained(folder, **NO_CODE)
    return transformers.PROCESSOR_MAPPING.get(type(config), None)


def check_bits(bits: int | None) -> None:
    """Find out before the work whether weights can be quantised here.

    Raises:
        UserError: they cannot.
    """
    if bits is not None and importlib.util.find_spec("bitsandbytes") is None:
        raise UserError(f'{bits} bits need bitsandbytes: pip install "egoframe[quantize]"')


@contextmanager
def one_line(name: object, trouble: str) -> Iterator[None]:
    """What is raised by those who read foreign files, of many kinds, becomes one line.

    A GPU's memory that is too small stays what it is: the files are not to blame.

    Raises:
        UserError: what is named has this trouble, or cannot be had from the hub.
    """
    try:
        yield
    except (UserError, torch.OutOfMemoryError):
        raise
    except HTTPError as error:
        raise UserError(f"{name}: cannot be had from the hub ({_line(error)})") from None
    except Exception as error:
        raise UserError(f"{name}: {trouble} ({_line(error)})") from None


@contextmanager
def quiet() -> Iterator[None]:
    """Without what libraries say of each other's settings."""
    loggers = [logging.getLogger(name) for name in ("transformers", "trl")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _quantisation(bits: Literal[4, 8], computed_in: torch.dtype) -> Any:
    from transformers import BitsAndBytesConfig

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


def _refused(folder: str | Path, why: str) -> UserError:
    return UserError(f"{folder}: {REFUSED} ({why})")


def _line(error: Exception) -> str:
    if "trust_remote_code" in str(error):
        return "it needs code of its own, which is never run"
    if isinstance(error, (KeyError, TypeError, AttributeError)):
        return f"damaged: {first_line(repr(error))}"
    return first_line(error)
