"""An interpreter of pickles that builds plain values and stand-ins, and nothing else.

The standard library's `pickletools` knows the opcodes and reads their arguments; what they do is in `opcodes`. Work
and memory are linear in the bytes that are read.
"""

from __future__ import annotations

import codecs
import pickletools
from collections.abc import Callable
from typing import IO, Any, Protocol, cast

from sysu30k_bench.models.formats.faults import Damaged, Unusual
from sysu30k_bench.models.formats.pickles.opcodes import ACTIONS, Action
from sysu30k_bench.models.formats.pickles.stack import PickleStack, World
from sysu30k_bench.models.formats.pickles.standin import Global

MOST_OPCODES = 10_000_000


class Source(Protocol):
    """Where the bytes of a pickle come from: a file, a mapped file or bytes in memory."""

    def read(self, size: int, /) -> bytes:
        """Returns so many bytes, fewer at the end."""

    def readline(self) -> bytes:
        """Returns the bytes up to the next line feed."""


class PickleMachine:
    """Reads one pickle after the other from a source.

    Args:
        source: The bytes, at the beginning of a pickle.
        world: What stands behind globals, calls, states and persistent ids.

    Attributes:
        opcodes: How many have been carried out.
    """

    def __init__(self, source: Source, world: World) -> None:
        self._source = source
        self._world = world
        self._stack = PickleStack(world)
        self.opcodes = 0

    @property
    def named(self) -> set[Global]:
        """All classes and functions that the pickles named."""
        return self._stack.named

    def load(self) -> object:
        """Reads one pickle, to its STOP.

        Raises:
            Damaged: It ends early, breaks the rules of pickles, or exceeds a limit.
        """
        stack, code = self._stack, b""
        stack.clear()
        read, source, opcodes = self._source.read, cast("IO[bytes]", self._source), 0
        try:
            while (code := read(1)) != b".":
                reader, act = _OPCODES[code]
                act(stack, reader(source) if reader is not None else None)
                opcodes += 1
                if opcodes > MOST_OPCODES:
                    raise Unusual(f"its pickle has more than {MOST_OPCODES:,} steps")
            self.opcodes += opcodes
            return self._world.current(stack.items.pop())
        except KeyError as error:
            said = f"{code!r} is no step of a pickle" if code else "it ends in the middle of a pickle"
            raise Damaged(said, cut=not code) from error
        except (IndexError, ValueError, OverflowError) as error:
            if not read(1):
                raise Damaged("it ends in the middle of a pickle", cut=True) from error
            if isinstance(error, IndexError):
                raise Damaged("a step of its pickle takes more than there is") from error
            raise Damaged(f"its pickle is damaged: {str(error)[:100]}") from error


def _read_text(source: IO[bytes]) -> str:
    """Reads the quoted text of protocol 0, which may stand for bytes of Python 2: one letter a byte."""
    line = source.readline()
    quoted = line.strip()
    if not line.endswith(b"\n") or len(quoted) < 2 or quoted[:1] != quoted[-1:] or quoted[:1] not in (b"'", b'"'):
        raise ValueError("a text without quotes")
    return codecs.escape_decode(quoted[1:-1])[0].decode("latin-1")


def _read_byte(source: IO[bytes]) -> int:
    return source.read(1)[0]


def _read_four(source: IO[bytes]) -> int:
    four = source.read(4)
    return four[0] | four[1] << 8 | four[2] << 16 | four[3] << 24


Reader = Callable[[IO[bytes]], Any]
_READERS: dict[str, Reader] = {
    "STRING": _read_text,
    **dict.fromkeys(("BININT1", "BINGET", "BINPUT"), _read_byte),  # for speed: a large file has a million of these
    **dict.fromkeys(("LONG_BINGET", "LONG_BINPUT"), _read_four),
}


def _table() -> dict[bytes, tuple[Reader | None, Action]]:
    found: dict[bytes, tuple[Reader | None, Action]] = {}
    for opcode in pickletools.opcodes:
        if opcode.name in ACTIONS:
            reader = _READERS.get(opcode.name) or (opcode.arg.reader if opcode.arg else None)
            found[opcode.code.encode("latin-1")] = (reader, ACTIONS[opcode.name])
    return found


_OPCODES = _table()
