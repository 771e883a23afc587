"""A value for every query: of a table that the user brings, or found in the run and its images."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd

from sysu30k_bench.data.images import DamagedImageError
from sysu30k_bench.data.inspect.appearance import Appearance, appearance
from sysu30k_bench.errors import DataError, UsageError
from sysu30k_bench.evaluation.embedding.labels import query_labels
from sysu30k_bench.report.montage import open_images
from sysu30k_bench.results.ranked_run import RankedRun

COMPUTED = ("camera", *Appearance._fields)
_KEYS = ("key", "query", "image", "name")
_MAX_BYTES = 256 << 20


def query_column(folder: Path, run: RankedRun, by: str, data: Path | None = None) -> pd.Series:
    """Finds a value for every query.

    Args:
        folder: The run folder.
        run: The run.
        by: `FILE.csv:COLUMN`, `camera`, `size`, `sharpness` or `brightness`.
        data: Where the images are now; where the run found them if None.

    Returns:
        By key; missing where a query has none, or its image does not decode.

    Raises:
        UsageError: The table has no such column, or the run is of no images.
        DataError: There is no such file, no embeddings, or no images.
    """
    keys = [str(key) for key in run.per_query.index]
    if by == "camera":
        labels = query_labels(folder)
        if labels is None:
            raise DataError(
                f"{folder} has no embeddings, which contain the cameras", hint="give a table: FILE.csv:COLUMN"
            )
        return labels["camera"].reindex(keys)
    if by in COMPUTED:
        if run.record is None:
            raise UsageError(f"{folder} has no result.json, which contains the path of the images")
        source = open_images(run.record, data, keys)
        return pd.Series({key: _look(source.read(key), by) for key in keys}, dtype=float)
    file, mark, column = by.rpartition(":")
    if not mark or not file or not column:
        known = f"write FILE.csv:COLUMN, or one of {', '.join(COMPUTED)}"
        raise UsageError(f"{by!r} is no FILE.csv:COLUMN", hint=known)
    return _of_table(Path(file), column, keys)


def _look(content: bytes, name: str) -> float | None:
    try:
        return float(getattr(appearance(content), name))
    except DamagedImageError:
        return None


def _of_table(path: Path, column: str, keys: list[str]) -> pd.Series:
    if not path.is_file():
        raise DataError(f"there is no table {path}")
    if path.stat().st_size > _MAX_BYTES:
        raise UsageError(f"{path} is too large for a table of queries")
    try:
        text = io.StringIO(path.read_bytes().decode("utf-8-sig"))
        table = pd.read_csv(text, dtype=str, keep_default_na=False, index_col=False)
    except (ValueError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise UsageError(f"{path} is no table: {error}") from error
    if column not in table.columns:
        raise UsageError(f"{path} has no column {column!r}", hint=f"it has {', '.join(map(str, table.columns[:20]))}")
    by = next((name for name in _KEYS if name in table.columns), str(table.columns[0]))
    listed = table[table[by].isin(keys)]
    if listed.empty:
        raise UsageError(
            f"no query of the run is in column {by!r} of {path}",
            hint=f"the run's queries are named as in ranking.csv, such as {keys[0]}",
        )
    if listed[by].duplicated().any():
        twice = listed.loc[listed[by].duplicated(), by].tolist()
        raise UsageError(f"{path} lists some queries twice", details=twice[:20])
    return listed.set_index(by)[column].reindex(keys)
