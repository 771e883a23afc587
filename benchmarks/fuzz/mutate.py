"""Changes of files: bytes, lines, opcodes of pickles, members of zips, blocks of tars."""

# ruff: noqa: E501, RUF005, S110  tables of steps

from __future__ import annotations

import io
import pickletools
import re
import zipfile
from collections.abc import Callable
from random import Random

_NUMBERS = [0, 1, 2, 127, 128, 255, 256, 32767, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1]
_WORDS = [b"0", b"-1", b"1e999", b"nan", b"..", b"/", b"\0", b"99999999999999999999", b"[" * 200, b"{", b'"', b"\xff",
          b"\x1b[2J", "\u202e".encode(), b"=1+1", b"\r\n", b"true", b"null", b"\xef\xbb\xbf", b"C:\\", b"\n"]  # fmt: skip
_EVIL = (
    [
        b"cfuzz_canary\nboom\n",
        b"cos\nsystem\n(X\x02\0\0\0idtR",
        b"ibuiltins\nexec\n",
        b"R",
        b"b",
        b"\x81",
        b"\x92",
        b"Q",
    ]
    + [b"(", b"t", b"l", b"d", b"0", b"2", b"1", b"h\0", b"q\0", b"\x94", b"j\xff\xff\xff\xff", b"r\xff\xff\xff\xff"]
    + [b"]", b"}", b")", b"\x8f", b"\x91", b"a", b"e", b"s", b"u", b"\x90", b"\x85", b"\x86", b"\x87", b"N", b"\x88"]
    + [
        b"\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x8b\xff\xff\xff\x7f",
        b"B\xff\xff\xff\x7f",
        b"K\0",
        b"J\0\0\0\x80",
    ]
    + [b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff", b"X\xff\xff\xff\xff", b"."]
    + [
        b"\x95\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x80\x05",
        b"\x97",
        b"\x82\x01",
        b"L99999999999999999999L\n",
        b"G" + b"\x7f" * 8,
    ]
    + [
        b"]\x94h\0a",
        b"((((((((((((((((",
        b"\x85" * 200,
        b"I-1\n",
        b"F1e999\n",
        b"cbuiltins\ngetattr\n",
        b"\x93",
        b"P1\n",
    ]
)


def bytewise(content: bytes, random: Random) -> bytes:
    """Cuts, flips, copies, inserts, and puts extreme numbers into bytes."""
    made = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 4, 8))):
        size = len(made)
        at = random.randrange(size + 1)
        way = random.randrange(7)
        if way == 0 and size:
            made[min(at, size - 1)] ^= 1 << random.randrange(8)
        elif way == 1:
            width, order = random.choice((1, 2, 4, 8)), random.choice(("little", "big"))
            number = random.choice(_NUMBERS) & ((1 << 8 * width) - 1)
            made[at : at + width] = number.to_bytes(width, order)  # type: ignore[arg-type]
        elif way == 2:
            del made[at : at + random.choice((1, 4, 64, 512, size))]
        elif way == 3:
            made[at:at] = made[at : at + random.choice((1, 16, 512))] * random.choice((1, 2, 20))
        elif way == 4:
            made[at:at] = random.choice(_WORDS)
        elif way == 5:
            other = random.randrange(size + 1)
            made[at : at + 64] = made[other : other + 64]
        else:
            made[at:at] = random.randbytes(random.choice((1, 4, 32)))
    return bytes(made)


def linewise(content: bytes, random: Random) -> bytes:
    """Repeats, drops and swaps lines, and replaces numbers and words in them."""
    if random.random() < 0.3:
        return bytewise(content, random)
    lines = content.split(b"\n")
    for _ in range(random.choice((1, 1, 3))):
        at, other = random.randrange(len(lines)), random.randrange(len(lines))
        way = random.randrange(5)
        if way == 0:
            lines[at:at] = [lines[at]] * random.choice((1, 2, 50))
        elif way == 1:
            lines[at] = b""
        elif way == 2:
            lines[at], lines[other] = lines[other], lines[at]
        else:
            pieces = re.split(rb"([0-9.]+|[A-Za-z_]+)", lines[at])
            pieces[random.randrange(len(pieces))] = random.choice((*_WORDS, str(random.choice(_NUMBERS)).encode()))
            lines[at] = b"".join(pieces)
    return b"\n".join(lines)


def _steps(content: bytes) -> list[bytes]:
    """Cuts pickles that follow one another into their steps; what is no pickle stays whole at the end."""
    found: list[bytes] = []
    source, start = io.BytesIO(content), 0
    try:
        while start < len(content):
            places = [place for _, _, place in pickletools.genops(source) if place is not None]
            end = source.tell()
            found += [content[one:two] for one, two in zip(places, [*places[1:], end], strict=True)]
            start = end
    except Exception:  # noqa: BLE001  pickletools raises what it likes on what is no pickle
        pass
    return [*found, content[start:]]


def stepwise(content: bytes, random: Random) -> bytes:
    """Changes a pickle by its opcodes: drops, repeats, swaps and inserts them, and makes their numbers extreme."""
    if random.random() < 0.25:
        return bytewise(content, random)
    steps = _steps(content)
    for _ in range(random.choice((1, 1, 2, 5))):
        at, other = random.randrange(len(steps)), random.randrange(len(steps))
        way = random.randrange(6)
        if way == 0:
            steps[at:at] = [random.choice(_EVIL)] * random.choice((1, 1, 3))
        elif way == 1:
            steps[at] = b""
        elif way == 2:
            steps[at], steps[other] = steps[other], steps[at]
        elif way == 3:
            low, high = sorted((at, other))
            steps[at:at] = steps[low : min(high, low + 30)] * random.choice((1, 2, 30))
        elif len(steps[at]) > 1 and way == 4:
            steps[at] = steps[at][:1] + bytewise(steps[at][1:], random)
        else:
            steps[at] = random.choice(_EVIL)
    return b"".join(steps)


def zipwise(inner: Callable[[bytes, Random], bytes]) -> Callable[[bytes, Random], bytes]:
    """Changes one member of a zip and packs it again with checksums that fit; or the zip's own bytes."""

    def change(content: bytes, random: Random) -> bytes:
        if random.random() < 0.3:
            return bytewise(content, random)
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                members = [(info, archive.read(info)) for info in archive.infolist() if info.file_size < 1 << 20]
        except Exception:  # noqa: BLE001  it is mutated beyond reading
            return bytewise(content, random)
        made = io.BytesIO()
        chosen = random.randrange(len(members)) if members else -1
        with zipfile.ZipFile(made, "w") as archive:
            for number, (info, body) in enumerate(members):
                changed = inner(body, random) if number == chosen else body
                info.compress_type = random.choice((0, 0, 8)) if number == chosen else info.compress_type
                archive.writestr(info, changed)
        return made.getvalue()

    return change


def tarwise(content: bytes, random: Random) -> bytes:
    """Changes a tar by its blocks; headers get checksums that fit again."""
    blocks = [content[at : at + 512] for at in range(0, len(content), 512)] or [b""]
    for _ in range(random.choice((1, 1, 3))):
        at, other = random.randrange(len(blocks)), random.randrange(len(blocks))
        way = random.randrange(5)
        if way == 0:
            blocks[at:at] = [blocks[other]] * random.choice((1, 2, 40))
        elif way == 1:
            del blocks[at : at + random.choice((1, 2))]
            blocks = blocks or [b""]
        elif way == 2:
            blocks[at] = random.randbytes(512)
        else:
            blocks[at] = _header(bytewise(blocks[at], random) if way == 3 else blocks[at], random)
    return b"".join(blocks)


def _header(block: bytes, random: Random) -> bytes:
    made = bytearray(block[:512].ljust(512, b"\0"))
    if random.random() < 0.5:
        made[156] = random.choice(b"01234567xgLKSVMX\0")
    if random.random() < 0.3:
        made[124:136] = random.choice(
            (b"77777777777\0", b"\xff" * 12, b"\x80" + b"\0" * 10 + b"\x7f", b"-0000001000\0")
        )
    made[148:156] = b" " * 8
    made[148:156] = b"%06o\0 " % (sum(made) & 0o777777)
    return bytes(made)
