import pytest

from egoframe.storage import Folder
from tests.report.made import write_dataset


@pytest.fixture(scope="session")
def dataset(tmp_path_factory) -> Folder:
    """A dataset of hand-made clips, see `made`; tests only read it."""
    return write_dataset(tmp_path_factory.mktemp("frames"), tmp_path_factory.mktemp("made") / "a&b")
