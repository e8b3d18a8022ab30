"""The page in a real browser, with the default model: seconds from a click to what it shows, and
screenshots.

    python -m benchmarks.page --out docs/results/page.json --pictures docs/images

`egoframe serve` is a process of its own, one thread for torch; a headless Chromium clicks the first
example of each tab. The first picture of all is timed in a server that has drawn nothing yet.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from benchmarks.serving import Server

WIDE, PHONE = {"width": 1180, "height": 900}, {"width": 390, "height": 844}
PATIENCE = 120_000  # milliseconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--pictures", type=Path, help="a folder for the screenshots")
    arguments = parser.parse_args()
    told: dict[str, Any] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "complaints": [],
    }
    server = Server()
    try:
        with sync_playwright() as playwright:
            path = shutil.which("chromium-headless-shell") or shutil.which("chromium")
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
            for name, size in (("wide", WIDE), ("phone", PHONE)):
                page = browser.new_context(viewport=size, has_touch=name == "phone").new_page()
                page.set_default_timeout(PATIENCE)
                page.on("console", lambda said: hear(said, told["complaints"]))
                page.goto(server.url)
                expect(page.locator("#draw")).to_be_visible(timeout=PATIENCE)
                told[name] = visit(page, shoot(page, arguments.pictures, name))
            browser.close()
    finally:
        told["exit_status"] = server.stop()
    text = json.dumps(told, indent=1)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")


def visit(page: Page, shot: Callable[[str], None]) -> dict[str, float]:
    """Click the first example of each tab; seconds until it is done."""
    taken = {"first_picture": click(page, "#examples", "#status", "Done")}
    page.locator("#status").scroll_into_view_if_needed()
    shot("serve")
    taken["another_picture"] = click(page, "#examples", "#status", "Done", 1)
    page.get_by_role("tab", name="What next?").click()
    taken["next_actions_drawn"] = click(page, "#next-examples", "#next-pictures", "")
    shot("serve-next")
    page.get_by_role("tab", name="Storyboard").click()
    taken["storyboard"] = click(page, "#task-examples", "#redraw-steps", "")
    shot("serve-storyboard")
    return taken


def click(page: Page, examples: str, watched: str, words: str, number: int = 0) -> float:
    """Click an example, and wait until `watched` is seen and says `words`."""
    example = page.locator(f"{examples} button").nth(number)
    expect(example).to_be_visible(timeout=PATIENCE)
    started = time.monotonic()
    example.click()
    if number:  # the last one's words are still there
        expect(page.locator(watched)).not_to_contain_text(words, timeout=PATIENCE)
    expect(page.locator(watched)).to_be_visible(timeout=PATIENCE)
    expect(page.locator(watched)).to_contain_text(words, timeout=PATIENCE)
    return round(time.monotonic() - started, 2)


def shoot(page: Page, folder: Path | None, name: str) -> Callable[[str], None]:
    def shot(of: str) -> None:
        if folder is None:
            return
        page.wait_for_timeout(1500)  # pictures fade in
        with Image.open(io.BytesIO(page.screenshot(full_page=True))) as picture:
            ending = "" if name == "wide" else f"-{name}"
            picture.convert("RGB").save(folder / f"{of}{ending}.jpg", quality=82)

    return shot


def hear(said: Any, complaints: list[str]) -> None:
    if said.text != "Method not implemented.":  # Gradio's client, when an upload's progress ends
        complaints.append(f"{said.type}: {said.text}")


if __name__ == "__main__":
    main()
