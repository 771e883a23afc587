"""The training images, 29.6 million of them, as a table: from `train.txt`, from a folder, or from tars."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sysu30k_bench.data.trees.text import MARK_BYTES, encoding_of
from sysu30k_bench.data.trees.tree import Tree
from sysu30k_bench.errors import DataError, IntegrityError
from sysu30k_bench.extras import missing_package

_BLOCK_BYTES = 32 << 20
_KEYS_AT_ONCE = 1 << 20
_FOLDER_DIGITS = 10
_SLOW = r"(?:^|/)(?P<folder>[0-9]{1,10})/(?P<file>[^/]+)$"


@dataclass(frozen=True)
class TrainingList:
    """Training images, ordered by folder.

    A folder is an identity in name alone: the authors say that there is no accurate label of single images, and users
    found several people in one folder.

    Attributes:
        table: One row an image: `folder` (int32), `file` (Arrow string).
        notes: What was unusual.
    """

    table: pd.DataFrame
    notes: list[str]

    def __len__(self) -> int:
        return len(self.table)

    @cached_property
    def folders(self) -> np.ndarray:
        """The folders that have images, (F,) int64, ascending."""
        return self._spans[0]

    @cached_property
    def counts(self) -> np.ndarray:
        """Images of each of those, (F,) int64."""
        return np.diff(self._spans[1])

    def rows_of(self, folder: int) -> range:
        """Returns the rows of a folder; empty where it has no images."""
        folders, starts = self._spans
        place = int(np.searchsorted(folders, folder))
        if place == len(folders) or folders[place] != folder:
            return range(0)
        return range(int(starts[place]), int(starts[place + 1]))

    def keys(self, rows: Iterable[int]) -> list[str]:
        """Returns the keys of rows, relative to the folder of the training set."""
        part = self.table.iloc[list(rows)]
        return [
            f"{folder:0{_FOLDER_DIGITS}d}/{file}" for folder, file in zip(part["folder"], part["file"], strict=True)
        ]

    @cached_property
    def _spans(self) -> tuple[np.ndarray, np.ndarray]:
        folders, starts = np.unique(self.table["folder"].to_numpy(), return_index=True)
        return folders.astype(np.int64), np.append(starts, len(self.table)).astype(np.int64)


def read_train_txt(path: Path) -> TrainingList:
    """Reads `train.txt`: one `<10-digit folder>/<file>` a line; folders before that, and backslashes, are taken off.

    It is UTF-8, or what its byte order mark says.

    Args:
        path: The file.

    Raises:
        DataError: It cannot be read, or pyarrow is not installed.
        IntegrityError: Some lines are something else; the first are shown.
    """
    csv = _arrow("csv")
    try:
        with path.open("rb") as file:
            encoding = encoding_of(file.read(MARK_BYTES))
        reader = csv.open_csv(
            path,
            read_options=csv.ReadOptions(
                column_names=["path"],
                block_size=_BLOCK_BYTES,
                encoding="utf8" if encoding == "utf-8-sig" else encoding,  # Arrow takes that mark off itself
            ),
            parse_options=csv.ParseOptions(delimiter="\x01", quote_char=False, escape_char=False),
            convert_options=csv.ConvertOptions(column_types={"path": _arrow().string()}),
        )
        batches = (batch.column(0) for batch in reader)
        return _build(batches, str(path))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error}") from error
    except (_arrow().ArrowInvalid, UnicodeError) as error:
        raise IntegrityError(f"{path} is not a list of paths: {error}", hint="download it again") from error


def list_training_images(tree: Tree, below: str) -> TrainingList:
    """Lists the existing images, in a folder or in tars.

    Args:
        tree: Where they are.
        below: The folder whose sub-folders have ten digits.

    Raises:
        DataError: There is none.
        IntegrityError: Some do not lie in a folder of digits.
    """
    keys = tree.images(below)
    if not keys:
        raise DataError(f"there is no training image in {tree.path / below}")
    array = _arrow().array
    parts = (array(keys[start : start + _KEYS_AT_ONCE]) for start in range(0, len(keys), _KEYS_AT_ONCE))
    return _build(parts, str(tree.path / below))


def _build(batches: Iterator[Any], where: str) -> TrainingList:
    folders, files = [], []
    bad: list[str] = []
    for paths in batches:
        folder, file, wrong = _split(paths)
        folders.append(folder)
        files.append(file)
        bad += wrong
        if len(bad) > _KEYS_AT_ONCE:
            break
    if bad:
        raise IntegrityError(
            f"{len(bad):,} lines of {where} are not <folder>/<file>",
            details=[repr(line) for line in bad[:100]],
            hint="a line must look like 0000000001/1.jpg",
        )
    arrow = _arrow()
    identity = np.concatenate(folders) if folders else np.empty(0, np.int32)
    names = arrow.chunked_array(files, arrow.string())
    notes = []
    if len(identity) and (np.diff(identity) < 0).any():
        order = np.argsort(identity, kind="stable")
        identity, names = identity[order], names.take(arrow.array(order))
        notes.append(f"the lines of {where} are not in the order of their folders; they were sorted")
    if not len(identity):
        raise DataError(f"{where} names no image")
    table = pd.DataFrame(
        {"folder": identity, "file": pd.Series(names, dtype=pd.ArrowDtype(arrow.string()))}, copy=False
    )
    return TrainingList(table, notes)


def _split(paths: Any) -> tuple[np.ndarray, Any, list[str]]:  # noqa: ANN401  Arrow arrays have no types
    """Splits paths into folders and files; the usual form without a regular expression, which takes a minute."""
    arrow, compute = _arrow(), _arrow("compute")
    paths = compute.utf8_trim_whitespace(paths)
    paths = paths.filter(compute.not_equal(paths, ""))
    usual = compute.and_(
        compute.equal(compute.utf8_slice_codeunits(paths, _FOLDER_DIGITS, _FOLDER_DIGITS + 1), "/"),
        compute.and_(
            compute.equal(compute.count_substring(paths, "/"), 1),
            compute.equal(compute.count_substring(paths, "\\"), 0),
        ),
    )
    folder = compute.utf8_slice_codeunits(paths, 0, _FOLDER_DIGITS)
    if compute.all(usual).as_py() is not False and compute.all(compute.ascii_is_decimal(folder)).as_py() is not False:
        file = compute.utf8_slice_codeunits(paths, _FOLDER_DIGITS + 1)
        return (
            _int32(compute.cast(folder, arrow.int64())),
            file,
            compute.filter(paths, compute.equal(file, "")).to_pylist(),
        )
    found = compute.extract_regex(compute.replace_substring(paths, "\\", "/"), _SLOW)
    lost = compute.is_null(found)
    kept = found.filter(compute.invert(lost))
    folder = compute.cast(compute.struct_field(kept, "folder"), arrow.int64())
    return _int32(folder), compute.struct_field(kept, "file"), paths.filter(lost).to_pylist()


def _int32(numbers: Any) -> np.ndarray:  # noqa: ANN401  Arrow arrays have no types
    values: np.ndarray = numbers.to_numpy(zero_copy_only=False)
    if len(values) and values.max() > np.iinfo(np.int32).max:
        raise IntegrityError(f"a folder is called {values.max()}, and there are 28,310")
    return values.astype(np.int32)


def _arrow(module: str | None = None) -> Any:  # noqa: ANN401  Arrow has no types
    import importlib

    try:
        return importlib.import_module("pyarrow" if module is None else f"pyarrow.{module}")
    except ImportError as error:
        raise missing_package("the training set's table needs pyarrow", "pyarrow") from error
