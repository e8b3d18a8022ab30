"""The page in a real browser that is offline, opened as a file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from egoframe.pairs import SPLITS, read_rows
from egoframe.report.page import make_page
from tests.report.made import FLAGGED, HAND, HOSTILE, MUG, OTHER_HAND, PAIRS, VERBS

sync_api = pytest.importorskip("playwright.sync_api")
PAGE = 24  # cards
CARDS = "#grid .card"


@pytest.fixture(scope="module")
def file(dataset, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(make_page(dataset), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def page(browser, file) -> Iterator[sync_api.Page]:
    """The page, which may ask for nothing but itself, nor complain, whatever a test does to it."""
    context = browser.new_context(viewport={"width": 1240, "height": 900})
    context.set_offline(True)
    context.set_default_timeout(5000)
    page = context.new_page()
    requests, complaints = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(file)
    yield page
    assert [url for url in requests if not url.startswith("data:")] == [file]
    assert complaints == []
    context.close()


@pytest.fixture(scope="module")
def rows(dataset) -> dict[str, dict]:
    """The kept rows, by id."""
    return {r["pair_id"]: r for s in SPLITS for r in read_rows(dataset, f"{s}/00000.parquet")}


def found(page) -> int:
    """How many pairs the filters leave, as the page says."""
    told = page.locator("#found").inner_text()
    return int(re.search(r"of (\d+) pairs", told)[1]) if "of" in told else 0


def ids(page) -> list[str]:
    return page.locator(CARDS).evaluate_all("cards => cards.map(card => card.dataset.id)")


def test_totals_are_those_of_the_dataset(page, dataset):
    told = json.loads(dataset.read("report.json"))
    terms = [int(words) for words in page.locator(".sum b").all_inner_texts()]
    assert terms == [told["clips"], *told["kept"].values(), sum(told["rejected"].values())]
    assert terms[0] == sum(terms[1:])
    bars = page.locator("table.bars.verb tbody tr").all()
    kept = {
        bar.locator("th").inner_text(): int(bar.locator("td").nth(1).inner_text()) for bar in bars
    }
    assert kept == {**VERBS, "<b>take</b>": 1, "(not told)": 0}
    reasons = page.locator("table.reasons tbody tr").count()
    assert reasons == len(told["rejected"])
    assert found(page) == PAIRS


def test_a_bar_is_as_long_as_its_count(page):
    lengths = {}
    for row in page.locator("table.bars.verb tbody tr").all():
        bar = row.locator("i.kept").bounding_box()
        lengths[row.locator("th").inner_text()] = bar["width"]
    assert lengths["put"] / lengths["cut"] == pytest.approx(7 / 3, rel=0.1)


@pytest.mark.parametrize("name", ["split", "source", "verb", "noun"])
def test_every_choice_of_a_filter_leaves_those_pairs(page, rows, name):
    values = {row[name] for row in rows.values()}
    options = page.locator(f"select[name={name}] option")
    assert options.count() == len(values) + 1
    for value in values:
        page.select_option(f"select[name={name}]", f"={value}")
        wanted = {key for key, row in rows.items() if row[name] == value}
        assert found(page) == len(wanted)
        assert set(ids(page)) <= wanted
    page.click("button[type=reset]")
    sync_api.expect(page.locator("#found")).to_contain_text(f"of {PAIRS} pairs")


def test_filters_search_and_flags_work_together(page, rows):
    page.select_option("select[name=verb]", "=take")
    page.fill("input[name=text]", "GRÖSSE")
    assert found(page) == 0
    page.fill("input[name=text]", "Größe")
    assert found(page) == sum(r["verb"] == "take" and r["noun"] == "größe" for r in rows.values())
    page.fill("input[name=text]", "")
    page.check("input[name=flagged]")
    assert ids(page) == [name for name in FLAGGED if name.startswith("take")]
    page.fill("input[name=text]", "nothing like it")
    assert "No pair is like that" in page.locator("#found").inner_text()
    page.fill("input[name=text]", "whisk of take-0")
    assert ids(page) == ["take-0"]
    assert page.locator(f"{CARDS} mark").all_inner_texts() == ["whisk"]


def test_pages_hold_every_pair_once(page, rows):
    first = ids(page)
    assert len(first) == PAGE
    assert page.locator("#back").get_attribute("aria-disabled") == "true"
    page.click("#on")
    second = ids(page)
    assert sorted([*first, *second]) == sorted(rows)
    page.locator("#on").press("Enter")  # there is no further one
    assert ids(page) == second
    page.click("[data-for=back]")
    assert ids(page) == first


def test_the_dialog_is_opened_walked_and_closed_by_keyboard(page, rows):
    names = ids(page)
    button = page.locator(f"{CARDS} button").nth(1)
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.locator("dialog[open]")
    for index, key in ((1, None), (2, "ArrowRight"), (1, "ArrowLeft"), (0, "ArrowLeft")):
        if key:
            page.keyboard.press(key)
        text = dialog.inner_text()
        row = rows[names[index]]
        assert row["action"] in dialog.locator("h2").inner_text()
        assert f"{index + 1} of {PAIRS}" in text
        assert dialog.locator("dd").first.inner_text() == row["pair_id"]
        described = dialog.locator("blockquote p")
        assert described.all_inner_texts() == ([row["description"]] if row["description"] else [])
        assert f"{row['similarity']:.4g}" in text
        assert ("not annotated: " in text) == bool(row["description_flags"])
    page.keyboard.press("ArrowLeft")  # stays at the first
    assert f"1 of {PAIRS}" in dialog.inner_text()
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0
    assert button.evaluate("button => button === document.activeElement")


def test_a_rejected_clip_is_opened_with_its_reason_and_the_figure_that_is_outside(page):
    card = page.locator("#rejected .card", has=page.locator("b", has_text=re.compile(r"^-0\.9")))
    card.first.locator("button").click()
    dialog = page.locator("dialog[open]")
    assert "Rejected: scene jump." in dialog.inner_text()
    assert "similarity" in dialog.locator("dl .outside").inner_text()
    page.click("#dialog-close")
    assert page.locator("dialog[open]").count() == 0


@pytest.mark.parametrize("inside", ["grid", "dialog"])
def test_boxes_lie_where_they_were_annotated(page, inside):
    page.fill("input[name=text]", "take-0")
    scope = page.locator(f"{CARDS}[data-id=take-0]")
    if inside == "dialog":
        scope.locator("button").click()
        scope = page.locator("dialog[open]")
    for which, wanted in ((0, [HAND, MUG]), (1, [HAND, OTHER_HAND, MUG])):
        frame = scope.locator(".frame").nth(which)
        picture = frame.locator("img").bounding_box()
        boxes = frame.locator(".boxes .box").all()
        assert len(boxes) == len(wanted)
        for box, truth in zip(boxes, wanted, strict=True):
            place = box.bounding_box()
            assert place["x"] == pytest.approx(picture["x"] + truth.x0 * picture["width"], abs=0.6)
            assert place["y"] == pytest.approx(picture["y"] + truth.y0 * picture["height"], abs=0.6)
            width, height = truth.x1 - truth.x0, truth.y1 - truth.y0
            assert place["width"] == pytest.approx(width * picture["width"], abs=0.6)
            assert place["height"] == pytest.approx(height * picture["height"], abs=0.6)
            touching = "touch" in box.get_attribute("class").split()
            assert touching == (truth.in_contact is not None)
    colours = scope.locator(".frame").nth(1).locator(".boxes .box")
    borders = colours.evaluate_all("all => all.map(box => getComputedStyle(box).borderTopColor)")
    assert len(set(borders)) == 3  # a right hand, a left one and a thing
    if inside == "dialog":
        assert scope.locator(".label").first.inner_text() == "right hand → mug"


def test_boxes_are_switched_off_and_on_everywhere(page):
    page.fill("input[name=text]", "take-0")
    box = page.locator(f"{CARDS} .boxes .box").first
    assert box.is_visible()
    page.uncheck("#filters .toggle-boxes")
    assert not box.is_visible()
    page.locator(f"{CARDS} button").click()
    inside = page.locator("dialog[open] .toggle-boxes")
    assert not inside.is_checked()
    inside.check()
    page.keyboard.press("Escape")
    assert box.is_visible()
    assert page.locator("#filters .toggle-boxes").is_checked()


def test_hostile_text_is_shown_and_never_runs(page):
    page.fill("input[name=text]", "hostile")
    page.wait_for_selector(f"{CARDS}[data-id=hostile]")
    assert page.locator(f"{CARDS} .action").inner_text() == HOSTILE.lower()
    page.locator(f"{CARDS} button").click()
    assert HOSTILE in page.locator("dialog[open] dl").first.inner_text()
    assert page.locator("dialog[open] .label").inner_text() == "<i>mug</i>"
    assert page.locator("script").count() == 2
    assert page.evaluate("window.ran") is None
    assert page.locator("img:not([src^='data:image/jpeg;base64,'])").count() == 0


def test_every_picture_is_whole(page):
    broken = page.locator("img").evaluate_all(
        "all => Promise.all(all.map(i => i.decode().then(() => i.naturalWidth, () => 0)))"
    )
    assert len(broken) > 2 * PAGE
    assert set(broken) == {64}


@pytest.mark.parametrize("width", [320, 380, 800])
def test_no_width_scrolls_sideways(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    wide = "[document.documentElement.scrollWidth, window.innerWidth]"
    assert page.evaluate(wide) == [width, width]
    page.fill("input[name=text]", "hostile")
    assert page.evaluate(wide) == [width, width]
    page.locator(f"{CARDS} button").click()
    dialog = page.locator("dialog[open]").bounding_box()
    assert dialog["x"] >= 0
    assert dialog["x"] + dialog["width"] <= width
    assert page.locator("dialog").evaluate("d => d.scrollWidth <= d.clientWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_light_and_dark(page, scheme):
    """Contrast of at least 4.5 to 1, as WCAG 2.2 asks for (1.4.3)."""
    page.emulate_media(color_scheme=scheme)
    page.check("input[name=flagged]")
    for place in ("h1", ".quiet", ".lead", "nav a", ".check", "svg text", "svg .name", ".flags",
                  ".description", ".card .figures", "thead th", "summary, .none"):  # fmt: skip
        colour = page.locator(place).first.evaluate(
            "(e) => { const s = getComputedStyle(e); return e.closest('svg') ? s.fill : s.color }"
        )
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert contrast(colour, ground) >= 4.5, (place, colour, ground)


def test_on_paper_it_is_dark_on_white_whatever_the_screen(page):
    page.emulate_media(media="print", color_scheme="dark")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light only"
    assert contrast(page.evaluate("getComputedStyle(document.body).color"), ground) > 10
    assert not page.locator("nav").is_visible()
    assert page.locator(CARDS).first.is_visible()


def contrast(first: str, second: str) -> float:
    light = sorted(luminance(colour) for colour in (first, second))
    return (light[1] + 0.05) / (light[0] + 0.05)


def luminance(colour: str) -> float:
    shares = [int(v) / 255 for v in re.findall(r"\d+", colour)[:3]]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
