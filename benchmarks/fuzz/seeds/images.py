"""Images: every format that is decoded, in every mode, and bombs."""

# ruff: noqa: E501  data: one file of a stranger a line

from __future__ import annotations

import io
import struct
import zlib

from PIL import Image

from benchmarks.fuzz.seeds.trees import picture


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png(width: int, height: int, body: bytes, *more: bytes, depth: int = 8, colour: int = 2) -> bytes:
    head = _chunk(b"IHDR", struct.pack(">2I5B", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def many_scans(side: int, scans: int) -> bytes:
    """A progressive JPEG whose every scan, a few bytes long, costs a pass over all of its pixels."""
    content = picture("JPEG", "L", (side, side), progressive=True, quality=5)
    first = content.index(b"\xff\xda")
    # a refinement scan over one band, whose data are one long run of blocks without any change
    tables = b"\xff\xc4" + struct.pack(">HB", 20, 0x10) + bytes([1] + [0] * 15) + b"\xe0"
    scan = b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1, 0x00, 1, 63, 0x00) + b"\x00" * 64
    return content[:-2] + (tables + scan) * scans + b"\xff\xd9" if first else content


def ifd(*tags: tuple[int, int, int, int], data: bytes = b"") -> bytes:
    """A TIFF of tags, whatever they say."""
    body = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + b"\0" * 4
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + body


def make() -> dict[str, dict[str, bytes]]:
    """Returns seeds by target and name."""
    found = {f"jpeg-{mode}": picture("JPEG", mode) for mode in ("RGB", "L", "CMYK", "YCbCr")}
    found |= {f"png-{mode.replace(';', '')}": picture("PNG", mode) for mode in ("RGBA", "P", "1", "I;16", "LA")}
    found |= {f"tiff-{mode.replace(';', '')}": picture("TIFF", mode) for mode in ("RGB", "I;16", "F", "CMYK", "I")}
    found |= {
        f"tiff-{name}": picture("TIFF", "RGB", compression=name)
        for name in ("tiff_lzw", "jpeg", "tiff_deflate", "packbits")
    }
    found |= {"webp": picture("WEBP"), "bmp": picture("BMP"), "ppm": picture("PPM"), "pgm": picture("PPM", "L")}
    frames = [Image.new("RGB", (8, 8), (number, 0, 0)) for number in range(3)]
    for kind in ("WEBP", "PNG", "GIF", "TIFF"):
        made = io.BytesIO()
        frames[0].save(made, kind, save_all=True, append_images=frames[1:])
        found[f"animated-{kind.lower()}"] = made.getvalue()
    for kind in ("GIF", "ICO", "TGA", "PDF", "EPS", "DDS", "SGI", "PCX", "IM", "JPEG2000"):
        found[f"other-{kind.lower()}"] = picture(kind, "RGB")
    sizes = [(256, 4, 1, 60_000), (257, 4, 1, 60_000), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1)]
    found |= {
        "progressive": picture("JPEG", "RGB", progressive=True),
        "many-scans": many_scans(600, 400),
        "jpeg-cut": picture("JPEG")[:300],
        "png-bomb": _png(60_000, 60_000, zlib.compress(b"\0" * 1000)),
        "png-text": _png(8, 8, zlib.compress(b"\0" * 200), _chunk(b"zTXt", b"a\0\0" + zlib.compress(b"x" * (1 << 24), 9))),
        "png-icc": _png(8, 8, zlib.compress(b"\0" * 200), _chunk(b"iCCP", b"a\0\0" + zlib.compress(b"x" * (1 << 24), 9))),
        "png-zero": _png(0, 0, b""),
        "png-turned": picture("PNG", "RGB", exif=b"Exif\0\0" + ifd((0x0112, 3, 1, 6))),
        "png-exif": picture("PNG", "RGB", exif=b"Exif\0\0" + ifd((0x8769, 4, 1, 8), (0x0112, 4, 0xFFFFFFFF, 8))),
        "tiff-bomb": ifd(*sizes, (273, 4, 1, 8), (278, 4, 1, 60_000), (279, 4, 1, 40), data=zlib.compress(b"\0" * 999)),
        "tiff-loop": b"II*\0\x08\0\0\0\0\0\x08\0\0\0",
        "ppm-bomb": b"P6\n60000 60000\n255\n",
        "ppm-digits": b"P3\n" + b"9" * 50_000 + b" 1\n255\n",
        "bmp-bomb": b"BM" + struct.pack("<IHHI", 0, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, 60_000, -60_000, 1, 8, 1, 0, 0, 0, 0, 0),
        "empty": b"",
    }  # fmt: skip
    return {"image": found}
