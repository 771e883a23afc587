from __future__ import annotations

import contextlib
import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from sysu30k_bench.data.images import DamagedImageError, check_image, decode
from sysu30k_bench.data.trees.folder import FolderTree
from sysu30k_bench.models.card import Feature, Input
from sysu30k_bench.models.embedder import Embedder
from tests.conftest import jpeg


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "nearest", "lanczos"])
def test_pixels_are_torchvisions(openpeople: Path, interpolation: str) -> None:
    for path in sorted((openpeople / "query").glob("*.jpg"))[:3]:
        mode = transforms.InterpolationMode(interpolation)
        theirs = transforms.PILToTensor()(transforms.Resize((256, 128), mode)(Image.open(path).convert("RGB")))
        assert np.array_equal(decode(path.read_bytes(), 256, 128, interpolation), theirs.numpy())


def test_normalised_input_is_the_reference_transform(openpeople: Path) -> None:
    path = min((openpeople / "query").glob("*.jpg"))
    seen = []

    class Spy(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seen.append(images.clone())
            return images.mean(dim=(2, 3)) + 5

    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    reference = transforms.Compose(
        [
            transforms.Resize((256, 128), interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.ToTensor(),
            transforms.Normalize(mean, std),
        ]
    )(Image.open(path).convert("RGB"))
    pixels = torch.from_numpy(decode(path.read_bytes(), 256, 128, "bicubic"))[None]
    Embedder(Spy(), Feature(flip="after_sum"), Input())(pixels)
    assert torch.equal(seen[0][0], reference)
    assert torch.equal(seen[1][0], reference.flip(-1))


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGBA", "P", "1"])
def test_other_modes_become_rgb(mode: str) -> None:
    file = io.BytesIO()
    image = Image.open(io.BytesIO(jpeg())).convert(mode)
    image.save(file, "JPEG" if mode in {"L", "CMYK"} else "PNG")
    expected = Image.open(file).convert("RGB").resize((8, 16), Image.Resampling.BICUBIC)
    assert np.array_equal(decode(file.getvalue(), 16, 8, "bicubic"), np.asarray(expected).transpose(2, 0, 1))


def png_of(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (jpeg()[:-400], "truncated"),
        (b"not an image", "no image in a format"),
        (png_of(9_000, 9_000), "refused before decoding"),
        (png_of(30_000, 30_000), "bomb"),
        (png_of(40, 40), "."),
        (b"\xff\xd8\xff" + b"\0" * 50, "."),
    ],
)
def test_damaged(content: bytes, reason: str) -> None:
    with pytest.raises(DamagedImageError, match=reason):
        decode(content, 16, 8, "bicubic")


@pytest.mark.parametrize("seed", range(30))
def test_flipped_bytes_never_raise_anything_else(seed: int) -> None:
    rng = np.random.default_rng(seed)
    content = bytearray(jpeg(seed))
    for position in rng.integers(0, len(content), 20):
        content[position] = rng.integers(256)
    with contextlib.suppress(DamagedImageError):
        assert decode(bytes(content), 16, 8, "bicubic").shape == (3, 16, 8)


def test_folder_source_names_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").write_bytes(b"")
    source = FolderTree(tmp_path)
    for key, reason in (("empty.jpg", "empty"), ("missing.jpg", "No such file"), (".", "directory")):
        with pytest.raises(DamagedImageError, match=reason):
            source.read(key)


def saved(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def test_exif_rotation_is_ignored_as_in_the_reference_and_told() -> None:
    image = Image.open(io.BytesIO(jpeg()))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned, plain = saved(image, exif=exif), saved(image)
    assert np.array_equal(decode(turned, 16, 8, "bicubic"), decode(plain, 16, 8, "bicubic"))
    assert check_image(turned) == (True, False)
    assert check_image(plain) == (False, False)


def test_broken_exif_is_no_fault_of_the_image() -> None:
    content = saved(Image.open(io.BytesIO(jpeg())), exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert decode(content, 16, 8, "bicubic").shape == (3, 16, 8)
    assert not check_image(content).rotated


def test_progressive_jpegs_decode() -> None:
    image = Image.open(io.BytesIO(jpeg()))
    progressive = Image.open(io.BytesIO(saved(image, progressive=True, quality=90)))
    assert progressive.info["progressive"]
    assert decode(saved(image, progressive=True), 16, 8, "bicubic").shape == (3, 16, 8)


@pytest.mark.parametrize("cut", [1, 2, 3, 10])
def test_a_jpeg_without_its_last_bytes_is_damaged_or_whole_never_half(cut: int) -> None:
    content = jpeg()
    try:
        pixels = decode(content[:-cut], 16, 8, "bicubic")
    except DamagedImageError as error:
        assert "truncated" in str(error)  # noqa: PT017  either outcome is right: only the end mark may be missing
    else:
        assert np.array_equal(pixels, decode(content, 16, 8, "bicubic"))


@pytest.mark.parametrize("content", [b"", b"x", jpeg()[:-400]])
def test_checking_is_decoding(content: bytes) -> None:
    with pytest.raises(DamagedImageError):
        check_image(content)
