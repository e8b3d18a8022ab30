import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("LP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")  # read when Ray is imported

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real annotations and clips that lie beside some checkouts."""
    if not (SHARED / "data").is_dir():
        pytest.skip("the shared test data are not beside this checkout")
    return SHARED / "data"


@pytest.fixture(scope="session")
def renderer_available() -> None:
    """Skips where no offscreen OpenGL can be had."""
    from egoframe.simulator.render import unavailable

    reason = unavailable()
    if reason:
        pytest.skip(reason)


@pytest.fixture
def ray() -> Iterator[Any]:
    """Ray, which is ended after the test."""
    ray = pytest.importorskip("ray")
    yield ray
    ray.shutdown()


@pytest.fixture(scope="module")  # no longer: its event loop would be in other tests' way
def browser() -> Iterator[Any]:
    """A headless Chromium; skips where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api")
    path = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    if path is None:
        pytest.skip("no chromium-headless-shell or chromium to open pages with")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()
