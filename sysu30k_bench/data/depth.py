"""Images of more than 8 bits a pixel: Pillow's conversion to RGB clips them to white without a word."""

from __future__ import annotations

import numpy as np
from PIL import Image

_BITS, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0
"""TIFF's BitsPerSample and PhotometricInterpretation; Pillow heeds a white zero for 8 bits only."""

_SIXTEEN_BITS = ("PNG", "PPM")
"""Formats in which Pillow's mode `I` means unsigned integers that fill 16 bits."""

_DARK = 16
"""A photograph has a pixel above a sixteenth of its range; values that stay below were written without scaling."""

_REMEDY = "save it with 8 bits a channel"


def eight_bits(image: Image.Image) -> Image.Image:
    """Brings an image to 8 bits a channel.

    Greyscale of 16 bits keeps its high byte, as colour of 16 bits does when Pillow reads it. Floats, and integers of 32
    bits, have no range that the file tells: 1, 255 and 65535 may all be white.

    Args:
        image: As Pillow opened it.

    Returns:
        The image itself where it has 8 bits or fewer, or Pillow has narrowed it already.

    Raises:
        ValueError: The pixels' range is not known, or is not that of their type.
    """
    if image.mode == "F":
        raise ValueError(f"floating-point pixels, whose range the file does not state: {_REMEDY}")
    if not image.mode.startswith("I"):
        return image
    values = np.asarray(image)
    low, high = int(values.min()), int(values.max())
    tags = image.getexif() if image.format == "TIFF" else {}
    bits = 12 if tags.get(_BITS) == 12 else 16
    if image.mode == "I" and (image.format not in _SIXTEEN_BITS or low < 0 or high >= 1 << bits):
        raise ValueError(f"signed or 32-bit pixels, whose range the file does not state: {_REMEDY}")
    if 0 < high < (1 << bits) // _DARK:
        raise ValueError(f"{bits}-bit pixels of at most {high}, which would be black: {_REMEDY}")
    narrow = (values.astype(np.uint32) >> (bits - 8)).astype(np.uint8)
    return Image.fromarray(255 - narrow if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO else narrow)
