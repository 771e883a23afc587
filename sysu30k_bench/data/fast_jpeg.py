"""JPEG by simplejpeg where it gives Pillow's pixels to the last bit, and gives them sooner.

Both decode by libjpeg-turbo; which of them wastes less around it depends on their versions and on the machine, so that
each process tries. Whatever is unusual is left to Pillow: other colours than YCbCr and grey, other than 8 bits, and
every file that libjpeg-turbo as much as warns about.
"""

from __future__ import annotations

import functools
import io
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

_USUAL_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended and progressive, by Huffman's codes
_ALONE = (0x01, *range(0xD0, 0xD8))
_PROBES = ("444", "422", "420", "440", "Gray")
_USUAL_SIZE = (288, 144, 3)
_TIMED = 7
_WORTH_IT = 1.1
_PROBE_SIZE = (19, 35)  # odd, so that the last chroma samples stand for pixels that are not there


class _Frame(NamedTuple):
    kind: int
    bits: int
    components: int


def fast_pixels(content: bytes, mode: str) -> Image.Image | None:
    """Decodes a JPEG as Pillow would.

    Args:
        content: The file, which Pillow has recognised as a JPEG.
        mode: In which of its modes Pillow opened it.

    Returns:
        An RGB image; None where Pillow has to do it, which includes everything that might be damaged.
    """
    library = _library()
    if library is None or mode not in {"RGB", "L"}:
        return None
    frame = _frame(content)
    if frame is None or frame.kind not in _USUAL_FRAMES or frame.bits != 8:
        return None
    if frame.components != (3 if mode == "RGB" else 1):
        return None
    return _decoded(library, content)


@functools.cache
def _library() -> Any | None:  # noqa: ANN401  a module without types
    try:
        import simplejpeg
    except ImportError:
        return None
    return simplejpeg if _agrees(simplejpeg) and _is_faster(simplejpeg) else None


def _agrees(library: Any) -> bool:  # noqa: ANN401
    """Holds a library's pixels to Pillow's on an image of each kind of subsampling."""
    height, width = _PROBE_SIZE
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    try:
        for subsampling in _PROBES:
            grey = subsampling == "Gray"
            pixels = noise[..., :1] if grey else noise
            content = library.encode_jpeg(
                np.ascontiguousarray(pixels), 75, "GRAY" if grey else "RGB", subsampling, fastdct=False
            )
            ours = _decoded(library, content)
            with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
                if ours is None or not np.array_equal(np.asarray(ours), np.asarray(image.convert("RGB"))):
                    return False
    except Exception:  # noqa: BLE001  a library of another version, say: Pillow decodes
        return False
    return True


def _is_faster(library: Any, clock: Callable[[], float] = time.perf_counter) -> bool:  # noqa: ANN401
    """Times a library beside Pillow on an image of a person's usual size."""
    content = library.encode_jpeg(np.random.default_rng(0).integers(0, 256, _USUAL_SIZE, np.uint8), 75)

    def by_pillow() -> None:
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
            image.load()

    def by_library() -> None:
        with Image.open(io.BytesIO(content), formats=("JPEG",)):
            _decoded(library, content)

    seconds = {by_pillow: float("inf"), by_library: float("inf")}
    for _ in range(_TIMED):
        for way in seconds:
            started = clock()
            way()
            seconds[way] = min(seconds[way], clock() - started)
    return seconds[by_library] * _WORTH_IT < seconds[by_pillow]


def _decoded(library: Any, content: bytes) -> Image.Image | None:  # noqa: ANN401
    try:
        pixels = library.decode_jpeg(content, "RGB", fastdct=False, fastupsample=False)
    except ValueError:  # libjpeg-turbo's errors and, since it is strict, its warnings
        return None
    return Image.fromarray(pixels)


def _frame(content: bytes) -> _Frame | None:
    """Reads the frame header, which says how the image is coded."""
    at = 2
    while at + 9 < len(content):
        if content[at] != 0xFF:
            return None
        marker = content[at + 1]
        if marker == 0xFF:  # filled up
            at += 1
            continue
        if marker in _ALONE:
            at += 2
            continue
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            return _Frame(marker, content[at + 4], content[at + 9])
        if marker in {0xD9, 0xDA}:
            return None
        at += 2 + int.from_bytes(content[at + 2 : at + 4])
    return None
