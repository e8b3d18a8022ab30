"""The command line: one thin module per command; heavy imports happen inside the commands."""

from __future__ import annotations

import logging
import os
import sys
from concurrent.futures import BrokenExecutor

import typer

from egoframe import __version__
from egoframe.cli import (
    bench,
    convert,
    data,
    describe,
    enhance,
    evaluate,
    generate,
    generate_set,
    kitchen,
    next,
    push,
    serve,
    storyboard,
    study,
    train,
    workshop,
)
from egoframe.errors import UserError

app = typer.Typer(
    name="egoframe",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("generate")(generate.generate)
app.command("generate-set")(generate_set.generate_set)
app.command("next")(next.next)
app.command("storyboard")(storyboard.storyboard)
app.command("evaluate")(evaluate.evaluate)
app.command("describe")(describe.describe)
app.command("enhance")(enhance.enhance)
app.command("bench")(bench.bench)
app.command("push")(push.push)
app.command("serve")(serve.serve)
app.add_typer(kitchen.app, name="kitchen")
app.add_typer(workshop.app, name="workshop")
app.add_typer(data.app, name="data")
app.add_typer(train.app, name="train")
app.add_typer(convert.app, name="convert")
app.add_typer(study.app, name="study")

INTERRUPTED = 130  # status of a command that was stopped by Ctrl-C
EXTRAS = {
    "mujoco": "kitchen",
    "av": "data",
    "datasets": "data",
    "pyarrow": "data",
    "ijson": "data",
    "openai": "data",
    "ray": "cluster",
    "fastapi": "serve",
    "uvicorn": "serve",
    "sqlalchemy": "study",
    "gradio": "serve",
    "prometheus_client": "serve",
}


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """From one first-person photo and an action, the picture the person would see doing it."""


def main() -> None:
    """Run the command line: one line and status 2 for what the user can fix."""
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")  # commands show their own
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # tells of kernels it can do without
    try:
        status = app(standalone_mode=False)
        if status == INTERRUPTED:
            _fail("stopped; what was finished is kept, the same command goes on", INTERRUPTED)
        sys.exit(status)
    except UserError as error:
        _fail(str(error), 2)
    except BrokenExecutor:
        _fail(
            "a worker process died, perhaps for want of memory; what was finished is kept, the "
            "same command goes on",
            1,
        )
    except typer.TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()  # type: ignore[attr-defined]
            sys.exit(2)
        _fail(f"{error.format_message()} (--help tells how)", 2)  # type: ignore[attr-defined]
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError":
            raise
        _fail(
            "the GPU's memory is too small for this; try --bits 4, --offload, --num-images 1 or "
            "--device cpu, see docs/results.md for what fits; in training, a larger "
            "loop.accumulate, gradient_checkpointing=true or loop.optimiser=adamw8bit",
            1,
        )
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        _fail(f'this command needs {error.name}: pip install "egoframe[{extra}]"', 2)


def _fail(message: str, status: int) -> None:
    print(f"egoframe: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(status)
