"""Images of every format that is decoded, and of those that are not."""

from __future__ import annotations

from pathlib import Path

from benchmarks.fuzz.mutate import bytewise
from benchmarks.fuzz.target import Target, Violation, as_file
from sysu30k_bench.data.images import MAX_PIXELS, DamagedImageError, check_image, decode, decode_whole


def _image(path: Path) -> object:
    content = path.read_bytes()
    pixels = decode(content, 16, 8, "bilinear")
    if pixels.shape != (3, 16, 8):
        raise Violation(f"pixels of shape {pixels.shape}")
    whole = decode_whole(content)
    if whole.width * whole.height > MAX_PIXELS or whole.mode != "RGB":
        raise Violation(f"an image of {whole.size} in {whole.mode}")
    return check_image(content)


TARGETS = (
    Target("image", _image, as_file("image.jpg"), bytewise, refusals=(DamagedImageError,), seconds=20, growth=1536),
)
