"""Tars, zips and folders of images."""

# ruff: noqa: E501  data: one file of a stranger a line

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
import zlib

from PIL import Image

from benchmarks.fuzz.target import packed

LINK = "../secret.txt"


def picture(kind: str = "JPEG", mode: str = "RGB", size: tuple[int, int] = (8, 16), **options: object) -> bytes:
    """An image in a format of Pillow's."""
    made = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert(mode).save(made, kind, **options)
    return made.getvalue()


NAMES = (
    "query/000028311/000028311_c2_2.jpg",
    "gallery/000028311/000028311_c1_1.jpg",
    "gallery/0000others/0000others_c3_1.jpg",
)


def _info(name: str, kind: bytes = b"0", size: int = 0, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.size, made.linkname = kind, size, link
    return made


def header(name: str, kind: bytes = b"0", size: int = 0, link: str = "") -> bytes:
    """One header of a tar, whatever it says."""
    return _info(name, kind, size, link).tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def padded(content: bytes) -> bytes:
    """Content up to the next block."""
    return content + b"\0" * (-len(content) % 512)


def pax(*records: tuple[str, str]) -> bytes:
    """An extended header."""
    text = b""
    for name, value in records:
        line = f" {name}={value}\n".encode()
        text += str(len(line) + 2 if len(line) < 98 else len(line) + 3).encode() + line
    return header("p", b"x", len(text)) + padded(text)


END = b"\0" * 1024
IMAGE = header("a.jpg", size=4) + padded(b"abcd")


def tars() -> dict[str, bytes]:
    """Tars, most of them hostile."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name in NAMES:
            archive.addfile(_info(name, size=len(picture())), io.BytesIO(picture()))
    kinds = {"link": b"2", "hard": b"1", "device": b"3", "block": b"4", "pipe": b"6", "sparse": b"S", "strange": b"Z"}
    found = {name: header("a.jpg", kind, link=LINK) + IMAGE + END for name, kind in kinds.items()}
    names = {"climbs": "../../a.jpg", "absolute": "/etc/passwd.jpg", "escape": "\x1b[2J.jpg", "bytes": "\udcff.jpg"}
    found |= {name: header(path, size=4) + padded(b"abcd") + END for name, path in names.items()}
    digits = b"1" * 60_000
    found |= {
        "valid": made.getvalue(),
        "cut": made.getvalue()[:1200],
        "hard-to-itself": header("a.jpg", b"1", link="a.jpg") + END,
        "chain": b"".join(header("././@LongLink", b"L", 5) + padded(b"abcd\0") for _ in range(700)) + IMAGE + END,
        "chain-pax": b"".join(pax(("comment", "x")) for _ in range(700)) + IMAGE + END,
        "much-pax": header("p", b"x", 1 << 40) + padded(b"x") + IMAGE + END,
        "much-name": header("././@LongLink", b"L", 1 << 40) + padded(b"x") + IMAGE + END,
        "digits": header("p", b"x", len(digits)) + padded(digits) + IMAGE + END,
        "size": pax(("size", str(1 << 60))) + IMAGE + END,
        "sparse-map": pax(("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.name", "b.jpg"))
        + header("a.jpg", size=512) + padded(b"99999999\n1\n2\n") + END,
        "sparse-real": pax(("GNU.sparse.size", str(1 << 60)), ("GNU.sparse.map", "0,1,2,3")) + IMAGE + END,
        "path": pax(("path", "../../x.jpg")) + IMAGE + END,
        "charset": pax(("hdrcharset", "BINARY"), ("path", "a\udcff.jpg".encode("utf-8", "replace").decode())) + IMAGE + END,
    }  # fmt: skip
    for back in (512, 1024, 1536, 2048, 4096):
        found[f"back-{back}"] = pax(("size", f"-{back}")) + IMAGE + END
        found[f"back-later-{back}"] = IMAGE * 3 + pax(("size", f"-{back}")) + IMAGE + END
    return found


def zip_entry(
    name: bytes, packed_bytes: bytes, size: int, crc: int, method: int = 8, at: int = 0
) -> tuple[bytes, bytes]:
    """A member with its entry of the directory, whatever they say."""
    sizes = struct.pack("<3I2H", crc, len(packed_bytes), size, len(name), 0)
    local = struct.pack("<4s5H", b"PK\3\4", 20, 0, method, 0, 0) + sizes + name + packed_bytes
    entry = (
        struct.pack("<4s6H", b"PK\1\2", 20, 20, 0, method, 0, 0) + sizes + struct.pack("<3H2I", 0, 0, 0, 0, at) + name
    )
    return local, entry


def zip_of(*members: tuple[bytes, bytes, int, int, int]) -> bytes:
    """A zip of members, whatever they say."""
    body, directory = b"", b""
    for member in members:
        local, entry = zip_entry(*member, at=len(body))
        body, directory = body + local, directory + entry
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, len(members), len(members), len(directory), len(body), 0)
    return body + directory + end


def deflated(size: int) -> bytes:
    """Zeros, compressed a thousandfold."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return b"".join(packer.compress(b"\0" * (1 << 20)) for _ in range(size >> 20)) + packer.flush()


def zips() -> dict[str, bytes]:
    """Zips, most of them hostile."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in NAMES:
            archive.writestr(name, picture())
    small = zlib.crc32(b"\0" * 1000)
    bomb = deflated(64 << 20)
    return {
        "valid": made.getvalue(),
        "says-less": zip_of((b"a.jpg", bomb, 1000, small, 8)),
        "says-more": zip_of((b"a.jpg", bomb, 0xFFFFFFF0, small, 8)),
        "climbs": zip_of((b"../../a.jpg", b"abcd", 4, zlib.crc32(b"abcd"), 0)),
        "twice": zip_of(*[(b"a.jpg", b"abcd", 4, zlib.crc32(b"abcd"), 0)] * 2),
        "escape": zip_of((b"\x1b[2J.jpg", b"abcd", 4, zlib.crc32(b"abcd"), 0)),
        "method": zip_of((b"a.jpg", b"abcd", 4, 0, 99)),
        "directory": made.getvalue().replace(b"PK\1\2", b"PK\1\3", 1),
    }


def folders() -> dict[str, bytes]:
    """Folders of images with their lists."""
    whole = {name: picture() for name in NAMES}
    lists = {"meta/query.txt": "\n".join(NAMES[:1]).encode(), "meta/gallery.txt": "\n".join(NAMES[1:]).encode()}
    market = {"query/0001_c1s1_000151_01.jpg": picture(), "bounding_box_test/0001_c2s1_000151_01.jpg": picture()}
    msmt = {
        "list_query.txt": b"0000/0000_000_01_0303morning_0015_0.jpg 0\n",
        "list_gallery.txt": b"0000/../../x.jpg 0\n",
    }
    return {
        "valid": packed(whole | lists),
        "market": packed(market),
        "msmt": packed(msmt | {"test/0000/0000_000_01_0303morning_0015_0.jpg": picture()}),
        "links": packed(whole | {"@gallery/out.jpg": b"../../../secret.txt", "@gallery/up": b"..", "@x.tar": b"x.tar"}),
        "archives": packed({"a.tar": tars()["chain"], "b.zip": zips()["valid"]}),
        "escape": packed({"query/\x1b[2J_c1_1.jpg": picture(), "gallery/000028311_c1_1.jpg": picture()}),
    }


def make() -> dict[str, dict[str, bytes]]:
    """Returns seeds by target and name."""
    return {"tar": tars(), "zip": zips(), "folder": folders()}
