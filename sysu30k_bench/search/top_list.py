"""The stored top lists of a run, `top.csv`."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd

from sysu30k_bench.errors import DataError, UsageError
from sysu30k_bench.sealed import require_told
from sysu30k_bench.search.ranking import TOP_NAME, refuse_many_columns

_MAX_BYTES = 1 << 30


def read_top(folder: Path, *, told: bool = True) -> pd.DataFrame:
    """Reads the best gallery images of every query of a run, `top.csv`.

    Args:
        folder: The run folder.
        told: Refuse lists that are not those that `search.json` and `result.json` tell of.

    Returns:
        `query`, `place`, `gallery`, `score`, `match`.

    Raises:
        DataError: There is no such file.
        UsageError: It is something else.
        IntegrityError: It is not the file that the run folder records.
    """
    path = folder / TOP_NAME
    if not path.is_file() or path.stat().st_size > _MAX_BYTES:
        raise DataError(f"there is no {path}", hint="make it with `sysu30k-bench search`")
    if told:
        require_told(path)
    try:
        content = path.read_bytes()
        refuse_many_columns(content)
        top = pd.read_csv(io.BytesIO(content), dtype={"query": str, "gallery": str})
        top = top[["query", "place", "gallery", "score", "match"]].astype({"score": float, "match": int})
    except (ValueError, KeyError, OverflowError) as error:
        raise UsageError(f"{path} is no list of the best images: {error}") from error
    if not np.isfinite(top["score"]).all():
        raise UsageError(f"{path} is no list of the best images: some scores are not finite")
    return top
