"""The page in a real browser: taps, keys, a reload in the middle, a phone, a lost server."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import uvicorn
from PIL import Image

from egoframe.study.design import Study, assigned
from egoframe.study.server import create_app
from egoframe.study.store import Store
from tests.study.test_design import question, study

sync_api = pytest.importorskip("playwright.sync_api")
EACH = 8  # questions, checks among them


class Served:
    """A study on loopback."""

    def __init__(self, made: Study, folder: Path) -> None:
        self.study, self.store, self.folder = made, Store(folder / "answers.db"), folder
        (folder / "pictures").mkdir()
        for k, asked in enumerate((*self.study.questions, *self.study.checks)):
            for name in (asked.photo, asked.frame, *asked.options.values()):
                if name:
                    picture = Image.new("RGB", (128, 128), (40 + 8 * k, 90, 160))
                    picture.save(folder / "pictures" / name)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.start()

    def start(self) -> None:
        app = create_app(self.study, self.folder, self.store)
        told = uvicorn.Config(app, port=self.port, log_level="error")
        self.server = uvicorn.Server(told)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(20)

    def link(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/s/{self.store.invite([name])[name]}"


@pytest.fixture
def serve(tmp_path) -> Iterator[Callable[[Study], Served]]:
    running: list[Served] = []

    def start(made: Study) -> Served:
        running.append(Served(made, tmp_path))
        return running[-1]

    yield start
    for one in running:
        one.stop()


@pytest.fixture
def served(serve) -> Served:
    return serve(study())


def opened(browser, link: str, **settings) -> tuple[sync_api.Page, list[str]]:
    context = browser.new_context(**settings)
    context.set_default_timeout(10_000)
    page, complaints = context.new_page(), []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(link)
    return page, complaints


def done(page, count: int) -> None:
    sync_api.expect(page.locator("#progress")).to_have_js_property("value", count)
    sync_api.expect(page.locator("#controls")).to_have_js_property("disabled", False)


def test_by_taps_reload_and_keys_to_the_end(browser, served):
    page, complaints = opened(browser, served.link("ada"))
    sync_api.expect(page.locator("#consent-text")).to_have_text(served.study.consent)
    page.get_by_role("button", name="I agree").click()
    done(page, 0)
    page.locator("#options button").nth(1).click()
    done(page, 1)
    page.reload()
    done(page, 1)
    for count in range(2, EACH + 1):
        page.keyboard.press("102"[count % 3])
        done(page, count)
    sync_api.expect(page.get_by_text("Thank you!")).to_be_visible()
    expected = {}
    for k, shown in enumerate(assigned(served.study, 0)):
        place = 1 if k == 0 else (0, None, 1)[(k + 1) % 3]
        expected[shown.question.id] = None if place is None else shown.order[place]
    assert {a.question: a.chosen for a in served.store.answers()} == expected
    assert all(a.seconds < 60 for a in served.store.answers())
    assert complaints == []
    page.context.close()


def test_it_fits_a_phone(browser, served):
    page, complaints = opened(
        browser, served.link("bob"), viewport={"width": 360, "height": 740}, has_touch=True
    )
    page.get_by_role("button", name="I agree").tap()
    done(page, 0)
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 360
    boxes = [page.locator("#options button").nth(k).bounding_box() for k in range(2)]
    assert all(box["y"] + box["height"] <= 740 and box["width"] > 120 for box in boxes)
    page.locator("#tie").tap()
    done(page, 1)
    assert complaints == []
    page.context.close()


def test_four_pictures_fit_a_phone_too(browser, serve):
    served = serve(study("choice", pairs=6, models=("a", "b", "c", "d")))
    page, complaints = opened(
        browser, served.link("bob"), viewport={"width": 390, "height": 844}, has_touch=True
    )
    page.get_by_role("button", name="I agree").tap()
    done(page, 0)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    last = page.locator("#options button").last
    box = last.bounding_box()
    assert box["y"] + box["height"] <= 844
    assert box["width"] > 150
    last.tap()
    done(page, 1)
    sync_api.expect(page.locator("#tie")).to_be_hidden()
    assert complaints == []
    page.context.close()


def test_by_the_keyboard_alone(browser, served):
    page, complaints = opened(browser, served.link("kim"))
    sync_api.expect(page.get_by_role("button", name="I agree")).to_be_enabled()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    sync_api.expect(page.locator("#question")).to_be_visible()
    done(page, 0)
    page.keyboard.press("9")  # no picture has it
    page.keyboard.press("Control+1")  # the browser's
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    done(page, 1)
    (answer,) = served.store.answers()
    assert answer.chosen == answer.shown[1]
    assert complaints == []
    page.context.close()


def test_a_double_click_answers_one_question(browser, served):
    page, _ = opened(browser, served.link("joe"))
    page.get_by_role("button", name="I agree").click()
    done(page, 0)
    box = page.locator("#options button").first.bounding_box()
    page.mouse.move(box["x"] + 50, box["y"] + 50)
    for click in (1, 2):
        page.mouse.down(click_count=click)
        page.mouse.up(click_count=click)
        done(page, 1)  # the next question stands there for the second click
    assert len(served.store.answers()) == 1
    page.context.close()


def test_whether_a_text_fits(browser, serve):
    asked = [
        replace(question(f"p{k}", ("yes", "no")), options={"yes": "", "no": ""},
                text=f"The hand opens drawer {k}.", frame=f"frame{k}.png")
        for k in range(4)
    ]  # fmt: skip
    served = serve(Study("alignment", (), tuple(asked), (), 4, 0, 0, "Do you agree?"))
    page, complaints = opened(browser, served.link("ada"))
    page.get_by_role("button", name="I agree").click()
    for count, (key, shown) in enumerate(zip("1212", assigned(served.study, 0), strict=True)):
        done(page, count)
        sync_api.expect(page.locator("#text")).to_have_text(shown.question.text)
        sync_api.expect(page.locator("#frame")).to_be_visible()
        sync_api.expect(page.locator("#action")).to_be_hidden()
        page.keyboard.press(key)
    done(page, 4)
    assert [a.chosen for a in served.store.answers()] == ["yes", "no", "yes", "no"]
    assert complaints == []
    page.context.close()


def test_nobody_judges_a_picture_that_is_missing(browser, served):
    first = assigned(served.study, 0)[0].question
    path = served.folder / "pictures" / first.options[next(iter(first.options))]
    kept = path.read_bytes()
    path.unlink()
    page, _ = opened(browser, served.link("eve"))
    page.get_by_role("button", name="I agree").click()
    sync_api.expect(page.get_by_role("alert")).to_contain_text("A picture is missing")
    sync_api.expect(page.locator("#options button").first).to_be_disabled()
    page.keyboard.press("1")
    assert served.store.answers() == []
    path.write_bytes(kept)
    sync_api.expect(page.get_by_role("alert")).to_be_hidden()
    page.keyboard.press("1")
    done(page, 1)
    page.context.close()


def test_a_lost_server_loses_no_answer(browser, served):
    page, _ = opened(browser, served.link("eve"))
    page.get_by_role("button", name="I agree").click()
    done(page, 0)
    served.stop()
    page.keyboard.press("1")
    sync_api.expect(page.get_by_role("alert")).to_contain_text("trying again")
    served.start()
    done(page, 1)
    sync_api.expect(page.get_by_role("alert")).to_be_hidden()
    assert len(served.store.answers()) == 1
    page.context.close()


def test_a_wrong_link_is_told(browser, served):
    page, _ = opened(browser, f"http://127.0.0.1:{served.port}/s/forged")
    sync_api.expect(page.get_by_text("This link is not valid")).to_be_visible()
    page.context.close()
