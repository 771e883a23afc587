"""What callers pass: arrays of numpy, tensors of torch on any device, lists; checked, and named where wrong."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence, Sized
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import torch

from sysu30k_bench.embeddings.write import to_unit_length
from sysu30k_bench.errors import DataError, UsageError
from sysu30k_bench.words import count, with_article

Matrix: TypeAlias = "np.ndarray | torch.Tensor | Sequence[Sequence[float]]"
Whole: TypeAlias = "np.ndarray | torch.Tensor | pd.Series[Any] | Sequence[int]"

_MAX_DIMENSION = 1_000_000


def matrix(name: str, value: Matrix) -> np.ndarray:
    """Takes embeddings as they are.

    Args:
        name: The argument, for messages.
        value: (N, D) floating-point numbers of any width, on any device.

    Returns:
        (N, D) float16, float32 or float64; a view of the caller's memory where that is possible.

    Raises:
        UsageError: The shape or the type is another.
    """
    array = _as_numpy(name, value)
    if array.ndim != 2 or not array.shape[0] or not 1 <= array.shape[1] <= _MAX_DIMENSION:
        raise UsageError(
            f"{name} has shape {array.shape}; embeddings are (N, D), a row for each image",
            hint=f"{name}.reshape(len({name}), -1), or {name}[None] for a single image" if array.ndim != 2 else None,
        )
    if array.dtype.kind != "f":
        raise UsageError(
            f"{name} has type {array.dtype}; embeddings are floating-point numbers", hint=f"{name}.astype('float32')"
        )
    return array if array.dtype.itemsize <= 8 else array.astype(np.float64)


def same_width(query: np.ndarray, gallery: np.ndarray) -> None:
    """Refuses embeddings of two widths.

    Raises:
        UsageError: Both shapes are quoted.
    """
    if query.shape[1] != gallery.shape[1]:
        raise UsageError(
            f"query has shape {query.shape} and gallery {gallery.shape}: their embeddings have different widths"
        )


def unit_rows(name: str, array: np.ndarray) -> np.ndarray:
    """Scales embeddings to unit length in float64 and stores them in float32, as a features file's are.

    Args:
        name: The argument, for messages.
        array: (N, D) floating point.

    Raises:
        DataError: Some rows are zero, NaN or infinite; they are named by number.
    """
    unit, bad = to_unit_length(array, "float32")
    if bad.any():
        rows = np.flatnonzero(bad)
        raise DataError(
            f"{name}: {count(len(rows), 'row is', 'rows are')} zero, NaN or infinite",
            details=[f"{name}[{row}]" for row in rows.tolist()],
            hint="a diverged network gives such embeddings; omit these images, or repair them",
        )
    return unit


def whole_numbers(name: str, value: Whole, length: int, beside: str) -> np.ndarray:
    """Takes identities or cameras.

    Args:
        name: The argument, for messages.
        value: N whole numbers, of any type that holds them.
        length: N.
        beside: The argument that has as many rows.

    Returns:
        (N,) int64.

    Raises:
        UsageError: They are not whole numbers, or not N.
    """
    array = _as_numpy(name, value)
    if array.shape != (length,):
        raise UsageError(f"{name} has shape {array.shape} and {beside} has {count(length, 'row')}")
    if array.dtype.kind == "f" and np.isfinite(array).all() and (array == np.rint(array)).all():
        array = array.astype(np.float64)
        inside = (np.abs(array) < 2.0**53).all()
    elif array.dtype.kind in "iu":
        inside = array.dtype.kind == "i" or not (array > np.iinfo(np.int64).max).any()
    elif array.dtype.kind in "USO" and all(isinstance(one, str | bytes) for one in array.tolist()):
        raise UsageError(
            f"{name} holds text", hint="convert it to whole numbers: np.unique(ids, return_inverse=True)[1]"
        )
    else:
        raise UsageError(
            f"{name} has type {array.dtype}, and not every value is a whole number",
            hint=f"number the {'cameras' if name.endswith('cams') else 'people'} from 0",
        )
    if not inside:
        raise UsageError(f"{name} holds numbers that do not fit 64 bits")
    return array.astype(np.int64)


def image_names(name: str, value: Sequence[str | os.PathLike[str]] | None, length: int, role: str) -> list[str]:
    """Takes the names of images, or makes some: `query/0`, `query/1` and so on.

    Args:
        name: The argument, for messages.
        value: N texts or paths, no two alike.
        length: N.
        role: `query` or `gallery`.

    Raises:
        UsageError: They are not N printable names, or some occur twice.
    """
    if value is None:
        return [f"{role}/{number}" for number in range(length)]
    if not isinstance(value, Sized) or not isinstance(value, Iterable):
        raise UsageError(f"{name} is {with_article(type(value).__name__)}; it is a list of names")
    if isinstance(value, str) or len(value) != length:
        raise UsageError(f"{name} has {len(value):,} names and {role} has {count(length, 'row')}")
    names = [_path_text(item) for item in value]
    bad = [repr(given) for given, known in zip(value, names, strict=True) if not known or not known.isprintable()]
    if bad:
        raise UsageError(f"{name} holds {count(len(bad), 'entry that is', 'entries that are')} no name", details=bad)
    if len(set(names)) < len(names):
        seen: set[str] = set()
        twice = [known for known in names if known in seen or seen.add(known)]  # type: ignore[func-returns-value]
        raise UsageError(f"{name} holds {count(len(twice), 'name')} more than once", details=twice)
    return names


def _path_text(item: object) -> str:
    return os.fspath(item) if isinstance(item, str) else str(item) if isinstance(item, os.PathLike) else ""


def _as_numpy(name: str, value: object) -> np.ndarray:
    if isinstance(value, torch.Tensor):
        if value.layout != torch.strided:
            raise UsageError(f"{name} is a sparse tensor", hint=f"{name}.to_dense()")
        if value.is_meta:
            raise UsageError(f"{name} is a tensor on the device meta, which holds no numbers")
        plain = value.detach().cpu()
        wide = plain.is_floating_point() and plain.dtype not in {torch.float16, torch.float32, torch.float64}
        array: np.ndarray = (plain.float() if wide else plain).numpy()
        return array
    if value is None or isinstance(value, str | bytes | os.PathLike):
        raise UsageError(f"{name} is {with_article(type(value).__name__)}; it is an array, a tensor or a list")
    if isinstance(value, np.ma.MaskedArray):  # asarray would drop the mask, and rank what it hides
        raise UsageError(f"{name} is a masked array", hint=f"omit its masked rows, or {name}.filled(...)")
    try:
        return np.asarray(value)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{name} is no array: {error}") from error
