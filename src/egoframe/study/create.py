"""A study of what models drew of a dataset's pairs, or of the dataset's descriptions.

The folder, `study.json` and `pictures`, is whole or absent. A check of pictures shows the true
action frame beside those of unrelated pairs: another action on another thing in another video. One
of descriptions has the text of such a pair, which does not fit, or no more than names the action,
which does.
"""

from __future__ import annotations

import os
import random
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from egoframe.errors import UserError
from egoframe.images import save_png
from egoframe.pictures import choose_pairs, find_pictures
from egoframe.study.album import COLUMNS, Album
from egoframe.study.design import (
    CONSENT,
    PICTURES,
    Kind,
    Question,
    Study,
    check_models,
    groups_of,
    question_id,
    save_study,
)

EACH = 30  # questions of a rater where nobody says how many: ten minutes
POOL = 4  # times as many checks as a rater is shown
TOLD = ("pair_id", "video_id", "action", "verb", "noun", "description")
ANSWERS = {"yes": "", "no": ""}  # of alignment; they are no pictures
RIGHT = "the action"  # of a check of pictures


@dataclass(frozen=True)
class _Pair:
    """What is told of a pair."""

    place: int  # in the split
    pair_id: str
    video_id: str
    action: str
    verb: str
    noun: str
    description: str | None

    def unrelated(self, other: _Pair) -> bool:
        return (
            self.verb != other.verb and self.noun != other.noun and self.video_id != other.video_id
        )


def create_study(
    out: Path,
    dataset: str,
    drawn: Mapping[str, Path],
    kind: Kind,
    split: str = "validation",
    pairs: int | None = None,
    each: int | None = None,
    checks: int = 6,
    seed: int = 0,
    advance: Callable[[int, int], Any] = lambda done, total: None,
) -> Study:
    """Make a study in a new folder.

    Arguments:
        drawn: by model, the folder of its pictures, see `egoframe.pictures`; none in alignment.
        pairs: how many are asked about, those that `generate-set` chooses by the same seed; all
            where not given.
        each: questions of a rater; 30 at most where not given.
        checks: that a rater is shown besides.
        advance: told how many of how many pictures are written.
    Raises:
        UserError: the folder is there already, or dataset and pictures make no study.
    """
    if out.exists():
        raise UserError(f"{out}: is there already; give a new folder")
    check_models(kind, tuple(drawn))
    frames = choose_pairs(dataset, split, sys.maxsize, seed)  # all, in the order of choice
    told = frames.select_columns(list(TOLD))
    known = [_Pair(place, **row) for place, row in enumerate(told.to_list())]
    asked = _asked(known, kind, pairs, f"{dataset}: the {split} split")
    album = Album(frames, dataset)
    questions = tuple(_questions(asked, known, drawn, kind, album))
    chosen = set(asked)
    others_first = [pair for pair in known if pair not in chosen] + asked
    options = len(questions[0].options)
    pool = tuple(islice(_checks(others_first, kind, options, seed, album), POOL * checks))
    each = min(EACH, len(questions)) if each is None else each
    if len(pool) < checks:
        raise UserError(
            f"--checks {checks}: the {split} split has {len(pool)} pairs with enough others of "
            "another verb, noun and video to tell them from; --checks 0 does without"
        )
    made = Study(
        kind=kind,
        models=tuple(drawn),
        questions=questions,
        checks=pool,
        each=each,
        checks_each=checks,
        seed=seed,
        consent=CONSENT[kind].format(count=each + checks),
    )
    _write(out, made, album, advance)
    return made


def _asked(known: list[_Pair], kind: Kind, pairs: int | None, where: str) -> list[_Pair]:
    """The pairs that are asked about."""
    described = [pair for pair in known if pair.description]
    if kind == "alignment" and not described:
        raise UserError(f"{where} has no descriptions; write them with `egoframe describe`")
    fit = described if kind == "alignment" else known
    if pairs is not None and pairs > len(fit):
        raise UserError(f"--pairs {pairs}: {where} has {len(fit)} that can be asked about")
    return fit[:pairs]


def _questions(
    asked: Sequence[_Pair],
    known: Sequence[_Pair],
    drawn: Mapping[str, Path],
    kind: Kind,
    album: Album,
) -> Iterator[Question]:
    if kind == "alignment":
        for pair in asked:
            yield _of_text(
                pair,
                question_id(album.secret, pair.pair_id, tuple(ANSWERS)),
                pair.description,
                album,
            )
        return
    ids, all_ids = ([pair.pair_id for pair in pairs] for pairs in (asked, known))
    found = {model: find_pictures(folder, ids, all_ids) for model, folder in drawn.items()}
    for place, pair in enumerate(asked):
        for group in groups_of(kind, tuple(drawn)):
            options = {model: album.drawing(found[model][place]) for model in group}
            yield _of_pictures(pair, question_id(album.secret, pair.pair_id, group), options, album)


def _checks(
    pairs: Sequence[_Pair], kind: Kind, options: int, seed: int, album: Album
) -> Iterator[Question]:
    """A check of each pair that has enough unrelated ones: as many options as questions have."""
    draw = random.Random(f"{seed} checks")
    fits = False
    for pair in pairs:
        others = [other for other in pairs if pair.unrelated(other)]
        if kind == "alignment":
            others = [other for other in others if other.description]
        if len(others) < options - 1:
            continue
        shown = draw.sample(others, options - 1)
        name = question_id(album.secret, pair.pair_id, [RIGHT, *(other.pair_id for other in shown)])
        if kind == "alignment":
            text = f"{pair.action.capitalize()}." if fits else shown[0].description
            yield _of_text(pair, name, text, album, right="yes" if fits else "no")
            fits = not fits
        else:
            frames = {RIGHT: pair} | {f"another {k}": other for k, other in enumerate(shown, 1)}
            pictures = {
                told: album.frame(one.place, "action_frame", name) for told, one in frames.items()
            }
            yield _of_pictures(pair, name, pictures, album, right=RIGHT)


def _of_pictures(
    pair: _Pair, name: str, options: dict[str, str], album: Album, right: str | None = None
) -> Question:
    photo = album.frame(pair.place, "input_frame")
    return Question(name, pair.pair_id, pair.action, pair.verb, photo, options, right=right)


def _of_text(
    pair: _Pair, name: str, text: str | None, album: Album, right: str | None = None
) -> Question:
    photo, frame = (album.frame(pair.place, column) for column in COLUMNS)
    return Question(
        name, pair.pair_id, pair.action, pair.verb, photo, ANSWERS, text or "", frame, right
    )


def _write(out: Path, study: Study, album: Album, advance: Callable[[int, int], Any]) -> None:
    writing = out.with_name(f".{out.name}.{secrets.token_hex(4)}")
    try:
        (writing / PICTURES).mkdir(parents=True)
        for done, (name, picture) in enumerate(album.pictures(), 1):
            save_png(picture, writing / PICTURES / name, {})
            advance(done, len(album.wanted))
        save_study(study, writing)
        os.replace(writing, out)
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror})") from None
    finally:
        shutil.rmtree(writing, ignore_errors=True)
