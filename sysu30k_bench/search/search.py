"""The search: exact ranks of every match and exact top-k of every query, in one pass over the gallery."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from sysu30k_bench.data.protocol import Relevance
from sysu30k_bench.errors import IntegrityError
from sysu30k_bench.processes import Ranks
from sysu30k_bench.progress import Progress, Silent
from sysu30k_bench.search.engines.engine import FAST_FROM, Engine
from sysu30k_bench.search.exact import compiled
from sysu30k_bench.search.exact.block import BlockScores, Rows
from sysu30k_bench.search.exact.break_even import Pace
from sysu30k_bench.search.exact.collect import collect_block
from sysu30k_bench.search.exact.count import count_block
from sysu30k_bench.search.exact.saved_search import Kept
from sysu30k_bench.search.exact.topk import TopK
from sysu30k_bench.search.gallery import Gallery
from sysu30k_bench.search.norms import check_norms
from sysu30k_bench.search.score import pair_scores
from sysu30k_bench.search.scored_blocks import scored_blocks

MAX_BLOCK_ROWS = 4096
"""More do not fit the last-level cache beside their scores, and are slower."""


@dataclass(frozen=True)
class SearchResult:
    """Exact integers, and the float64 scores that they were counted from.

    Attributes:
        match_query: (T,) int64, the query of each match.
        match_position: (T,) int64, its gallery position.
        match_score: (T,) float64.
        above: (T,) int64, ranked rows that score higher by more than 1e-12.
        tied: (T,) int64, other ranked rows within 1e-12.
        top_position: (Q, k) int64 gallery positions, best first; -1 behind the last where fewer than k are ranked.
        top_score: (Q, k) float64; minus infinity where the position is -1.
    """

    match_query: np.ndarray
    match_position: np.ndarray
    match_score: np.ndarray
    above: np.ndarray
    tied: np.ndarray
    top_position: np.ndarray
    top_score: np.ndarray


def search(
    queries: np.ndarray,
    gallery: Gallery,
    relevance: Relevance,
    engine: Engine,
    *,
    top_k: int,
    block_rows: int = 4096,
    unit_tolerance: float | None = None,
    fast: bool | None = None,
    progress: Progress | None = None,
    ranks: Ranks | None = None,
    keep: Path | None = None,
    keep_every: float = 30.0,
) -> SearchResult:
    """Ranks the whole gallery for every query.

    The engine's approximate scores decide a pair if their error bound allows it; every other pair is scored in float64
    (see `pair_scores`). The result depends on the embeddings alone.

    Args:
        queries: (Q, D) float32 or float16 embeddings.
        gallery: The rows to search.
        relevance: Matches and junk.
        engine: The filter.
        top_k: Rows to keep for each query, at least 1.
        block_rows: Gallery rows in one block.
        unit_tolerance: Refuse rows whose norm differs from 1 by more; None takes rows of any length.
        fast: Use the compiled loops; None does so where there are such and the job is large enough to load them.
        progress: Told of gallery rows done.
        ranks: This process among those whose galleries make up the whole; all of them get the whole result.
        keep: A file for what is done, from which a search of the same name resumes; None keeps nothing. The name must
            stand for the embeddings: nothing else is compared.
        keep_every: Seconds between two writings.

    Returns:
        Counts for every match, and the top-k.

    Raises:
        IntegrityError: Embeddings are zero, NaN, infinite or not of unit length, or the widths differ.
    """
    progress = progress or Silent()
    if fast is None:
        fast = len(queries) * len(gallery) * queries.shape[1] >= FAST_FROM and compiled.is_compiled()
    known = Rows(np.ascontiguousarray(queries, np.float32), fast=fast)
    check_norms(known.norms, lambda row: f"query {row}", unit_tolerance)
    match_score = _match_scores(known.values, gallery, relevance)
    counter = _Counter(relevance, match_score)
    top = TopK(len(queries), min(top_k, len(gallery)))
    kept = Kept(keep, keep_every)
    finished = kept.resume(counter.above, counter.tied, top, len(gallery))
    engine.load_queries(known.values, known.bounds)
    progress.begin("search", gallery.share(finished), "rows")
    scored = scored_blocks(
        known,
        gallery,
        engine,
        Pace(engine),
        block_rows=block_rows,
        done=finished,
        fast=fast,
        unit_tolerance=unit_tolerance,
    )
    for start, block in scored:
        count = len(block.rows)
        _exclude_junk(block, relevance, start, count)
        counter.count(block, start, count)
        collect_block(block, start, top)
        progress.advance(count)
        kept.note(start + count, counter.above, counter.tied, top)
    progress.end()
    _merge(ranks or Ranks(), counter, top)
    kept.forget()
    return SearchResult(
        relevance.match_query,
        relevance.match_position,
        match_score,
        counter.above,
        counter.tied,
        top.position,
        top.score,
    )


_MATCHES_AT_ONCE = 4096


def _merge(ranks: Ranks, counter: _Counter, top: TopK) -> None:
    """Adds up what the processes counted, and offers each the others' top-k: a few megabytes, whatever the gallery."""
    if ranks.world == 1:
        return
    parts = ranks.gather((counter.above, counter.tied, top.position, top.score))
    counter.above[:] = sum(part[0] for part in parts)
    counter.tied[:] = sum(part[1] for part in parts)
    for rank, (_, _, position, score) in enumerate(parts):
        if rank != ranks.rank:
            query, place = np.nonzero(position >= 0)
            if len(query):
                top.offer(query, position[query, place], score[query, place])


class _Counter:
    """Counts over all blocks; the first match of every query, then the second, and so on, as one pass each."""

    def __init__(self, relevance: Relevance, match_score: np.ndarray) -> None:
        self.above = np.zeros(len(match_score), np.int64)
        self.tied = np.zeros(len(match_score), np.int64)
        self._relevance = relevance
        self._score = match_score
        counts = relevance.match_counts
        ordinal = np.arange(len(match_score)) - np.repeat(np.cumsum(counts) - counts, counts)
        self._rounds = [np.flatnonzero(ordinal == number) for number in range(int(counts.max(initial=0)))]

    def count(self, block: BlockScores, start: int, rows: int) -> None:
        for matches in self._rounds:
            position = self._relevance.match_position[matches] - start
            own = np.where((position >= 0) & (position < rows), position, -1)
            query = self._relevance.match_query[matches]
            above, tied = count_block(block, query, self._score[matches], own)
            self.above[matches] += above
            self.tied[matches] += tied


def _match_scores(queries: np.ndarray, gallery: Gallery, relevance: Relevance) -> np.ndarray:
    order = np.argsort(relevance.match_position, kind="stable")
    scores = np.empty(len(order))
    for start in range(0, len(order), _MATCHES_AT_ONCE):
        part = order[start : start + _MATCHES_AT_ONCE]
        positions = relevance.match_position[part]
        matches = np.ascontiguousarray(gallery.rows(positions), np.float32)
        if matches.shape[1] != queries.shape[1]:
            raise IntegrityError(f"queries have {queries.shape[1]} dimensions and the gallery has {matches.shape[1]}")
        check_norms(Rows(matches).norms, partial(_name_at, gallery, positions), None)
        scores[part] = pair_scores(queries[relevance.match_query[part]], matches)
    return scores


def _name_at(gallery: Gallery, positions: np.ndarray, row: int) -> str:
    return gallery.name(int(positions[row]))


def _exclude_junk(block: BlockScores, relevance: Relevance, start: int, rows: int) -> None:
    inside = (relevance.junk_position >= start) & (relevance.junk_position < start + rows)
    block.exclude(relevance.junk_query[inside], relevance.junk_position[inside] - start)
    everywhere = np.flatnonzero(relevance.junk_for_all[start : start + rows])
    if len(everywhere):
        block.exclude(slice(None), everywhere)


def block_rows_for(memory: int, queries: int, dimension: int) -> int:
    """Returns how many gallery rows a block may have within a memory budget.

    A block costs, for each row, its embedding in float32 and (where ties abound) float64 or in codes, and for each
    query a score, a product and three masks; the two shards being read come on top.

    Args:
        memory: Bytes.
        queries: Q.
        dimension: D.
    """
    per_row = dimension * (4 + 8) + queries * (4 + 4 + 3) + 128 * 8 * 6
    return max(64, min(MAX_BLOCK_ROWS, int(memory * 0.5) // per_row))
