"""Parquet: a column of keys and a column of lists, read some rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sysu30k_bench.embeddings.features.declared_size import check_declared, check_rows, require
from sysu30k_bench.embeddings.features.stored import Stored
from sysu30k_bench.extras import missing_package

_ROWS_AT_ONCE = 4096
_BUFFER = 1 << 20


def read_parquet(path: Path) -> tuple[Stored, list[str]]:
    """Opens the column `embedding` of a parquet file, and reads `key`.

    Returns:
        (N, D), and N texts.

    Raises:
        DataError: pyarrow is not installed.
        IntegrityError: They claim far more than the file can hold.
        ValueError: The columns are missing, or not of these kinds; rows differ in length.
    """
    with _opened(path) as file:
        require(("key", "embedding"), file.schema_arrow.names)
        rows = file.metadata.num_rows
        check_rows(path, "embedding", rows)
        kind = file.schema_arrow.field("embedding").type
        number = np.dtype(getattr(kind, "value_type", kind).to_pandas_dtype())
        check_declared(path, "embedding", _numbers(file.metadata) * number.itemsize)
        keys: list[str] = []
        for batch in file.iter_batches(_ROWS_AT_ONCE, columns=["key"]):
            keys += _texts(batch.column(0))
        first = next(file.iter_batches(1, columns=["embedding"]), None)
        width = 0 if first is None else first.column(0).value_lengths()[0].as_py() or 0

    def read() -> Iterator[np.ndarray]:
        with _opened(path) as again:
            for batch in again.iter_batches(_ROWS_AT_ONCE, columns=["embedding"]):
                yield _matrix(batch.column(0), number, width)

    return Stored(path, (rows, width), number, read), keys


def _opened(path: Path) -> Any:  # noqa: ANN401  pyarrow has no types
    try:
        from pyarrow import parquet  # type: ignore[import-untyped]
    except ImportError as error:
        raise missing_package("reading parquet needs pyarrow", "pyarrow") from error
    return parquet.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False, read_dictionary=["key"])


def _texts(column: Any) -> list[str]:  # noqa: ANN401
    """Reads texts by their dictionary: a file of a megabyte can name one long text a hundred thousand times."""
    if not hasattr(column, "dictionary"):
        raise ValueError(f"`key` holds {column.type} and no texts")
    texts = column.dictionary.to_pylist()
    return [str(None) if place is None else str(texts[place]) for place in column.indices.to_pylist()]


def _numbers(metadata: Any) -> int:  # noqa: ANN401
    """How many numbers the column of embeddings claims, over all groups of rows."""
    columns = [
        metadata.row_group(group).column(number)
        for group in range(metadata.num_row_groups)
        for number in range(metadata.num_columns)
    ]
    return sum(column.num_values for column in columns if column.path_in_schema.split(".")[0] == "embedding")


def _matrix(lists: Any, number: np.dtype[Any], width: int) -> np.ndarray:  # noqa: ANN401
    """Turns a column of lists into (n, D)."""
    flat = lists.flatten()
    if lists.null_count or flat.null_count or not (lists.value_lengths().to_numpy() == width).all():
        raise ValueError("some rows of `embedding` are missing or of another length")
    matrix: np.ndarray = flat.to_numpy(zero_copy_only=False).astype(number, copy=False)
    return matrix.reshape(len(lists), width)
