import pytest
from fsspec.implementations.memory import MemoryFileSystem

from egoframe.errors import UserError
from egoframe.storage import Folder


@pytest.fixture(params=["here", "memory", "chained"])
def folder(request, tmp_path) -> Folder:
    MemoryFileSystem.store.clear()
    chained = f"dir::file://{tmp_path / 'chained'}"
    return Folder(
        {"here": tmp_path / "a b", "memory": "memory://some/where"}.get(request.param, chained)
    )


def test_what_is_written_is_read(folder):
    assert not folder.exists()
    folder.write("train/1.bin", b"one")
    folder.write("train/0.txt", "null")
    folder.write("card.md", "é")
    assert folder.exists()
    assert folder.read("train/1.bin") == b"one"
    assert folder.read("card.md").decode() == "é"
    assert folder.names("train/*") == ["train/0.txt", "train/1.bin"]
    assert folder.names("*.md") == ["card.md"]
    with folder.open("train/1.bin") as file:
        file.seek(1)
        assert file.read() == b"ne"
    again = Folder(folder.link())
    assert again.read("train/1.bin") == b"one"
    folder.delete("train")
    folder.delete("train")
    assert folder.names("train/*") == []


def test_a_file_is_whole_or_as_it_was(folder):
    folder.write("a.bin", b"before")

    def write_half() -> None:
        with folder.writing("a.bin") as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert folder.read("a.bin") == b"before"
    assert folder.names("*") == ["a.bin"]


def test_what_cannot_be_read_or_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/b: cannot be written \(Not a directory|File exists"):
        Folder(tmp_path / "file").write("b", b"")
    with pytest.raises(UserError, match=r"a: cannot be read \(No such file"):
        Folder(tmp_path).read("a")


@pytest.mark.parametrize("url", ["nosuch://bucket/pairs", "gs://bucket/pairs"])
def test_a_url_that_cannot_be_opened_is_said(url):
    with pytest.raises(UserError, match=f"^{url}: "):
        Folder(url)
