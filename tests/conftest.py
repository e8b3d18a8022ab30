import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("LP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

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
    from egoframe.kitchen.render import unavailable

    reason = unavailable()
    if reason:
        pytest.skip(reason)
