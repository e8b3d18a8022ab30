"""The notebook runs from top to bottom, cell by cell, as it was committed: without outputs."""

import ast
import json
import warnings
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[1] / "examples" / "quickstart.ipynb"
CELLS = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]


def run_cell(source: str, names: dict[str, Any]) -> Any:
    """Run a cell; what it shows is the value of its last line, where that is an expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    return last and eval(compile(ast.Expression(last.value), "cell", "eval"), names)


def test_it_holds_no_outputs_and_only_links_that_lead_somewhere():
    for cell in CELLS:
        text = "".join(cell["source"])
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
        for part in text.split("](")[1:] if cell["cell_type"] == "markdown" else ():
            assert (NOTEBOOK.parent / part.partition(")")[0]).exists()


@pytest.mark.slow
def test_it_runs_on_a_cpu_and_every_cell_shows_something(monkeypatch):
    from egoframe.simulator.render import unavailable

    monkeypatch.chdir(NOTEBOOK.parent)
    before = sorted(NOTEBOOK.parent.iterdir())
    names: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of libraries
        shown = [run_cell("".join(c["source"]), names) for c in CELLS if c["cell_type"] == "code"]
    assert all(shown)
    assert sum(hasattr(one, "_repr_png_") for one in shown) == len(shown) - 2
    assert shown[1].tobytes() == names["several"][0].tobytes()  # seed 0 again
    if unavailable() is None:
        assert {"kitchen", "copy of the input"} <= shown[-1].keys()
        assert shown[-1]["kitchen"]
    assert sorted(NOTEBOOK.parent.iterdir()) == before
