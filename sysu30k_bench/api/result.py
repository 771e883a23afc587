"""The result of an evaluation: numbers with their intervals, every rank, and the folder that other commands read."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from sysu30k_bench.api.arguments import path_of, whole_number
from sysu30k_bench.api.result_forms import as_html, as_text
from sysu30k_bench.errors import DataError, UsageError
from sysu30k_bench.evaluation.run_folder import RunFolder
from sysu30k_bench.evaluation.step_notes import EXPORT_NOTES, SEARCH_NOTES, ExportNotes, SearchNotes, write_notes
from sysu30k_bench.files import write_atomically
from sysu30k_bench.metrics.expected import group_ties, hit_probability
from sysu30k_bench.metrics.intervals import wilson
from sysu30k_bench.metrics.summary import summarise
from sysu30k_bench.results.build import metrics_of
from sysu30k_bench.results.ranked_run import RankedRun, as_run
from sysu30k_bench.results.record import RESULT_NAME, EvaluationRecord, MedianRank, Metric, Metrics
from sysu30k_bench.results.titles import TITLES
from sysu30k_bench.search.ranking import RANKING_NAME, TOP_NAME, Ranking
from sysu30k_bench.search.top_list import read_top

_FILES = (RANKING_NAME, TOP_NAME, EXPORT_NOTES, SEARCH_NOTES, RESULT_NAME)


class Notes(NamedTuple):
    """What a run in memory knows, which a run folder holds as files."""

    exported: ExportNotes
    searched: SearchNotes


class Result:
    """An evaluation.

    Attributes:
        name: What comparisons call it.
        record: The evaluation record, as `result.json` has it; None for a ranking without one.
        folder: Its run folder; None while it is in memory alone.
    """

    def __init__(
        self,
        ranking: Ranking,
        *,
        name: str,
        record: EvaluationRecord | None = None,
        top: pd.DataFrame | None = None,
        notes: Notes | None = None,
        folder: Path | None = None,
    ) -> None:
        self.name = name
        self.record = record
        self.folder = folder
        self._ranking, self._top, self._notes = ranking, top, notes

    @property
    def rank1(self) -> Metric:
        """Rank-1 with `.value`, `.low`, `.high` (95 % interval) and `.n`: the expectation under random tie order."""
        return self._metrics.rank1

    @property
    def rank5(self) -> Metric:
        """Rank-5; see `rank1`."""
        return self._metrics.rank5

    @property
    def rank10(self) -> Metric:
        """Rank-10; see `rank1`."""
        return self._metrics.rank10

    @property
    def rank20(self) -> Metric:
        """Rank-20; see `rank1`."""
        return self._metrics.rank20

    @property
    def ap_standard(self) -> Metric:
        """Mean average precision as retrieval defines it."""
        return self._metrics.ap_standard

    @property
    def ap_trapezoid(self) -> Metric:
        """Mean average precision by the trapezoid rule, as in Market-1501's script and its descendants."""
        return self._metrics.ap_trapezoid

    @property
    def minp(self) -> Metric:
        """Mean inverse negative penalty (Ye et al., TPAMI 2021)."""
        return self._metrics.minp

    @property
    def median_rank(self) -> MedianRank | None:
        """Median rank of the first match; None if its interval includes queries without a match."""
        return self._metrics.median_rank

    @property
    def metrics(self) -> dict[str, float]:
        """The values by name, for a logger."""
        return {name: getattr(self._metrics, name).value for name in TITLES}

    @property
    def official(self) -> bool:
        """Whether this is the published protocol on the published lists by a network that a digest identifies."""
        return self.record is not None and self.record.official

    @property
    def ranking(self) -> pd.DataFrame:
        """One row for each query and match, as `ranking.csv` has them (a copy); see `docs/protocol.md`."""
        return self._ranking.table.copy()

    @property
    def top(self) -> pd.DataFrame:
        """The best gallery images of every query, as `top.csv` has them (a copy).

        Raises:
            DataError: The run has no such list.
        """
        if self._top is None:
            if self.folder is None or not self.folder.is_dir():
                raise DataError(f"{self.name} has no list of the best images", hint="give a run folder")
            self._top = read_top(self.folder)
        return self._top.copy()

    @property
    def per_query(self) -> pd.DataFrame:
        """What each query contributes to each metric, by its name (a copy)."""
        return self.as_ranked_run().per_query.copy()

    def cmc(self, k: int) -> Metric:
        """Returns the cumulative match characteristic at any k, with Wilson's interval.

        Args:
            k: The rank, from 1.

        Raises:
            UsageError: k is below 1.
        """
        wanted = whole_number("k", k)
        hits, matched = 0.0, self._ranking.matched
        low, high = (matched[name].to_numpy(np.int64) for name in ("rank_low", "rank_high"))
        for positions in matched.groupby("query", sort=False).indices.values():
            groups = group_ties(low[positions], high[positions])
            hits += max(hit_probability(group, wanted) for group in groups)
        n = len(self._ranking.query_keys)
        return Metric(**wilson(hits, n)._asdict(), n=n)

    def save(self, folder: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Writes a run folder that `load_run`, `compare`, `gate`, `score` and `report` read; embeddings are not in it.

        Args:
            folder: Where; made if need be.
            overwrite: Replace the run that is there.

        Returns:
            The folder.

        Raises:
            UsageError: The folder holds another run, or embeddings.
            DataError: It cannot be written.
        """
        path = path_of("folder", folder)
        if (path / "embeddings").exists() or (not overwrite and any((path / name).exists() for name in _FILES)):
            raise UsageError(f"{path} already contains a run", hint="choose another folder, or overwrite=True")
        with RunFolder(path).locked():
            for name in _FILES:
                (path / name).unlink(missing_ok=True)
            self._write(path)
        self.folder = self.folder or path
        return path

    def as_ranked_run(self) -> RankedRun:
        """Returns the run as comparisons see it."""
        return self._ranked_run

    def __repr__(self) -> str:
        return as_text(self.name, self._metrics, self.record, self.folder)

    def _repr_html_(self) -> str:
        return as_html(self.name, self._metrics, self.record, self.folder)

    @cached_property
    def _ranked_run(self) -> RankedRun:
        return as_run(self.name, self._ranking, self.record)

    @cached_property
    def _metrics(self) -> Metrics:
        return self.record.metrics if self.record is not None else metrics_of(summarise(self._ranking))

    def _write(self, path: Path) -> None:
        if self.folder is not None and self.folder.is_dir():
            for name in _FILES:
                if (self.folder / name).is_file():
                    write_atomically(path / name, (self.folder / name).read_bytes())
            return
        self._ranking.write(path)
        if self._top is not None:
            write_atomically(path / TOP_NAME, self._top.to_csv(index=False, lineterminator="\n").encode())
        if self._notes is not None:
            write_notes(path / EXPORT_NOTES, self._notes.exported)
            write_notes(path / SEARCH_NOTES, self._notes.searched)
        if self.record is not None:
            self.record.write(path)
