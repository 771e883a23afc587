"""The ranking: the result of a search, by key, as tables from which every number can be recomputed."""

from __future__ import annotations

import csv
import io
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sysu30k_bench.data.protocol import Relevance
from sysu30k_bench.errors import DataError, IntegrityError
from sysu30k_bench.files import write_atomically
from sysu30k_bench.sealed import require_told
from sysu30k_bench.search.score import TIE

if TYPE_CHECKING:
    from sysu30k_bench.search.search import SearchResult

RANKING_NAME = "ranking.csv"
TOP_NAME = "top.csv"
COLUMNS = ("query", "match", "rank_low", "rank_high", "ranked", "score", "margin")
_MAX_BYTES = 1 << 30
_MAX_RANKED = 20_000_000
_HEAD, _MOST_COLUMNS = 1 << 16, 64
_DTYPES: Mapping[Hashable, Any] = {
    "query": str,
    "match": str,
    "rank_low": "Int64",
    "rank_high": "Int64",
    "ranked": "int64",
    "score": str,
    "margin": str,
}


@dataclass(frozen=True)
class Ranking:
    """The exact ranks of all matches.

    Attributes:
        table: One row for each query and match, in the order of the queries, and one row for a query without a match:
            `query` and `match` (keys; the match is empty where there is none), `rank_low` (1 + rows that score higher),
            `rank_high` (rank_low + ties), `ranked` (rows ranked for the query), `score` of the match, and `margin` to
            the best row that is no match (negative where that row wins; NaN where every ranked row is a match).
    """

    table: pd.DataFrame

    @property
    def matched(self) -> pd.DataFrame:
        """The rows that have a match."""
        return self.table[self.table["match"] != ""]

    @property
    def query_keys(self) -> list[str]:
        """Every query once, in order."""
        return list(dict.fromkeys(self.table["query"]))

    @property
    def unmatched(self) -> list[str]:
        """The queries without a match."""
        return list(self.table.loc[self.table["match"] == "", "query"])

    def to_csv(self) -> bytes:
        """Returns the bytes of `ranking.csv`; floats are written so that they read back to the same bits."""
        text: str = self.table.to_csv(index=False, lineterminator="\n")
        return text.encode("utf-8")

    def write(self, folder: Path) -> Path:
        """Writes `ranking.csv`."""
        path = folder / RANKING_NAME
        write_atomically(path, self.to_csv())
        return path


def make_ranking(
    result: SearchResult,
    relevance: Relevance,
    query_keys: Sequence[str],
    gallery_keys: Sequence[str],
    skipped: Sequence[str] = (),
) -> Ranking:
    """Joins a search's integers with the keys.

    Args:
        result: What the search found; its top-k must reach one row past a query's matches for every margin to be known.
        relevance: Matches and junk.
        query_keys: Q keys.
        gallery_keys: G keys.
        skipped: Keys of queries that have no embedding; they count as queries without a match.
    """
    impostor = _best_impostor(result, relevance)
    low = 1 + result.above
    matched = pd.DataFrame(
        {
            "position": result.match_query,
            "match": [gallery_keys[position] for position in result.match_position.tolist()],
            "rank_low": low,
            "rank_high": low + result.tied,
            "score": result.match_score,
            "margin": result.match_score - impostor[result.match_query],
        }
    )
    lonely = np.flatnonzero(relevance.match_counts == 0)
    without = pd.DataFrame({"position": lonely, "match": ""})
    table = pd.concat([matched, without]) if len(lonely) else matched
    table = table.sort_values("position", kind="stable").reset_index(drop=True)
    table["query"] = [query_keys[position] for position in table["position"]]
    table["ranked"] = relevance.ranked_counts[table["position"]]
    table["rank_low"] = table["rank_low"].astype("Int64")
    table["rank_high"] = table["rank_high"].astype("Int64")
    if skipped:
        rows = pd.DataFrame({"query": list(skipped), "match": "", "ranked": relevance.gallery_count})
        table = pd.concat([table, rows], ignore_index=True)
    return Ranking(table[list(COLUMNS)])


def _best_impostor(result: SearchResult, relevance: Relevance) -> np.ndarray:
    queries, k = result.top_position.shape
    pairs = np.repeat(np.arange(queries), k) * relevance.gallery_count + result.top_position.ravel()
    matches = relevance.match_query * relevance.gallery_count + relevance.match_position
    impostor = (result.top_position >= 0) & ~np.isin(pairs, matches).reshape(queries, k)
    first = impostor.argmax(axis=1)
    best = result.top_score[np.arange(queries), first]
    return np.where(impostor.any(axis=1), best, np.nan)


def top_table(
    result: SearchResult, relevance: Relevance, query_keys: Sequence[str], gallery_keys: Sequence[str], k: int
) -> pd.DataFrame:
    """Lists the best k gallery images of every query: `query`, `place`, `gallery`, `score`, `match`."""
    found = result.top_position[:, :k]
    query, place = np.nonzero(found >= 0)
    position = found[query, place]
    matches = relevance.match_query * relevance.gallery_count + relevance.match_position
    return pd.DataFrame(
        {
            "query": [query_keys[index] for index in query.tolist()],
            "place": place + 1,
            "gallery": [gallery_keys[index] for index in position.tolist()],
            "score": result.top_score[query, place],
            "match": np.isin(query * relevance.gallery_count + position, matches).astype(int),
        }
    )


def read_ranking(path: Path, *, told: bool = True) -> Ranking:
    """Reads a `ranking.csv` and checks that it can be one.

    Args:
        path: The file.
        told: In a run folder, refuse a ranking that is not the one that `search.json` and `result.json` tell of.

    Raises:
        DataError: There is no such file.
        IntegrityError: It is no ranking (columns, numbers out of range, a pair twice, a query with and without a
            match), or not the one that its run folder records.
    """
    if not path.is_file():
        raise DataError(f"there is no ranking {path}", hint="give a run folder or its ranking.csv")
    if path.stat().st_size > _MAX_BYTES:
        raise IntegrityError(f"{path} is too large for a ranking")
    if told:
        require_told(path)
    try:
        content = path.read_bytes()
        refuse_many_columns(content)
        table = pd.read_csv(
            io.BytesIO(content),
            dtype=_DTYPES,
            keep_default_na=False,
            na_values={name: [""] for name in ("rank_low", "rank_high")},
        )
        if tuple(table.columns) != COLUMNS:
            raise ValueError(f"its columns are not {', '.join(COLUMNS)}")
        if not isinstance(table.index, pd.RangeIndex):
            raise ValueError("its lines have more fields than there are columns")
        for name in ("score", "margin"):  # Python's own parser reads back every bit that was written
            table[name] = [float(text) if text else np.nan for text in table[name]]
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise IntegrityError(f"{path} is not a ranking: {error}") from error
    fault = _fault(table)
    if fault:
        raise IntegrityError(f"{path} is not a ranking: {fault}", hint="run the search again")
    return Ranking(table)


def refuse_many_columns(content: bytes) -> None:
    """Refuses a table whose first lines have very many fields, for pandas takes seconds for some thousand columns.

    Raises:
        ValueError: It is refused.
    """
    head = content[:_HEAD].decode("utf-8", "replace")
    try:
        lines = csv.reader(io.StringIO(head, newline=""))
        rows = list(islice((row for row in lines if row), 2))  # pandas, too, begins at the first line that is not blank
    except csv.Error as error:
        raise ValueError(str(error)) from error
    if any(len(row) > _MOST_COLUMNS for row in rows) or (len(rows) < 2 and len(content) > _HEAD):
        raise ValueError(f"its first lines have more than {_MOST_COLUMNS} columns, or no end")


def _fault(table: pd.DataFrame) -> str | None:
    if table.empty:
        return "it has no row"
    lonely = table["match"] == ""
    matched = table[~lonely]
    ranks = matched[["rank_low", "rank_high", "score"]]
    if (
        ranks.isna().any().any()
        or not table.loc[lonely, ["rank_low", "rank_high", "score", "margin"]].isna().all().all()
    ):
        return "ranks are missing, or given where there is no match"
    if not (
        (matched["rank_low"] >= 1)
        & (matched["rank_low"] <= matched["rank_high"])
        & (matched["rank_high"] <= matched["ranked"])
    ).all():
        return "some ranks are out of range"
    if not table["ranked"].between(0, _MAX_RANKED).all():
        return f"some queries rank more than {_MAX_RANKED:,} images, or fewer than none"
    if (table["query"] == "").any() or table.duplicated(["query", "match"]).any():
        return "a query has no key, or a pair occurs twice"
    if set(table.loc[lonely, "query"]) & set(matched["query"]):
        return "a query is listed with a match and without one"
    if not np.isfinite(matched["score"]).all() or np.isinf(matched["margin"]).any():
        return "some scores are not finite"
    if (matched["margin"].abs() > 1 / TIE).any():
        return "some margins are impossible"
    return None
