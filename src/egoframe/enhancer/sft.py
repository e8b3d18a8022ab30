"""TRL's `SFTTrainer` with our order of pairs, and checkpoints that resume exactly."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor, nn
from transformers import (
    PrinterCallback,
    ProgressCallback,
    TrainerCallback,
    TrainerState,
    get_cosine_schedule_with_warmup,
)
from trl import SFTConfig, SFTTrainer

from egoframe.enhancer.instruction import LessonBatches
from egoframe.enhancer.lessons import Lesson
from egoframe.enhancer.model import Enhancer
from egoframe.enhancer.opening import quiet
from egoframe.enhancer.tuning import TuningConfig, warmup_steps
from egoframe.errors import UserError
from egoframe.training import checkpoints
from egoframe.training.logs import Log, new_progress
from egoframe.training.processes import _blocks as blocks
from egoframe.training.randomness import mix, step_samples

NAMED = 8  # pairs of a bad batch
STATE = "trainer_state.json"  # where the Trainer looks for the step to go on from


def train(
    enhancer: Enhancer,
    learner: nn.Module,
    pairs: Dataset,
    lessons: Sequence[Lesson],
    config: TuningConfig,
    steps: int,
) -> None:
    """Train to the end, from the newest checkpoint on; the last one holds what was learnt.

    Arguments:
        enhancer: whose processor and settings make the batches.
        learner: its model, or that with adapters; what asks for a gradient learns.
        pairs: that the lessons are about.
    Raises:
        UserError: the loss or its gradient is not finite, or there is no room left.
    """
    loop = config.loop
    found = checkpoints.checkpoints(config.out)
    begun = int(found[-1].name) if found else 0
    if begun == steps:
        return
    order = _order(config, len(lessons), steps)
    with quiet():
        arguments = _arguments(config)
    if loop.shard and arguments.world_size > 1:
        _shard(learner)
    names = list(pairs["pair_id"])
    with quiet():
        trainer = _Trainer(
            run=config,
            begun=begun,
            names=[names[lessons[k].pair] for k in order["lesson"]],
            model=learner,
            args=arguments,
            train_dataset=order,
            data_collator=LessonBatches(enhancer, pairs, lessons, config.mirror, loop.seed),
            processing_class=enhancer.processor,
        )
    for shown in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(shown)
    main = trainer.accelerator.is_main_process
    if found and main:
        reached = TrainerState(
            global_step=begun, train_batch_size=loop.micro_batch, logging_steps=1
        )
        reached.save_to_json(str(found[-1] / STATE))
    trainer.accelerator.wait_for_everyone()
    with Log(trainer.accelerator, config, begun) as log, new_progress(main) as progress:
        trainer.add_callback(_Watch(config, log, progress, begun, steps))
        if "tensorboard" in loop.trackers and main:
            trainer.add_callback(_tensorboard(config.out, begun))
        with quiet():
            trainer.train(resume_from_checkpoint=str(found[-1]) if found else None)
    trainer.accelerator.wait_for_everyone()


def _shard(model: Any) -> None:
    """Spread the weights over the processes (FSDP2); to the Trainer, they were opened like that."""
    from torch.distributed.fsdp import fully_shard

    for block in blocks(model):
        fully_shard(block)
    fully_shard(model)
    model._is_distributed_loading_by_transformers = model._is_fsdp_managed_module = True


def _order(config: TuningConfig, size: int, steps: int) -> Dataset:
    """The lessons of all steps in a row. To the Trainer, the run is one epoch of these."""
    batch, seed = config.loop.batch_size, config.loop.seed
    numbers, epochs = zip(
        *(step_samples(step, batch, size, seed) for step in range(steps)), strict=True
    )
    return Dataset.from_dict(
        {"lesson": torch.cat(numbers).tolist(), "epoch": torch.cat(epochs).tolist()}
    )


def _arguments(config: TuningConfig) -> SFTConfig:
    loop = config.loop
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    return SFTConfig(
        output_dir=str(config.out),
        num_train_epochs=1,
        train_sampling_strategy="sequential",
        per_device_train_batch_size=loop.micro_batch,
        gradient_accumulation_steps=loop.batch_size // (loop.micro_batch * processes),
        learning_rate=loop.lr,
        weight_decay=loop.weight_decay,
        max_grad_norm=loop.grad_clip,
        seed=loop.seed,
        bf16=loop.bf16,
        gradient_checkpointing=loop.activation_checkpointing,
        use_cpu=loop.device == "cpu",
        ddp_find_unused_parameters=False,
        ddp_backend="gloo" if loop.device == "cpu" and processes > 1 else None,
        dataloader_num_workers=loop.workers,
        dataloader_pin_memory=loop.device == "cuda",
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
        remove_unused_columns=False,
        logging_steps=1,
        save_strategy="no",  # `_Watch` says when
        report_to=["wandb"] if "wandb" in loop.trackers else "none",
    )


class _Trainer(SFTTrainer):
    """Checkpoints are ours: whole or absent, no pickle, what learns alone. What is random follows
    from the step."""

    model: Any
    optimizer: Any

    def __init__(self, run: TuningConfig, begun: int, names: list[str], **given: Any) -> None:
        self.run, self.begun, self.names = run, begun, names
        super().__init__(**given)

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        for group in self.optimizer.param_groups:
            group["initial_lr"] = self.run.loop.lr
        self.lr_scheduler = get_cosine_schedule_with_warmup(
            self.optimizer,
            warmup_steps(self.run, num_training_steps),
            num_training_steps,
            last_epoch=self.begun - 1,
        )
        self._created_lr_scheduler = True
        return self.lr_scheduler

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        kept, main = self.run.loop.checkpoints_kept, self.accelerator.is_main_process
        step, learnt = self.state.global_step, _Learnt(self.model)
        checkpoints.save(self.run.out, step, learnt, {}, self.optimizer, (), kept, main)
        self.accelerator.wait_for_everyone()

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Weights are read together with the optimiser's state, once that is there."""

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            checkpoints.restore(self.run.out, _Learnt(self.model), {}, self.optimizer)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        """`_Watch` seeds every step."""

    @contextmanager
    def _defer_fsdp_gradient_reduction(self) -> Iterator[None]:
        self.model.set_requires_gradient_sync(False)
        try:
            yield
        finally:
            self.model.set_requires_gradient_sync(True)

    def training_step(self, *args: Any, **kwargs: Any) -> Tensor:
        loss = super().training_step(*args, **kwargs)
        self._check_finite(loss, "loss")
        return loss

    def _clip_grad_norm(self, model: Any) -> Any:
        norm = checkpoints.whole(super()._clip_grad_norm(model))
        self._check_finite(norm, "gradient's norm")
        return norm

    def _check_finite(self, value: Tensor, what: str) -> None:
        if torch.isfinite(value):
            return
        step, batch = self.state.global_step, self.run.loop.batch_size
        names = self.names[step * batch : (step + 1) * batch]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        raise UserError(
            f"step {step + 1}: the {what} is {value.item()}; the last good checkpoint is kept in "
            f"{self.run.out / 'checkpoints'}; the pairs were {', '.join(names[:NAMED])}{more}; "
            "try a lower loop.lr"
        )


class _Learnt(nn.Module):
    """What learns of a module, under its names there: all that a checkpoint has to hold."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.learning = checkpoints.trained(module)

    def named_parameters(self, *args: Any, **kwargs: Any) -> Iterator[tuple[str, nn.Parameter]]:
        return iter(self.learning.items())

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        return {name: parameter.detach() for name, parameter in self.learning.items()}


class _Watch(TrainerCallback):
    """Seeds every step, says when to save, and tells how it goes."""

    def __init__(self, run: TuningConfig, log: Log, progress: Any, begun: int, steps: int) -> None:
        self.loop, self.log, self.progress = run.loop, log, progress
        self.task = progress.add_task(run.out.name, total=steps, completed=begun, loss="")
        self.saved_at = time.monotonic()

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        seed = mix(self.loop.seed, state.global_step)
        torch.manual_seed(mix(seed, args.process_index))  # dropout inside the model

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        due = time.monotonic() - self.saved_at > 60 * self.loop.checkpoint_minutes
        if args.world_size > 1:
            from accelerate.utils import broadcast_object_list

            due = broadcast_object_list([due])[0]
        if due or state.global_step == state.max_steps:
            control.should_save = True

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.saved_at = time.monotonic()

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        if logs is None or "loss" not in logs:
            return
        told = {name: logs[name] for name in ("loss", "grad_norm", "learning_rate")}
        self.log.write(state.global_step, told)
        shown = f"loss {logs['loss']:.4f}"
        self.progress.update(self.task, completed=state.global_step, loss=shown)


def _tensorboard(out: Path, begun: int) -> TrainerCallback:
    """Scalars under `logs/`; what a killed run wrote after its last checkpoint is struck out."""
    from torch.utils.tensorboard import SummaryWriter
    from transformers.integrations import TensorBoardCallback

    purged = {"purge_step": begun + 1} if begun else {}
    return TensorBoardCallback(SummaryWriter(str(out / "logs"), **purged))
