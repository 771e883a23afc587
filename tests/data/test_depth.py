"""Images of more than 8 bits: scaled where the file tells their range, refused where it does not."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sysu30k_bench.data.images import DamagedImageError, check_image, decode
from tests.conftest import Outcome

EIGHT = np.random.default_rng(0).integers(0, 256, (16, 8), np.uint8)
EIGHT[0, 0] = 255
SIXTEEN = EIGHT.astype(np.uint16) * 257


def saved(values: np.ndarray, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(values).save(file, form, **options)
    return file.getvalue()


def pgm(values: np.ndarray, largest: int) -> bytes:
    return b"P5\n8 16\n%d\n" % largest + values.astype(">u2").tobytes()


def colour_png_of_16_bits(values: np.ndarray) -> bytes:
    """Pillow writes none."""
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in np.repeat(values[:, :, None], 3, axis=2))
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(
    "content",
    [
        saved(SIXTEEN, "PNG"),
        saved(SIXTEEN, "TIFF"),
        saved(SIXTEEN.astype(">u2"), "TIFF"),
        saved(65535 - SIXTEEN, "TIFF", tiffinfo={262: 0}),
        pgm(SIXTEEN, 65535),
        pgm(EIGHT.astype(np.uint32) * 4095 // 255, 4095),
    ],
    ids=["png", "tiff", "big-endian tiff", "white is zero", "pgm", "pgm of 12 bits"],
)
def test_16_bits_are_scaled_and_counted(content: bytes) -> None:
    pixels = decode(content, 16, 8, "nearest").astype(int)
    assert np.abs(pixels - EIGHT).max() <= 1
    assert (pixels[0] == pixels[1]).all()
    assert check_image(content) == (False, True)


def test_colour_of_16_bits_is_scaled_alike() -> None:
    assert np.array_equal(
        decode(colour_png_of_16_bits(SIXTEEN), 16, 8, "nearest"), decode(saved(SIXTEEN, "PNG"), 16, 8, "nearest")
    )


def test_8_bits_are_as_they_were() -> None:
    for form in ("PNG", "BMP", "TIFF", "PPM", "WEBP"):
        assert check_image(saved(EIGHT, form)) == (False, False)
    assert np.array_equal(decode(saved(EIGHT, "PNG"), 16, 8, "nearest")[0], EIGHT)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (saved(EIGHT.astype(np.float32) / 255, "TIFF"), "floating-point"),
        (saved(EIGHT.astype(np.float32), "TIFF"), "floating-point"),
        (b"Pf\n8 16\n-1.0\n" + EIGHT.astype("<f4").tobytes(), "floating-point"),
        (saved(SIXTEEN.astype(np.int32), "TIFF"), "32-bit"),
        (saved(EIGHT.astype(np.uint16), "PNG"), "at most 255, which would be black"),
        (saved(EIGHT.astype(np.uint16) * 16, "PNG"), "at most 4080, which would be black"),
    ],
)
def test_ranges_that_no_file_tells_are_refused(content: bytes, reason: str) -> None:
    for read in (check_image, lambda content: decode(content, 16, 8, "bicubic")):
        with pytest.raises(DamagedImageError, match=reason) as caught:
            read(content)
        assert "save it with 8 bits a channel" in str(caught.value)


def test_a_black_image_is_black() -> None:
    assert decode(saved(np.zeros((16, 8), np.uint16), "PNG"), 16, 8, "nearest").max() == 0


def rewritten(root: Path, change: Callable[[np.ndarray], np.ndarray], form: str) -> None:
    for path in root.rglob("*.jpg"):
        grey = np.asarray(Image.open(path).convert("L"))
        path.write_bytes(saved(change(grey), form))


def test_a_test_set_of_16_bits_ranks_as_that_of_8_bits(
    bench: Callable[..., Outcome], own_twin: Path, stripes_checkpoint: Path, tmp_path: Path
) -> None:
    rewritten(own_twin, lambda grey: grey, "PNG")
    options = ("--data", own_twin, "--json", "--output")
    eight = bench("eval", stripes_checkpoint, *options, tmp_path / "8")
    assert eight.code == 0, eight.err
    rewritten(own_twin, lambda grey: grey.astype(np.uint16) * 257, "PNG")
    sixteen = bench("eval", stripes_checkpoint, *options, tmp_path / "16")
    assert sixteen.json["metrics"] == eight.json["metrics"]
    verified = bench("data", "verify", own_twin)
    assert verified.code == 0
    queries, gallery = (eight.json["counts"][role] for role in ("query", "gallery"))
    for count in (queries, gallery):
        assert f"  {count} have 16 bits a pixel, which are scaled to 8" in verified.out
    rewritten(own_twin, lambda grey: grey.astype(np.float32), "TIFF")
    refused = bench("eval", stripes_checkpoint, *options, tmp_path / "f")
    assert refused.code == 4
    assert "floating-point" in refused.err
    counted = bench("data", "verify", own_twin)
    assert counted.code == 4
    assert f"query: {queries} images, {queries} do not decode" in counted.out
