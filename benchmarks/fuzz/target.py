"""A target: one reader, how its file is placed, and what mutates it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from benchmarks.fuzz.mutate import bytewise

Read = Callable[[Path], object]
Mutate = Callable[[bytes, Random], bytes]


class Violation(Exception):  # noqa: N818  what is found, not an error of the fuzzer
    """A target's own finding: the reader returned something that it must refuse."""


def as_file(name: str) -> Callable[[Path, bytes], Path]:
    """Places an input as a file of a name."""

    def place(folder: Path, content: bytes) -> Path:
        path = folder / name
        path.write_bytes(content)
        return path

    return place


def as_folder(folder: Path, content: bytes) -> Path:
    """Places an input as a folder of files: `name:size` and a line feed before each one's bytes.

    A name that starts with `@` is a symbolic link to what follows. Names stay in the folder, whatever the input says.
    """
    root = folder / "root"
    root.mkdir()
    at = 0
    while 0 <= (end := content.find(b"\n", at)) < len(content) and end - at < 300:
        name, _, size = content[at:end].decode("utf-8", "surrogateescape").rpartition(":")
        length = int(size) if size.isascii() and size.isdigit() and len(size) < 9 else 0
        body, at = content[end + 1 : end + 1 + length], end + 1 + length
        link, parts = name.startswith("@"), [part[:100] for part in name.lstrip("@").split("/")]
        if "" in parts or {".", ".."} & set(parts) or "\0" in name:
            continue
        path = root.joinpath(*parts)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if link:
                path.symlink_to(body.decode("utf-8", "surrogateescape")[:200].replace("\0", "") or ".")
            else:
                path.write_bytes(body)
        except (OSError, ValueError):
            continue
    return root


def packed(files: dict[str, bytes]) -> bytes:
    """Writes files as `as_folder` reads them."""
    return b"".join(f"{name}:{len(body)}\n".encode() + body for name, body in files.items())


@dataclass(frozen=True)
class Target:
    """A reader under test.

    Attributes:
        name: Of the target, and of its folder of seeds.
        read: Calls the reader on what `place` returned; reads everything that a command would.
        place: Writes an input into a fresh folder.
        mutate: Changes an input where it matters.
        refusals: What the reader may raise beside `BenchError`; its callers expect it.
        allowed: Audit events that its libraries need.
        seconds: Processor time that an input may take.
        growth: MiB of memory that an input may add.
        heavy: Whether it imports a library of its own, which takes seconds: replayed apart from the others.
    """

    name: str
    read: Read
    place: Callable[[Path, bytes], Path]
    mutate: Mutate = bytewise
    refusals: tuple[type[Exception], ...] = ()
    allowed: frozenset[str] = frozenset()
    seconds: float = 5.0
    growth: int = 1024
    heavy: bool = False
