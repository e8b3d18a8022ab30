"""A storyboard for people: a sheet, an animation, a video, and a page that prints."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from PIL import Image

from egoframe.contact_sheet import contact_sheet
from egoframe.images import generated, save_png, write_bytes

SECONDS = 1.6  # that each frame is shown
FPS = 25
CELL = 256  # pixels of a picture's longer side, in the sheet and the page
ACROSS = 4


def write_files(
    folder: Path,
    task: str,
    photo: Image.Image,
    steps: Sequence[tuple[str, str | None, Image.Image]],
) -> list[Path]:
    """Write sheet, GIF, MP4 (where PyAV is installed) and page; which files these are.

    Arguments:
        steps: (action, description, frame) of each.
    Raises:
        UserError: a file cannot be written.
    """
    frames = [_fitted(picture) for picture in (photo, *(frame for _, _, frame in steps))]
    captions = [task, *(f"{k}. {action}" for k, (action, _, _) in enumerate(steps, 1))]
    made = [folder / "sheet.png", folder / "storyboard.gif", folder / "storyboard.html"]
    rows = [(caption, [frame]) for caption, frame in zip(captions, frames, strict=True)]
    sheet = contact_sheet(rows, [""], min(ACROSS, len(rows)), CELL)
    save_png(sheet, made[0], generated(task))
    write_bytes(made[1], _gif(frames))
    write_bytes(made[2], make_page(task, photo, steps).encode())
    video = _mp4(frames)
    if video is not None:
        made.append(folder / "storyboard.mp4")
        write_bytes(made[-1], video)
    return made


def make_page(
    task: str, photo: Image.Image, steps: Sequence[tuple[str, str | None, Image.Image]]
) -> str:
    """The storyboard as HTML in a single file, with numbered steps; it prints."""
    items = "".join(
        f'<li><figure><img src="{_uri(frame)}" alt="{escape(action)}"><figcaption>'
        f"<strong>{escape(action)}</strong>{_paragraph(told)}</figcaption></figure></li>\n"
        for action, told, frame in steps
    )
    page = files("egoframe.apps").joinpath("guide.html").read_text(encoding="utf-8")
    return Template(page).substitute(
        task=escape(task[:1].upper() + task[1:]),
        photo=_uri(photo),
        steps=items,
        count=len(steps),
    )


def _paragraph(text: str | None) -> str:
    return f"<p>{escape(text)}</p>" if text else ""


def _fitted(picture: Image.Image) -> Image.Image:
    """A picture with its longer side at CELL pixels, and even sides, which video needs."""
    scale = CELL / max(picture.size)
    width, height = (max(2, round(side * scale / 2) * 2) for side in picture.size)
    return picture.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)


def _uri(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    _fitted(picture).save(buffer, "JPEG", quality=88, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _gif(frames: Sequence[Image.Image]) -> bytes:
    buffer = io.BytesIO()
    frames[0].save(
        buffer, "GIF", save_all=True, append_images=frames[1:], duration=int(1000 * SECONDS), loop=0
    )
    return buffer.getvalue()


def _mp4(frames: Sequence[Image.Image]) -> bytes | None:
    """H.264 in MP4; None without PyAV."""
    try:
        import av
    except ModuleNotFoundError:
        return None
    size = frames[1].size if len(frames) > 1 else frames[0].size
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "18", "threads": "1"}
        for frame in frames:
            shown = av.VideoFrame.from_image(frame.resize(size))
            for _ in range(round(SECONDS * FPS)):
                container.mux(stream.encode(shown))
        container.mux(stream.encode(None))
    return buffer.getvalue()
