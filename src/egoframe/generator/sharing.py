"""Models are saved and pushed with all that others need: what they know, their card, and the file
by which diffusers opens them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from diffusers.pipelines.pipeline_utils import DiffusionPipeline

from egoframe.errors import UserError
from egoframe.generator import familiarity
from egoframe.generator.card import CARD, model_card, read_object
from egoframe.images import write_bytes
from egoframe.models import FILES
from egoframe.push import Pushed, push_files

CUSTOM = "pipeline.py"  # diffusers' name for it
CUSTOM_TEXT = '''\
"""Lets diffusers open this model, where egoframe is installed (pip install egoframe):

DiffusionPipeline.from_pretrained(MODEL, custom_pipeline=MODEL, trust_remote_code=True)
"""

from egoframe import ActionFramePipeline  # noqa: F401
'''


class SharedPipeline(DiffusionPipeline):
    """A pipeline of diffusers that takes along what came with it, where it is saved or pushed."""

    familiarity: familiarity.Familiarity | None = None  # set by `egoframe.load`, where there is one

    def save_pretrained(self, save_directory: str | os.PathLike, *args: Any, **kwargs: Any) -> None:
        """Write the model, in diffusers' layout, to a folder that `egoframe.load` and diffusers'
        `from_pretrained` open; what came with it, card included, stays with it.

        Arguments:
            args, kwargs: those of diffusers. With `push_to_hub=True` it is pushed too, to
                `repo_id`, which is the folder's name by default.
        """
        push = kwargs.pop("push_to_hub", False)
        names = ("repo_id", "commit_message", "private", "token")
        sending = {name: kwargs.pop(name) for name in names if name in kwargs}
        super().save_pretrained(save_directory, *args, **kwargs)
        folder = Path(save_directory)
        write_bytes(folder / CUSTOM, CUSTOM_TEXT.encode())
        if self.familiarity is not None:
            familiarity.save(self.familiarity, folder)
        card = Path(self.name_or_path or "") / CARD
        if self.name_or_path and card.is_file() and not (folder / CARD).exists():
            write_bytes(folder / CARD, card.read_bytes())
        if push:
            push_model(folder, **{"repo_id": folder.name} | sending)

    def push_to_hub(  # type: ignore[override]  # it needs no more of diffusers' arguments
        self,
        repo_id: str,
        commit_message: str | None = None,
        private: bool | None = None,
        token: str | None = None,
    ) -> str:
        """Save the model and push it to the Hugging Face hub, with a card where there is none yet.

        Arguments:
            repo_id: such as "me/model"; made where there is none.
            private: nobody else may see it.
            token: of the hub; that of `hf auth login` by default.
        Returns:
            The repository's address.
        Raises:
            UserError: the hub cannot be used; what was sent is kept there for the next call.
        """
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            return push_model(Path(folder), repo_id, commit_message, private, token).url


def push_model(
    folder: Path,
    repo_id: str,
    commit_message: str | None = None,
    private: bool | None = None,
    token: str | None = None,
) -> Pushed:
    """Make a repository hold the files of a model's folder; what is there already is not sent.

    A card, and the files by which diffusers opens a model of the hub, are made where neither the
    folder nor the repository has them. The repository's other files are left alone.

    Raises:
        UserError: a file cannot be read, or the hub cannot be used; what was sent is kept there for
            the next call.
    """
    if not (folder / "model_index.json").exists():
        raise UserError(f"{folder}: no model_index.json here; give a folder in diffusers' layout")
    found = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and any(fnmatch(path.name, kind) for kind in (*FILES, CUSTOM))
    }
    index = read_object(folder / "model_index.json")
    made = {CUSTOM: CUSTOM_TEXT, **_part_files(index), CARD: ""}
    if CARD not in found:
        made[CARD] = model_card(folder, repo_id)
    return push_files(
        folder,
        sorted(found),
        repo_id,
        "model",
        commit_message or "Push model",
        private=bool(private),
        lacking={path: text.encode() for path, text in made.items() if path not in found},
        token=token,
    )


def _part_files(index: Mapping[str, Any]) -> dict[str, str]:
    """For parts of ours the files that diffusers looks for before it downloads a model (0.42.1).

    In a folder here they would be in the way: `from_pretrained` would ask for trust before it uses
    what is imported anyway.
    """
    return {
        f"{part}/{kind[0]}.py": f"from {kind[0]} import {kind[1]}  # noqa: F401\n"
        for part, kind in index.items()
        if isinstance(kind, list) and str(kind[0]).startswith("egoframe.")
    }
