"""The page: static parts, examples as JSON, one style and one script, in a single file.

It asks nobody for anything: its content security policy allows pictures inside the page and the
one script whose hash it names, nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import asdict
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from egoframe.report import sections
from egoframe.report.examples import read_examples
from egoframe.report.facts import read_facts
from egoframe.storage import Folder


def make_page(folder: Folder, pairs: int = 200, seed: int = 0) -> str:
    """The report of a dataset as HTML; the same dataset and seed give the same text.

    Arguments:
        pairs: how many to show, evenly over verbs and nouns.
        seed: of which are shown.
    Raises:
        UserError: it is no finished dataset, or a file of it cannot be read.
    """
    facts = read_facts(folder, pairs, seed)
    examples = read_examples(folder, facts)
    script = _file("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    rules = [asdict(rule) | {"rule": rule.rule} for rule in facts.thresholds]
    return Template(_file("page.html")).substitute(
        policy=f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
        name=escape(_name(folder)),
        style=_file("page.css"),
        script=script,
        data=_inert({"items": examples.items, "sample": examples.sample, "rules": rules}),
        head=sections.head(facts),
        counts=sections.counts(facts),
        dropped=sections.dropped(facts),
        figures=sections.figures(facts),
        shown=f"{len(examples.sample):,}",
        pairs=f"{facts.pairs:,}",
        seed=str(seed),
        near=sections.near(facts, examples.pairs, examples.clips),
        gallery=sections.gallery(facts, examples.clips),
    )


def _name(folder: Folder) -> str:
    """The dataset's own folder, not where it lies."""
    return folder.path().rstrip("/").rpartition("/")[2] or str(folder)


def _inert(value: Any) -> str:
    """JSON in which no text can end the element around it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _file(name: str) -> str:
    return files("egoframe.report").joinpath(name).read_text(encoding="utf-8")
