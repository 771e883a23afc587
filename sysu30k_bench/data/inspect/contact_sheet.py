"""A contact sheet: a row of images for each bag or identity."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from sysu30k_bench.data.images import DamagedImageError, ImageSource, decode

_HEIGHT, _WIDTH, _GAP, _CAPTION = 128, 64, 4, 14
_MISSING = (200, 60, 60)


@dataclass(frozen=True)
class Row:
    """One row of the sheet.

    Attributes:
        caption: What the images have in common.
        keys: Their keys.
    """

    caption: str
    keys: Sequence[str]


def draw_sheet(source: ImageSource, rows: Sequence[Row]) -> bytes:
    """Draws the sheet; an image that does not decode is a red field.

    Args:
        source: Where the images are.
        rows: What to draw.

    Returns:
        A PNG file.
    """
    columns = max((len(row.keys) for row in rows), default=1)
    height = len(rows) * (_HEIGHT + _CAPTION + _GAP) + _GAP
    sheet = Image.new("RGB", (columns * (_WIDTH + _GAP) + _GAP, height), "white")
    pen = ImageDraw.Draw(sheet)
    for number, row in enumerate(rows):
        top = _GAP + number * (_HEIGHT + _CAPTION + _GAP)
        pen.text((_GAP, top), row.caption, fill="black")
        for column, key in enumerate(row.keys):
            sheet.paste(_tile(source, key), (_GAP + column * (_WIDTH + _GAP), top + _CAPTION))
    out = io.BytesIO()
    sheet.save(out, "PNG")
    return out.getvalue()


def draw_evenly(count: int, wanted: int, rng: np.random.Generator) -> list[int]:
    """Draws `wanted` of `count` positions, or all of them, in ascending order."""
    return sorted(rng.choice(count, min(wanted, count), replace=False).tolist())


def _tile(source: ImageSource, key: str) -> Image.Image:
    try:
        pixels = decode(source.read(key), _HEIGHT, _WIDTH, "bicubic")
    except DamagedImageError:
        return Image.new("RGB", (_WIDTH, _HEIGHT), _MISSING)
    return Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
