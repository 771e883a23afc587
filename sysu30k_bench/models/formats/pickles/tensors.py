"""Tensors out of a pickle: which storage, which part of it, and whether that part lies inside."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch

from sysu30k_bench.models.formats.faults import Damaged, NotPlain, Unusual
from sysu30k_bench.models.formats.pickles.standin import Global

MOST_DIMENSIONS = 64
MOST_REPEATED = 1 << 24
"""Elements that a tensor may have beyond those of its storage, by strides of 0."""

DTYPES = {str(value).removeprefix("torch."): value for value in vars(torch).values() if isinstance(value, torch.dtype)}
_QUANTISED = {"quint8", "qint8", "qint32", "quint4x2", "quint2x4"}
_STORAGES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
    "UntypedStorage": torch.uint8,
    "_UntypedStorage": torch.uint8,
}


class Records(Protocol):
    """The raw numbers of a file."""

    def get(self, key: str, itemsize: int) -> torch.UntypedStorage:
        """Returns a storage in the native byte order, the same one for the same key.

        Args:
            key: Its name in the file.
            itemsize: Bytes of one number, which matters where the file's byte order is another.

        Raises:
            Damaged: It is missing or not whole.
        """


@dataclass(frozen=True, slots=True)
class Storage:
    """A storage that a pickle refers to.

    Attributes:
        records: Where its numbers are.
        key: Its name there.
        dtype: Of its numbers.
        first: The first number that belongs to it, where it is a part of what lies under the key.
        count: How many numbers it has.
    """

    records: Records
    key: str
    dtype: torch.dtype
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class _Part:
    tensor: torch.Tensor
    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]
    metadata: Mapping[str, bool]


def storage_dtype(kind: object) -> torch.dtype | None:
    """Returns the dtype of a class of storages; None where it is none, or quantised."""
    if isinstance(kind, Global) and (kind.module == "torch" or kind.module.startswith("torch.")):
        return _STORAGES.get(kind.name)
    return None


def plain_dtype(kind: object) -> torch.dtype | None:
    """Returns torch's dtype for its global; None where it is none, or quantised."""
    if isinstance(kind, Global) and kind.module == "torch" and kind.name not in _QUANTISED:
        return DTYPES.get(kind.name)
    return None


class TensorMaker:
    """Makes tensors whose numbers are put under them once the file's records are known."""

    def __init__(self) -> None:
        self._parts: list[_Part] = []

    def make(
        self,
        storage: object,
        offset: object,
        size: object,
        stride: object,
        *,
        dtype: torch.dtype | None = None,
        metadata: object = None,
    ) -> torch.Tensor:
        """Makes a tensor, empty until `finish`.

        Args:
            storage: A `Storage`.
            offset: Its first number in the storage.
            size: Its lengths.
            stride: Steps in the storage, one a dimension.
            dtype: Of its numbers, where the storage's is another.
            metadata: Whether the bits for conjugate and negative views are set.

        Raises:
            NotPlain: The storage is of an unknown kind.
            Damaged: The numbers make no sense, or reach beyond the storage.
        """
        if not isinstance(storage, Storage):
            raise NotPlain
        lengths, steps = _numbers(size), _numbers(stride)
        if type(offset) is not int or not 0 <= offset < 1 << 62 or len(lengths) != len(steps):
            raise Damaged("a tensor's offset, shape or strides make no sense")
        flags = metadata if isinstance(metadata, dict) else {}
        if any(name not in ("conj", "neg") or type(value) is not bool for name, value in flags.items()):
            raise NotPlain
        dtype = dtype or storage.dtype
        total = storage.count * storage.dtype.itemsize
        count = math.prod(lengths)
        last = offset + sum((length - 1) * step for length, step in zip(lengths, steps, strict=True))
        if count and (last + 1) * dtype.itemsize > total:
            raise Damaged(f"a tensor of shape {lengths} reaches beyond its storage")
        # a part of an empty tensor begins anywhere: nothing is read there
        if not count and 0 < total < offset * dtype.itemsize:
            raise Damaged(f"a tensor of shape {lengths} has a storage of {storage.count:,} numbers")
        if count > max(storage.count, MOST_REPEATED):
            raise Unusual(f"a tensor of shape {lengths} repeats a storage of {storage.count:,}")
        tensor = torch.empty(0, dtype=dtype)
        self._parts.append(_Part(tensor, storage, offset, lengths, steps, flags))
        return tensor

    def finish(self) -> None:
        """Puts the numbers under the tensors that were made.

        Raises:
            Damaged: A record is missing or not whole.
        """
        for part in self._parts:
            storage = part.storage
            itemsize = storage.dtype.itemsize
            raw = storage.records.get(storage.key, itemsize // 2 if storage.dtype.is_complex else itemsize)
            if (storage.first + storage.count) * itemsize > raw.nbytes():
                raise Damaged(f"storage {storage.key} holds {raw.nbytes():,} bytes, less than its tensors need")
            first = storage.first * itemsize
            try:
                if first:
                    raw = raw[first : first + storage.count * itemsize]
                part.tensor.set_(raw, part.offset, part.size, part.stride)
                if part.metadata:
                    torch._utils.set_tensor_metadata(part.tensor, dict(part.metadata))  # type: ignore[no-untyped-call]  # noqa: SLF001
            except RuntimeError as error:
                raise Damaged(f"a tensor of shape {part.size} cannot be: {str(error).splitlines()[0]}") from error
        self._parts.clear()


def _numbers(value: object) -> tuple[int, ...]:
    if not isinstance(value, (tuple, list)) or len(value) > MOST_DIMENSIONS:
        raise Damaged("a tensor's shape or strides make no sense")
    if not all(type(number) is int and number >= 0 for number in value):
        raise Damaged("a tensor's shape or strides make no sense")
    if any(number >= 1 << 48 for number in value):
        raise Unusual("a tensor's shape or strides make no sense")
    return tuple(value)
