"""The fast decoder gives Pillow's pixels, or leaves the file to Pillow."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sysu30k_bench.data import fast_jpeg
from sysu30k_bench.data.images import DamagedImageError, check_image, decode

simplejpeg = pytest.importorskip("simplejpeg")
SIZES = [(1, 1), (7, 5), (16, 16), (17, 33), (128, 48), (255, 129)]


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth shapes and noise: chroma that upsampling has to blend, and coefficients that clip."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0, 255, width)[None, :, None] * np.array([1.0, 0.5, 0.2])
    noise = rng.integers(-90, 90, (height, width, 3))
    return np.clip(ramp + noise, 0, 255).astype(np.uint8)


def saved(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def outcome(content: bytes) -> bytes | str:
    """The pixels of a file as `decode` gives them, or its complaint."""
    try:
        return decode(content, 64, 32, "bicubic").tobytes()
    except DamagedImageError as error:
        return str(error)


@pytest.fixture
def by_pillow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """What Pillow alone makes of a file."""

    def alone(content: bytes) -> bytes | str:
        with monkeypatch.context() as patch:
            patch.setattr(fast_jpeg, "_library", lambda: None)
            return outcome(content)

    return alone


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each decoded file was decoded by the fast library."""
    seen: list[bool] = []
    real = fast_jpeg._decoded

    def spy(library: Any, content: bytes) -> Image.Image | None:
        image = real(library, content)
        seen.append(image is not None)
        return image

    monkeypatch.setattr(fast_jpeg, "_library", lambda: simplejpeg)
    monkeypatch.setattr(fast_jpeg, "_decoded", spy)
    return seen


def test_the_installed_library_passes_its_probe() -> None:
    assert fast_jpeg._agrees(simplejpeg)


@pytest.mark.parametrize(("pillow", "library", "taken"), [(3.0, 1.0, True), (1.0, 3.0, False), (1.0, 0.95, False)])
def test_the_library_is_used_where_it_is_faster(pillow: float, library: float, taken: bool) -> None:
    ticks = iter(value for _ in range(fast_jpeg._TIMED) for value in (0.0, pillow, 0.0, library))
    assert fast_jpeg._is_faster(simplejpeg, lambda: next(ticks)) == taken


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("subsampling", ["444", "422", "420", "440", "411", "Gray"])
def test_every_subsampling_is_pillows_to_the_last_bit(
    subsampling: str, size: tuple[int, int], taken: list[bool], by_pillow: Any
) -> None:
    pixels = picture(*size)
    grey = subsampling == "Gray"
    content = simplejpeg.encode_jpeg(
        np.ascontiguousarray(pixels[..., :1] if grey else pixels), 80, "GRAY" if grey else "RGB", subsampling
    )
    assert outcome(content) == by_pillow(content)
    assert taken == [True]


@pytest.mark.parametrize("quality", [1, 30, 75, 100])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True}, {"restart_marker_blocks": 3}])
def test_progressive_and_restarted_files_are_pillows(
    quality: int, options: dict[str, Any], taken: list[bool], by_pillow: Any
) -> None:
    content = saved(Image.fromarray(picture(61, 37)), quality=quality, **options)
    assert outcome(content) == by_pillow(content)
    assert taken == [True]


def test_cmyk_and_rgb_without_a_transform_are_pillows(taken: list[bool], by_pillow: Any) -> None:
    for image, options in (
        (Image.fromarray(picture(40, 20)).convert("CMYK"), {}),
        (Image.fromarray(picture(40, 20)), {"keep_rgb": True}),
    ):
        content = saved(image, **options)
        assert outcome(content) == by_pillow(content)
    assert len(taken) <= 1  # CMYK is left to Pillow


@pytest.mark.usefixtures("taken")
def test_exif_rotation_is_told_and_not_applied(by_pillow: Any) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = saved(Image.fromarray(picture(40, 20)), exif=exif)
    assert outcome(content) == by_pillow(content)
    assert check_image(content).rotated
    assert not check_image(saved(Image.fromarray(picture(40, 20)))).rotated


def test_cut_off_files_end_as_pillow_ends(taken: list[bool], by_pillow: Any) -> None:
    for options in ({}, {"progressive": True}):
        content = saved(Image.fromarray(picture(50, 30)), **options)
        for end in [*range(0, len(content), 37), len(content) - 1, len(content) - 2]:
            assert outcome(content[:end]) == by_pillow(content[:end]), end
    assert False in taken


def test_flipped_bytes_end_as_pillow_ends(taken: list[bool], by_pillow: Any) -> None:
    rng = np.random.default_rng(5)
    whole = [
        saved(Image.fromarray(picture(33, 17)), quality=60, progressive=progressive) for progressive in (False, True)
    ]
    whole.append(simplejpeg.encode_jpeg(picture(33, 17), 60, "RGB", "440"))
    for content in whole:
        for _ in range(250):
            harmed = bytearray(content)
            for _ in range(rng.integers(1, 4)):
                harmed[rng.integers(2, len(harmed))] = rng.integers(256)
            assert outcome(bytes(harmed)) == by_pillow(bytes(harmed))
    assert True in taken
    assert False in taken


@pytest.mark.usefixtures("taken")
def test_bytes_behind_the_end_change_nothing(by_pillow: Any) -> None:
    content = saved(Image.fromarray(picture(33, 17))) + b"\0" * 100
    assert outcome(content) == by_pillow(content)


def test_a_library_of_other_pixels_is_not_used() -> None:
    class Coarse:
        encode_jpeg = staticmethod(simplejpeg.encode_jpeg)

        @staticmethod
        def decode_jpeg(content: bytes, colours: str, **_: Any) -> np.ndarray:
            return simplejpeg.decode_jpeg(content, colours, fastdct=True, fastupsample=True)

    assert not fast_jpeg._agrees(Coarse)
    assert fast_jpeg._agrees(simplejpeg)


def test_without_the_library_pillow_decodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "simplejpeg", None)
    fast_jpeg._library.cache_clear()
    try:
        assert fast_jpeg._library() is None
        assert decode(saved(Image.fromarray(picture(9, 9))), 64, 32, "bilinear").shape == (3, 64, 32)
    finally:
        monkeypatch.undo()
        fast_jpeg._library.cache_clear()
