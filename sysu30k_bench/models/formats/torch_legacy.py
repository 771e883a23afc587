"""torch's format before 1.6: pickles one after the other, then the numbers of each storage."""

from __future__ import annotations

import io
import struct
from typing import Any

import torch

from sysu30k_bench.models.formats.faults import Damaged, Unusual
from sysu30k_bench.models.formats.mapped import MappedFile, storage_of
from sysu30k_bench.models.formats.pickles.builders import Builder
from sysu30k_bench.models.formats.pickles.machine import PickleMachine
from sysu30k_bench.models.formats.pickles.standin import Global
from sysu30k_bench.models.formats.pickles.tensors import storage_dtype

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
_COUNT = struct.Struct("<q")


class LegacyRecords:
    """The numbers behind the pickles; known once `locate` has run.

    Args:
        file: A mapped file, or bytes in memory.
    """

    def __init__(self, file: MappedFile | bytes) -> None:
        self._file = file
        self._places: dict[str, tuple[int, int]] = {}
        self._storages: dict[str, torch.UntypedStorage] = {}
        self.itemsizes: dict[str, int] = {}

    def locate(self, keys: object, start: int) -> None:
        """Walks over the storages.

        Args:
            keys: Their names in the file's order.
            start: Where the first begins.

        Raises:
            Damaged: They do not fit the file.
        """
        if not isinstance(keys, list):
            raise Damaged("it has no list of its storages")
        size = self._file.size if isinstance(self._file, MappedFile) else len(self._file)
        content = self._file.bytes if isinstance(self._file, MappedFile) else self._file
        for key in keys:
            itemsize = self.itemsizes.get(str(key))
            if itemsize is None:
                raise Damaged("it has a storage that its pickle does not know")
            if start + _COUNT.size > size:
                raise Damaged(
                    f"it ends before the last {len(keys) - len(self._places)} of its {len(keys)} storages", cut=True
                )
            (count,) = _COUNT.unpack(content[start : start + _COUNT.size])
            start += _COUNT.size
            if count < 0 or str(key) in self._places:
                raise Damaged("its list of storages makes no sense")
            if start + count * itemsize > size:
                missing = start + count * itemsize - size
                raise Damaged(f"it ends too early: at least {missing:,} bytes are missing", cut=True)
            self._places[str(key)] = (start, count * itemsize)
            start += count * itemsize

    def get(self, key: str, itemsize: int) -> torch.UntypedStorage:
        """Returns a storage (see `Records`)."""
        if key not in self._storages:
            if key not in self._places:
                raise Damaged("it lacks a storage that its pickle names")
            start, size = self._places[key]
            if isinstance(self._file, MappedFile):
                self._storages[key] = self._file.storage(start, size, itemsize)
            else:
                self._storages[key] = storage_of(memoryview(self._file)[start : start + size])
        return self._storages[key]


class _LegacyBuilder(Builder):
    """Notes the size of each storage's numbers on the way, for only the pickle has it."""

    def __init__(self, records: LegacyRecords, size: int) -> None:
        super().__init__(records, size)
        self._legacy = records

    def persistent(self, name: object) -> object:
        found = super().persistent(name)
        if isinstance(name, tuple) and len(name) == 6 and name[0] == "storage":
            itemsize = storage_itemsize(name[1])
            if itemsize:
                self._legacy.itemsizes.setdefault(str(name[2]), itemsize)
        return found


def storage_itemsize(kind: object) -> int:
    """Returns the bytes of one number in a class of storages, quantised ones included; 0 where it is unknown."""
    dtype = storage_dtype(kind)
    if dtype is not None:
        return dtype.itemsize
    return (
        {"QInt8Storage": 1, "QUInt8Storage": 1, "QInt32Storage": 4}.get(kind.name, 0) if isinstance(kind, Global) else 0
    )


def read_torch_legacy(file: MappedFile | bytes, start: int) -> tuple[object, PickleMachine]:
    """Reads what follows the magic number.

    Args:
        file: A mapped file, or bytes in memory.
        start: Where the second pickle begins.

    Returns:
        The object, and the machine that read it.

    Raises:
        Damaged: It is cut off, damaged or hostile.
    """
    source: Any = file.bytes if isinstance(file, MappedFile) else io.BytesIO(file)
    source.seek(start)
    records = LegacyRecords(file)
    builder = _LegacyBuilder(records, file.size if isinstance(file, MappedFile) else len(file))
    machine = PickleMachine(source, builder)
    protocol, system = machine.load(), machine.load()
    if protocol != PROTOCOL:
        raise Unusual(f"it is of torch's protocol {str(protocol)[:20]}; {PROTOCOL} is known")
    if isinstance(system, dict) and system.get("little_endian") is False:
        raise Unusual("it was written on a machine of the other byte order")
    content = machine.load()
    records.locate(machine.load(), source.tell())
    builder.tensors.finish()
    return content, machine
