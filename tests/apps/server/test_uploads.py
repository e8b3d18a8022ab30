"""Photos of every kind, by the interface and by the page: checked alike, nothing left behind."""

import io
import tempfile
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from egoframe.apps.server.settings import Settings
from egoframe.images import Limits
from tests.apps.server.fakes import fake_app, photo, wait_until
from tests.apps.server.mutations import chunk, encoded, mutated, png_of
from tests.apps.server.test_routes import FRAMES, form, png, problem

SETTINGS = Settings(photo=Limits(bytes=400_000, pixels=1_000_000, side=3000), photo_side=256)
UPLOAD = "/gradio_api/upload"


@pytest.fixture(scope="module")
def served_from(tmp_path_factory):
    """A client, and the only folder in which the server may write."""
    folder = tmp_path_factory.mktemp("temporary")
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    app = fake_app(settings=SETTINGS)[0]
    with TestClient(app, raise_server_exceptions=False) as client:
        wait_until(lambda: client.get("/readyz").status_code == 200)
        yield client, folder
    tempfile.tempdir = before
    assert list(folder.iterdir()) == []  # the folder goes with the server


@pytest.fixture
def client(served_from):
    return served_from[0]


def drawn(client, data: bytes, name: str = "photo.jpg") -> Image.Image:
    """The photo as the drawer saw it."""
    answer = client.post(
        FRAMES, **form(data, name, action="open drawer"), headers={"Accept": "image/png"}
    )
    assert answer.status_code == 200, answer.text
    with Image.open(io.BytesIO(answer.content)) as picture:
        return picture.convert("RGB").rotate(180)


def cmyk() -> bytes:
    file = io.BytesIO()
    photo().convert("CMYK").save(file, "JPEG")
    return file.getvalue()


def animated() -> bytes:
    file = io.BytesIO()
    photo().save(file, "WEBP", save_all=True, append_images=[photo((0, 0, 0))], lossless=True)
    return file.getvalue()


@pytest.mark.parametrize("data", [encoded(k) for k in ("JPEG", "PNG", "WEBP")] + [cmyk()])
def test_what_is_taken(client, data):
    assert drawn(client, data).size in ((40, 30), (64, 48))


def test_of_an_animation_the_first_picture_counts(client):
    assert drawn(client, animated()).tobytes() == photo().tobytes()


def test_a_photo_is_turned_upright_and_loses_its_metadata(client):
    exif = Image.Exif()
    exif[274], exif[270] = 6, "the owner's address"
    exif.get_ifd(0x8825)[2] = (50.0, 1.0, 2.0)
    file = io.BytesIO()
    photo(size=(64, 48)).save(file, "JPEG", exif=exif, quality=95)
    assert drawn(client, file.getvalue()).size == (48, 64)
    (path,) = client.post(UPLOAD, files={"files": ("p.jpg", file.getvalue())}).json()
    kept = Path(path).read_bytes()
    with Image.open(io.BytesIO(kept)) as picture:
        assert (picture.format, picture.size, dict(picture.getexif())) == ("PNG", (48, 64), {})
    assert b"address" not in kept


def test_a_long_photo_is_averaged_down(client):
    assert drawn(client, encoded("PNG", (900, 600))).size == (225, 150)


BAD = {
    "nothing": (b"", "is empty"),
    "text": (b"hello", "is not a JPEG, PNG or WebP picture"),
    "gif": (encoded("GIF"), "is not a JPEG, PNG or WebP picture"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is not a JPEG"),
    "truncated": (encoded("JPEG")[:500], "is damaged"),
    "bomb": (png_of(60_000, 60_000), "too many pixels"),
    "larger": (png_of(1200, 1000), "too many pixels"),
    "long": (png_of(10_000, 10), "is too long"),
    "page before": (b"<html>" + encoded("PNG"), "is not a JPEG"),
    "bytes": (encoded("PNG") + bytes(410_000), "larger than"),
    "text bomb": (
        png_of(8, 8)[:33] + chunk(b"iTXt", b"a\0\1\0\0\0" + bytes(9)) + png_of(8, 8)[33:],
        "is damaged",
    ),
}


@pytest.mark.parametrize(("data", "words"), BAD.values(), ids=BAD)
def test_what_is_not_taken(client, data, words):
    told = problem(client.post(FRAMES, **form(data, "holiday.jpg", action="open drawer")), 422)
    assert words in told
    assert told.startswith("holiday.jpg: ")
    answer = client.post(UPLOAD, files={"files": ("holiday.jpg", data)})
    assert (answer.status_code, answer.text) == (422, told)


def test_a_request_without_end_is_cut_off(client):
    big = form(bytes(SETTINGS.body + 1), action="open drawer")
    assert "too large" in problem(client.post(FRAMES, **big), 413)

    def endless():
        yield b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
        for _ in range(100):
            yield bytes(2**16)

    sent = {"content": endless(), "headers": {"Content-Type": "multipart/form-data; boundary=x"}}
    assert "too large" in problem(client.post(FRAMES, **sent), 413)


def test_names_are_never_paths(served_from):
    client, folder = served_from
    for name in ("../../evil.png", "/tmp/evil.png", "a/b.png", "a\r\nb.png"):
        drawn(client, png(), name)
        (path,) = client.post(UPLOAD, files={"files": (name, png())}).json()
        assert Path(path).resolve().is_relative_to(folder)
        assert "evil" not in path
    assert not list(folder.rglob("*evil*"))


def test_mutated_pictures_crash_nothing_and_leave_nothing(served_from):
    client, folder = served_from
    answers: dict[int, int] = {}
    for number, (kind, name, data) in enumerate(mutated(0, 350)):
        path, fields = ((FRAMES, form(data, name, action="go")), (UPLOAD, form(data, name)))[
            number % 2
        ]
        answer = client.post(path, **fields)
        answers[answer.status_code] = answers.get(answer.status_code, 0) + 1
        assert answer.status_code in (200, 413, 422), (kind, name, answer.text)
        if kind == "good":
            assert answer.status_code == 200, answer.text
    assert answers[200] > 50
    assert answers[422] > 100
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {".png"}
