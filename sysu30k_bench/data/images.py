"""From a key to pixels: the protocol's decoding and resizing, which are Pillow's."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from PIL import Image, UnidentifiedImageError

from sysu30k_bench.data.decoder_warnings import pillow_is_quiet
from sysu30k_bench.data.depth import eight_bits
from sysu30k_bench.data.fast_jpeg import fast_pixels

PREPROCESSING_VERSION = 2
"""Part of every store's identity: raise it when the pixels of `decode` change."""

FORMATS = ("JPEG", "PNG", "BMP", "PPM", "TIFF", "WEBP")
"""Formats that are decoded, whatever a file is called; others of Pillow's run programs or are seldom looked after."""

MAX_PIXELS = 64_000_000
MAX_BYTES = 256 * 1024 * 1024

_ORIENTATION = 0x0112

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


class DamagedImageError(Exception):
    """An image that cannot be decoded; its text says why."""


class ImageSource(Protocol):
    """Where the bytes of images come from."""

    def size(self, key: str) -> int:
        """Returns how many bytes an image has, or -1 where it does not exist; reads none of them."""

    def read(self, key: str) -> bytes:
        """Returns the bytes of the image called `key`, or raises `DamagedImageError`."""

    def expect(self, keys: Sequence[str]) -> None:
        """Is told which images will be read soon, so that the disk can be asked for them in its own order."""


def decode(content: bytes, height: int, width: int, interpolation: str) -> np.ndarray:
    """Decodes an image and resizes it without keeping the aspect, as the reference scripts do.

    Pillow reads the file, converts it to RGB and resizes it with its own antialiasing: torchvision's `Resize` on a PIL
    image does the same, to the last bit. Where simplejpeg is installed and gives the same pixels sooner, it reads JPEG
    files. Greyscale of 16 bits is scaled to 8 first, where Pillow would clip it.

    Args:
        content: The bytes of a JPEG, PNG, BMP, PPM, TIFF or WebP file.
        height: Rows wanted.
        width: Columns wanted.
        interpolation: `nearest`, `bilinear`, `bicubic` or `lanczos`.

    Returns:
        (3, height, width) uint8, RGB.

    Raises:
        DamagedImageError: The bytes are no image, are cut off, decode to over 64 million pixels, or to floats or
            integers whose range the file does not tell.
    """
    return resized(_decoded(content)[0], height, width, interpolation)


def resized(image: Image.Image, height: int, width: int, interpolation: str) -> np.ndarray:
    """Resizes what `decode_whole` gave: both together are `decode`.

    Args:
        image: An RGB image.
        height: Rows wanted.
        width: Columns wanted.
        interpolation: As for `decode`.

    Returns:
        (3, height, width) uint8, RGB.
    """
    small = image.resize((width, height), _FILTERS[interpolation])
    return np.ascontiguousarray(np.asarray(small).transpose(2, 0, 1))


def decode_whole(content: bytes) -> Image.Image:
    """Decodes an image at its own size, as `decode` does before it resizes.

    Args:
        content: The file's bytes.

    Returns:
        An RGB image.

    Raises:
        DamagedImageError: As `decode`.
    """
    return _decoded(content)[0]


class Remarks(NamedTuple):
    """What is unusual about an image that decodes.

    Attributes:
        rotated: Its EXIF data ask for a rotation. The protocol's pixels are those of the file: the reference does not
            rotate, and neither does `decode`.
        scaled: It has 16 bits a pixel, which were scaled to 8.
    """

    rotated: bool
    scaled: bool


def check_image(content: bytes) -> Remarks:
    """Decodes an image as `decode` does, and says what is unusual about it.

    Args:
        content: The file's bytes.

    Raises:
        DamagedImageError: As `decode`.
    """
    return _decoded(content, look=True)[1]


def _decoded(content: bytes, *, look: bool = False) -> tuple[Image.Image, Remarks]:
    try:
        with pillow_is_quiet(), Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DamagedImageError(f"{image.width} x {image.height} pixels: refused before decoding")
            fast = fast_pixels(content, image.mode) if image.format == "JPEG" else None
            if fast is not None:
                return fast, Remarks(look and _rotated(image), scaled=False)
            narrow = eight_bits(image)
            return narrow.convert("RGB"), Remarks(look and _rotated(image), narrow is not image)
    except DamagedImageError:
        raise
    except UnidentifiedImageError as error:
        raise DamagedImageError("no image in a format that is read (JPEG, PNG, BMP, PPM, TIFF, WebP)") from error
    except Exception as error:
        raise DamagedImageError(str(error) or type(error).__name__) from error


def _rotated(image: Image.Image) -> bool:
    try:
        return bool(image.getexif().get(_ORIENTATION, 1) != 1)
    except Exception:  # noqa: BLE001  whatever is wrong with data that is not used is no fault of the image
        return False
