"""A contact sheet: rows of pictures side by side, with a caption over each row."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

GAP = 6
CAPTION = 18
BACKGROUND = (250, 250, 248)
INK = (30, 30, 30)


def contact_sheet(
    rows: Sequence[tuple[str, Sequence[Image.Image]]],
    headings: Sequence[str],
    columns: int = 1,
    cell: int = 128,
) -> Image.Image:
    """Lay out one group of pictures per row entry, `columns` groups abreast.

    Arguments:
        rows: (caption, pictures) for each group; each group has as many pictures as `headings`.
        headings: what the pictures of a group are, such as ("input", "generated", "truth").
        columns: groups side by side.
        cell: width and height of a picture in the sheet, in pixels.
    """
    group_width = len(headings) * (cell + GAP) + GAP
    lines = -(-len(rows) // columns)
    size = (columns * (group_width + GAP), CAPTION + lines * (cell + CAPTION + GAP) + GAP)
    sheet = Image.new("RGB", size, BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=12)
    for column in range(columns):
        for index, heading in enumerate(headings):
            x = column * (group_width + GAP) + GAP + index * (cell + GAP)
            draw.text((x, 2), heading, INK, font)
    for position, (caption, pictures) in enumerate(rows):
        line, column = divmod(position, columns)
        left = column * (group_width + GAP) + GAP
        top = CAPTION + line * (cell + CAPTION + GAP)
        draw.text((left, top + 2), caption, INK, font)
        for index, picture in enumerate(pictures):
            resized = picture.convert("RGB").resize((cell, cell), Image.Resampling.BICUBIC)
            sheet.paste(resized, (left + index * (cell + GAP), top + CAPTION))
    return sheet
