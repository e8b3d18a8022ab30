import re
from pathlib import Path

import numpy as np
import pytest

from egoframe.evaluation.evaluate import Request, evaluate
from egoframe.evaluation.report.gallery import ranked
from egoframe.evaluation.report.scatter import scatter
from tests.evaluation.drawn import write_dataset, write_pictures


def test_best_middling_and_worst_are_ranked_once_each():
    values = np.array([5.0, np.nan, 9, 1, 7, 3, 8, 2, 6, 4])
    told = ranked(values)
    assert [values[k] for k in told["best"]] == [9, 8, 7]
    assert [values[k] for k in told["median"]] == [6, 5, 4]
    assert [values[k] for k in told["worst"]] == [3, 2, 1]


def test_points_lie_above_the_line_where_the_second_is_better():
    drawing = scatter(
        np.array([1.0, 2, np.nan]), np.array([3.0, 1, 1]), ("a", "b"), ["x", "y", "z"]
    )
    places = [tuple(map(float, found)) for found in re.findall(r"cx=([\d.]+) cy=([\d.]+)", drawing)]
    assert len(places) == 2
    side = 300
    above = [side - y > x for x, y in places]
    assert above == [True, False]
    assert "z" not in drawing


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    write_dataset(folder / "pairs")
    subjects = {name: str(write_pictures(folder / name, blur=k)) for name, k in
                (("ours", 3), ("theirs", 8))}  # fmt: skip
    asked = Request(str(folder / "pairs"), subjects, metrics=("pixels",))
    evaluate(asked, folder / "out", workers=1)
    return folder / "out" / "report.html"


@pytest.mark.parametrize("width", [1200, 390])
def test_the_page_opens_without_complaints_on_wide_and_narrow_screens(browser, page, width):
    view = browser.new_page(viewport={"width": width, "height": 900})
    complaints: list[str] = []
    view.on("console", lambda message: complaints.append(message.text))
    view.on("pageerror", lambda error: complaints.append(str(error)))
    view.goto(page.as_uri())
    assert complaints == []
    assert view.locator("#figures tbody tr, #figures table > tr").count() == 5
    assert view.locator("#pictures img").count() == 2 * 3 * 12
    view.locator("#pictures").scroll_into_view_if_needed()
    assert view.evaluate("document.querySelector('#pictures img').naturalWidth") == 48
    assert view.locator("#scatter svg").count() == 3
    assert view.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    view.close()
