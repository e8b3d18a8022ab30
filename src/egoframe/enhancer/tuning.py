"""Visual instruction tuning of any supported VLLM on described pairs (LEGO, section 3.2).

The question stands before the model as it does when it describes, token for token; the loss
counts the answer alone. TRL trains and PEFT adapts (`sft.py`); what comes out is put together from
the base and the last checkpoint, so that nothing of the training's own wrappers is in it.
"""

from __future__ import annotations

import importlib.util
import math
import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from safetensors.torch import load_file
from torch import nn

from egoframe.enhancer.lessons import KINDS, Lesson, make_room
from egoframe.enhancer.memory import GB, Memory, advice, memory_of
from egoframe.enhancer.model import Enhancer
from egoframe.enhancer.opening import NO_CODE, one_line, open_model, open_processor, parts, quiet
from egoframe.errors import UserError
from egoframe.models import DEFAULT, resolve, usable_device
from egoframe.pairs import open_described
from egoframe.released import RELEASES
from egoframe.training.checkpoints import trained
from egoframe.training.config import check_same_run
from egoframe.training.logs import check_trackers

if TYPE_CHECKING:
    import datasets

PROJECTORS = ("multi_modal_projector", "connector", "merger", "deepstack_merger_list")
NO_MODEL = "not a vision-language model with its processor"
# Settings that leave what is learnt as it is, but for float error.
MAY_CHANGE = {"out", "merge", "judged", *(f"loop.{name}" for name in (
    "micro_batch", "activation_checkpointing", "device", "shard", "workers", "checkpoint_minutes",
    "checkpoints_kept", "trackers"))}  # fmt: skip


@dataclass(frozen=True)
class Lora:
    """Low-rank adapters (Hu et al., LoRA, 2021)."""

    rank: int = 64
    alpha: float = 128.0  # the update is scaled by alpha / rank
    dropout: float = 0.05
    targets: tuple[str, ...] = ()  # linear layers, such as q_proj; all of the language model's


@dataclass(frozen=True)
class TuningLoop:
    """How long and how fast to learn; several processes of `torchrun` share the work."""

    epochs: float = 3.0
    batch_size: int = 128  # pairs of an optimiser step, over all processes
    micro_batch: int = 4  # pairs that go through the model together, in each process
    lr: float = 2e-5  # peak learning rate of AdamW
    warmup: float = 0.03  # share of the steps of linear warm-up, then cosine decay to zero
    weight_decay: float = 0.0
    grad_clip: float = 1.0  # largest norm of the gradient
    seed: int = 0
    bf16: bool = False  # matrix products in bfloat16, and frozen weights; trained ones are float32
    activation_checkpointing: bool = True  # work out layers again: less memory, a third slower
    device: Literal["cpu", "cuda"] = "cpu"
    shard: bool = False  # over the processes (FSDP2), not a whole copy in each (DDP)
    workers: int = 0  # processes that prepare photos ahead; 0: between the steps
    checkpoint_minutes: float = 10.0
    checkpoints_kept: int = 2
    trackers: tuple[str, ...] = ("tensorboard",)  # under `out`; also "wandb"

    def __post_init__(self) -> None:
        for name in ("batch_size", "micro_batch", "checkpoints_kept"):
            if getattr(self, name) < 1:
                raise UserError(f"loop.{name}={getattr(self, name)}: at least 1")
        for name in ("epochs", "grad_clip"):
            if getattr(self, name) <= 0:
                raise UserError(f"loop.{name}={getattr(self, name)}: above 0")


@dataclass(frozen=True)
class TuningConfig:
    """One run of `egoframe train enhancer`."""

    dataset: Path
    out: Path  # of the run; the model comes to `enhancer` in it, adapters to `adapters`
    base: str = DEFAULT  # a VLLM of transformers: its folder or hub id; or a pipeline that has one
    described_by: str | None = None  # learn from these descriptions alone; LEGO: "gpt-curation"
    method: Literal["lora", "qlora", "full"] = "lora"
    lora: Lora = field(default_factory=Lora)
    train_projector: bool = False  # what hands the picture to the language model
    merge: bool = True  # adapters into a whole model; else they are kept beside their base
    questions: tuple[str, ...] = ("describe",)  # also "next": what is done next; "plan": a task
    mirror: bool = False  # show mirror images too, left and right swapped in what is said
    judged: int = 300  # pairs of the validation split to judge tuned and untuned model on
    loop: TuningLoop = field(default_factory=TuningLoop)

    def __post_init__(self) -> None:
        if unknown := [name for name in self.questions if name not in KINDS]:
            raise UserError(f"questions: {unknown[0]!r} is none; give some of {', '.join(KINDS)}")
        for name, value in (("judged", self.judged), ("lora.rank", self.lora.rank)):
            if value < 1:
                raise UserError(f"{name}={value}: at least 1")


@dataclass(frozen=True)
class Plan:
    """What a run is going to be; made without reading the weights."""

    pairs: int
    steps: int  # of the optimiser
    tokens: int  # of the longest of some pairs: picture, question and answer
    parameters: int  # of the model
    trained: int  # of these, or beside them
    memory: Memory  # of each process
    advice: str  # one line

    def told(self) -> dict[str, Any]:
        """For people and machines."""
        told = asdict(self)
        parts = told.pop("memory")
        return told | {f"{name}_gb": round(size / GB, 3) for name, size in parts.items()}


def plan_tuning(config: TuningConfig) -> Plan:
    """Check settings, data, base and memory, in seconds; nothing is written.

    Raises:
        UserError: any of them will not do.
    """
    _check_settings(config)
    pairs = open_described(config.dataset, "train", config.described_by)
    check_same_run(config, len(pairs), False, MAY_CHANGE)
    with torch.device("meta"):
        model = _model_without_weights(config)
    enhancer = Enhancer(model, open_processor(base_parts(config)[1]))
    lessons = _lessons(config, pairs)
    make_room(enhancer, lessons)
    tokens = _tokens(enhancer, pairs, lessons)
    parameters = sum(p.numel() for p in model.parameters())
    with torch.device("meta"):
        learner = learning_part(model, config)
    memory = memory_of(learner, config.method, config.loop, tokens)
    return Plan(
        pairs=len(pairs),
        steps=_steps(config, len(lessons)),
        tokens=tokens,
        parameters=parameters,
        trained=sum(p.numel() for p in trained(learner).values()),
        memory=memory,
        advice=advice(memory, config.method, config.loop),
    )


def tune_enhancer(
    config: TuningConfig, tell: Callable[[str], None] = lambda line: None
) -> Path | None:
    """Tune a VLLM, and return the folder of the model or of the adapters; resumable.

    Under `torchrun` the main process puts it together; the others return None.

    Arguments:
        tell: called with a line that the user should read.
    Raises:
        UserError: as `plan_tuning`; or the loss is not finite, or there is no room left.
    """
    told = plan_tuning(config).advice
    from egoframe.enhancer.sft import train

    tell(told)
    pairs = open_described(config.dataset, "train", config.described_by)
    model, processor = base_parts(config)
    dtype = torch.bfloat16 if config.loop.bf16 and config.method != "full" else torch.float32
    bits: Literal[4] | None = 4 if config.method == "qlora" else None
    place = config.loop.device if bits else "cpu"  # the Trainer moves what is not quantised
    enhancer = Enhancer(open_model(model, dtype, bits, place), open_processor(processor))
    lessons = _lessons(config, pairs)
    make_room(enhancer, lessons)
    torch.manual_seed(config.loop.seed)
    learner = learning_part(enhancer.model, config)
    for parameter in trained(learner).values():
        parameter.data = parameter.data.float()
    if _is_main():
        check_same_run(config, len(pairs), True, MAY_CHANGE)
    steps = _steps(config, len(lessons))
    train(enhancer, learner, pairs, lessons, config, steps)
    if not _is_main():
        return None
    longest = enhancer.model.generation_config.max_new_tokens
    del enhancer, learner
    return _put_together(config, config.out / "checkpoints" / f"{steps:08d}", longest)


def learning_part(model: Any, config: TuningConfig) -> nn.Module:
    """The model with adapters, or itself; only what is to learn asks for a gradient.

    Raises:
        UserError: it has no such layers, or no projector that is known.
    """
    language = model.get_decoder()
    names = {module: name for name, module in model.named_modules()}
    projectors = [name for name in names.values() if name.rpartition(".")[2] in PROJECTORS]
    if config.train_projector and not projectors:
        raise UserError(f"{config.base}: no projector is known in it; set train_projector=false")
    model.requires_grad_(False)
    if config.method == "full":
        learning = [language, model.get_output_embeddings()]
        if config.train_projector:
            learning += [model.get_submodule(name) for name in projectors]
        for module in learning:
            module.requires_grad_(True)
        return model
    from peft import LoraConfig, get_peft_model

    linear = {
        name.rpartition(".")[2]
        for name, layer in language.named_modules()
        if isinstance(layer, nn.Linear)
    }
    targets = sorted(config.lora.targets or linear)
    if unknown := [name for name in targets if name not in linear]:
        raise UserError(
            f"lora.targets: {unknown[0]} is no linear layer of the language model; it has "
            f"{', '.join(sorted(linear))}"
        )
    lora = LoraConfig(
        r=config.lora.rank,
        lora_alpha=config.lora.alpha,  # type: ignore[arg-type]  # any number will do
        lora_dropout=config.lora.dropout,
        # The vision tower's layers have such names too.
        target_modules=rf"{re.escape(names[language])}\..*\.({'|'.join(targets)})",
        modules_to_save=projectors if config.train_projector else None,
    )
    with quiet():
        return get_peft_model(model, lora)


def base_parts(config: TuningConfig) -> tuple[str | Path, str | Path]:
    """Where the base's model and processor lie.

    Raises:
        UserError: no such model.
    """
    ours = config.base in (DEFAULT, *RELEASES)
    model, processor = parts(resolve(config.base) if ours else config.base)
    # Adapters name their base, and may be opened from another folder.
    return tuple(Path(p).resolve() if Path(p).is_dir() else p for p in (model, processor))  # type: ignore[return-value]


def _check_settings(config: TuningConfig) -> None:
    for name in ("trl", "peft"):
        if importlib.util.find_spec(name) is None:
            raise UserError(f'tuning needs {name}: pip install "egoframe[train]"')
    loop = config.loop
    check_trackers(loop.trackers)
    usable_device(loop.device)
    if config.method == "qlora":
        if loop.device != "cuda":
            raise UserError("method=qlora needs a GPU: set loop.device=cuda, or method=lora")
        if importlib.util.find_spec("bitsandbytes") is None:
            raise UserError('method=qlora needs bitsandbytes: pip install "egoframe[quantize]"')
    if loop.shard and config.method != "full":
        raise UserError("loop.shard is for method=full; adapters fit beside a whole base")
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if loop.batch_size % (loop.micro_batch * processes):
        raise UserError(
            f"loop.batch_size={loop.batch_size} does not divide into {processes} processes × "
            f"loop.micro_batch={loop.micro_batch}"
        )


def _model_without_weights(config: TuningConfig) -> Any:
    from transformers import AutoConfig, AutoModelForImageTextToText

    folder = base_parts(config)[0]
    with one_line(folder, NO_MODEL):
        if (Path(folder) / "adapter_config.json").exists():
            raise UserError(f"{folder}: adapters; merge them first, or give their base")
        shape = AutoConfig.from_pretrained(folder, **NO_CODE)
        return AutoModelForImageTextToText.from_config(shape, dtype=torch.float32)


def _lessons(config: TuningConfig, pairs: datasets.Dataset) -> list[Lesson]:
    found = [lesson for name in config.questions for lesson in KINDS[name](pairs)]
    if not found:
        raise UserError(f"{config.dataset}: nothing to learn about {', '.join(config.questions)}")
    return found


def _tokens(enhancer: Enhancer, pairs: datasets.Dataset, lessons: Sequence[Lesson]) -> int:
    """Of the lesson with the longest answer."""
    from egoframe.enhancer.instruction import LessonBatches

    longest = max(range(len(lessons)), key=lambda k: len(lessons[k].answer))
    batch = LessonBatches(enhancer, pairs, lessons)([{"lesson": longest, "epoch": 0}])
    return batch["input_ids"].shape[1]


def _steps(config: TuningConfig, size: int) -> int:
    return max(1, round(config.loop.epochs * size / config.loop.batch_size))


def _is_main() -> bool:
    return int(os.environ.get("RANK", "0")) == 0


def _put_together(config: TuningConfig, checkpoint: Path, longest: int | None) -> Path:
    """The base with what was learnt, in the base's own precision; whole or absent."""
    model, processor = base_parts(config)
    base = open_model(model)
    base.generation_config.max_new_tokens = longest
    learner: Any = learning_part(base, config)
    learnt = load_file(checkpoint / "model.safetensors")
    with torch.no_grad():
        for name, parameter in trained(learner).items():
            parameter.copy_(learnt[name])
    whole = config.method == "full" or config.merge
    final = config.out / ("enhancer" if whole else "adapters")
    writing = final.with_name(f"{final.name}.writing")
    shutil.rmtree(writing, ignore_errors=True)
    if whole:
        merged = base if config.method == "full" else learner.merge_and_unload()
        merged.save_pretrained(writing)
    else:
        learner.save_pretrained(writing)
        base.generation_config.save_pretrained(writing)
    open_processor(processor).save_pretrained(writing)
    shutil.rmtree(final, ignore_errors=True)
    writing.rename(final)
    return final


def warmup_steps(config: TuningConfig, steps: int) -> int:
    """Steps of linear warm-up."""
    return math.ceil(config.loop.warmup * steps)
