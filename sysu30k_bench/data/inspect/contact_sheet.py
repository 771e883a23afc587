"""A contact sheet: a row of images for each bag or identity."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sysu30k_bench.data.images import DamagedImageError, ImageSource, decode

_HEIGHT, _WIDTH, _GAP, _CAPTION, _BETWEEN = 192, 96, 4, 22, 20
_BACK, _TEXT, _QUERY, _MISSING = (250, 250, 248), (29, 35, 39), (47, 111, 179), (200, 60, 60)
_SIZE, _BORDER = 13, 3


@dataclass(frozen=True)
class Row:
    """Images that belong together: one row of the sheet, or a block of one.

    Attributes:
        caption: What the images have in common.
        keys: Their keys.
        queries: How many of the first are queries; they have a blue frame.
    """

    caption: str
    keys: Sequence[str]
    queries: int = 0


def pack(rows: Sequence[Row], columns: int) -> list[list[Row]]:
    """Puts blocks side by side, in their order, as long as a line has room for all images of the next.

    Args:
        rows: The blocks; one that is wider than a line has a line of its own.
        columns: Images in a line.

    Returns:
        The blocks of each line.
    """
    lines: list[list[Row]] = []
    left = 0
    for row in rows:
        if not lines or len(row.keys) > left:
            lines.append([])
            left = columns
        lines[-1].append(row)
        left -= len(row.keys)
    return lines


def draw_sheet(source: ImageSource, rows: Sequence[Row], columns: int = 1) -> bytes:
    """Draws the sheet: blocks beside each other with their captions; an image that does not decode is a red field.

    Args:
        source: Where the images are.
        rows: What to draw.
        columns: Images in a line.

    Returns:
        A PNG file.
    """
    lines = pack(rows, columns)
    width = max((sum(_width(row) for row in line) + _BETWEEN * (len(line) - 1) for line in lines), default=_WIDTH)
    height = len(lines) * (_HEIGHT + _CAPTION + _BETWEEN // 2) + _BETWEEN // 2
    sheet = Image.new("RGB", (width + 2 * _BETWEEN, height + _BETWEEN // 2), _BACK)
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(_SIZE)
    for number, line in enumerate(lines):
        top = _BETWEEN // 2 + number * (_HEIGHT + _CAPTION + _BETWEEN // 2)
        left = _BETWEEN
        for row in line:
            pen.text((left, top), _fitting(pen, font, row.caption, _width(row)), fill=_TEXT, font=font)
            for column, key in enumerate(row.keys):
                place = (left + column * (_WIDTH + _GAP), top + _CAPTION)
                sheet.paste(_tile(source, key), place)
                if column < row.queries:
                    corner = (place[0] + _WIDTH - 1, place[1] + _HEIGHT - 1)
                    pen.rectangle((place, corner), outline=_QUERY, width=_BORDER)
            left += _width(row) + _BETWEEN
    out = io.BytesIO()
    sheet.save(out, "PNG")
    return out.getvalue()


def _width(row: Row) -> int:
    return max(len(row.keys), 1) * (_WIDTH + _GAP) - _GAP


def _fitting(pen: ImageDraw.ImageDraw, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, text: str, most: int) -> str:
    """Cuts a caption that would run into the next block."""
    if pen.textlength(text, font=font) <= most:
        return text
    while text and pen.textlength(text + "...", font=font) > most:
        text = text[:-1]
    return text.rstrip(" ,:;") + "..."


def draw_evenly(count: int, wanted: int, rng: np.random.Generator) -> list[int]:
    """Draws `wanted` of `count` positions, or all of them, in ascending order."""
    return sorted(rng.choice(count, min(wanted, count), replace=False).tolist())


def _tile(source: ImageSource, key: str) -> Image.Image:
    try:
        pixels = decode(source.read(key), _HEIGHT, _WIDTH, "bicubic")
    except DamagedImageError:
        return Image.new("RGB", (_WIDTH, _HEIGHT), _MISSING)
    return Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
