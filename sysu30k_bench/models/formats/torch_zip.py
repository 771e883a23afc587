"""torch's zip format (since 1.6): `data.pkl`, and `data/N` with the numbers of each storage."""

from __future__ import annotations

import io
import struct
import sys
import zipfile
import zlib

import torch

from sysu30k_bench.models.formats.faults import Damaged, Unusual
from sysu30k_bench.models.formats.mapped import MappedFile, storage_of
from sysu30k_bench.models.formats.pickles.builders import Builder
from sysu30k_bench.models.formats.pickles.machine import PickleMachine

_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_SMALL = 1 << 26
_MOST_RATIO = 200
"""A compressed entry above 64 MiB that grows more than this is taken for a bomb."""


class ZipRecords:
    """The entries of a zip file that belong to one torch archive.

    Args:
        file: The file.
        entries: Its directory, by name.
        folder: What stands before `data.pkl`, with the slash.
    """

    def __init__(self, file: MappedFile, entries: dict[str, zipfile.ZipInfo], folder: str) -> None:
        self._file = file
        self._entries = entries
        self._folder = folder
        self._storages: dict[tuple[str, int], torch.UntypedStorage] = {}
        order = self.read("byteorder").decode("latin-1") if self.has("byteorder") else "little"
        if order not in ("little", "big"):
            raise Damaged(f"its byte order is {order[:20]!r}")
        self._swap = order != sys.byteorder

    def has(self, name: str) -> bool:
        """Says whether there is an entry of this name."""
        return self._folder + name in self._entries

    def read(self, name: str) -> bytes:
        """Returns an entry's bytes, checked by its CRC.

        Raises:
            Damaged: There is no such entry, or it is damaged.
        """
        start, entry = self._find(name)
        stored = self._file.bytes[start : start + entry.compress_size]
        content = stored if entry.compress_type == zipfile.ZIP_STORED else _inflate(stored, entry)
        _check(content, entry)
        return content

    def get(self, key: str, itemsize: int) -> torch.UntypedStorage:
        """Returns the storage `data/KEY` (see `Records`)."""
        place = (key, itemsize if self._swap else 1)
        if place not in self._storages:
            start, entry = self._find(f"data/{key}")
            if entry.compress_type == zipfile.ZIP_STORED:
                _check(memoryview(self._file.bytes)[start : start + entry.file_size], entry)
                found = self._file.storage(start, entry.file_size, itemsize, swap=self._swap)
            else:
                found = storage_of(self.read(f"data/{key}"), itemsize if self._swap else 1)
            self._storages[place] = found
        return self._storages[place]

    def _find(self, name: str) -> tuple[int, zipfile.ZipInfo]:
        entry = self._entries.get(self._folder + name)
        if entry is None:
            raise Damaged(f"its entry {name} is missing")
        if entry.flag_bits & 1:
            raise Unusual(f"its entry {name} is encrypted")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Unusual(f"its entry {name} is compressed by method {entry.compress_type}; 0 and 8 are known")
        header = self._file.bytes[entry.header_offset : entry.header_offset + _LOCAL_HEADER.size]
        if len(header) < _LOCAL_HEADER.size:
            raise Damaged(f"its entry {name} lies behind its end", cut=True)
        magic, _, _, method, *_, name_length, extra_length = _LOCAL_HEADER.unpack(header)
        if magic != b"PK\x03\x04" or method != entry.compress_type:
            raise Damaged(f"its directory and its entry {name} contradict each other")
        start = entry.header_offset + _LOCAL_HEADER.size + name_length + extra_length
        if start + entry.compress_size > self._file.size:
            raise Damaged(f"its entry {name} reaches behind its end", cut=True)
        if entry.compress_type == zipfile.ZIP_STORED and entry.compress_size != entry.file_size:
            raise Damaged(f"its entry {name} has two sizes")
        return start, entry


def _inflate(stored: bytes, entry: zipfile.ZipInfo) -> bytes:
    if entry.file_size > max(_SMALL, _MOST_RATIO * len(stored)):
        raise Unusual(f"its entry {entry.filename} would grow from {len(stored):,} to {entry.file_size:,} bytes")
    try:
        content = zlib.decompressobj(-15).decompress(stored, entry.file_size + 1)
    except zlib.error as error:
        raise Damaged(f"its entry {entry.filename} cannot be decompressed") from error
    if len(content) != entry.file_size:
        raise Damaged(f"its entry {entry.filename} has another size than its directory says")
    return content


def _check(content: bytes | memoryview, entry: zipfile.ZipInfo) -> None:
    if entry.CRC not in (0, zlib.crc32(content)):  # 0: torch was told to compute none
        raise Damaged(f"its entry {entry.filename} does not match its checksum")


def archive_folder(entries: list[zipfile.ZipInfo]) -> str | None:
    """Returns the folder in which `data.pkl` lies, with its slash; None where the zip is no torch archive.

    Raises:
        Damaged: There are several.
    """
    found = [entry.filename for entry in entries if entry.filename.rpartition("/")[2] == "data.pkl"]
    if len(found) > 1:
        raise Damaged(f"it holds {len(found)} pickles: {', '.join(sorted(found)[:3])}")
    return found[0].removesuffix("data.pkl") if found else None


def read_torch_zip(file: MappedFile, entries: list[zipfile.ZipInfo], folder: str) -> tuple[object, PickleMachine]:
    """Reads a torch archive.

    Args:
        file: Its bytes.
        entries: The zip's directory.
        folder: As `archive_folder` says.

    Returns:
        The object, and the machine that read it.

    Raises:
        Damaged: It is cut off, damaged or hostile.
    """
    by_name: dict[str, zipfile.ZipInfo] = {}
    for entry in entries:
        if by_name.setdefault(entry.filename, entry) is not entry:
            raise Damaged(f"it holds two entries of the name {entry.filename}")
    records = ZipRecords(file, by_name, folder)
    pickled = records.read("data.pkl")
    builder = Builder(records, len(pickled))
    machine = PickleMachine(io.BytesIO(pickled), builder)
    content = machine.load()
    builder.tensors.finish()
    return content, machine
