"""Re-ranking of a whole gallery by k-reciprocal neighbours, in memory for lists and blocks only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import sparse

from sysu30k_bench.data.protocol import Relevance
from sysu30k_bench.errors import UsageError
from sysu30k_bench.progress import Progress
from sysu30k_bench.search.engines.engine import Engine
from sysu30k_bench.search.exact.topk import TopK
from sysu30k_bench.search.gallery import Gallery
from sysu30k_bench.search.graph.reciprocal import (
    Neighbourhoods,
    RerankSettings,
    encodings,
    neighbourhoods,
    similarities,
)
from sysu30k_bench.search.graph.together import Known, QueryAndGallery, compare_all
from sysu30k_bench.search.score import TIE, pair_scores
from sysu30k_bench.search.search import SearchResult


def rerank(
    queries: np.ndarray,
    gallery: Gallery,
    relevance: Relevance,
    engine: Engine,
    settings: RerankSettings,
    *,
    top_k: int,
    memory: int,
    progress: Progress,
    keep: Path | None = None,
    unit_tolerance: float | None = None,
) -> SearchResult:
    """Ranks the gallery by (1 - lambda) Jaccard distance + lambda original distance.

    Neighbour lists are exact. The distances to rank by are float64; as elsewhere two of them tie within 1e-12.

    Args:
        queries: (Q, D) unit vectors.
        gallery: The gallery.
        relevance: Matches and junk.
        engine: For the neighbours.
        settings: k1, k2 and lambda.
        top_k: Rows to keep for each query.
        memory: Bytes for blocks.
        progress: Told of each step, and of an estimate of the first one's time before it starts.
        keep: A file for the neighbours found so far, from which another call resumes; see `compare_all`.
        unit_tolerance: Refuse rows whose norm differs from 1 by more; None takes rows of any length.

    Returns:
        As `search`; a score is 1 less the final distance.

    Raises:
        UsageError: There are fewer images than neighbours are asked for.
    """
    together = QueryAndGallery(queries, gallery)
    width = max(settings.k1 + 1, settings.k2)
    if len(together) < width:
        raise UsageError(
            f"{len(together)} images are too few for k1 {settings.k1} and k2 {settings.k2}: {width} are needed",
            hint="lower k1 and k2",
        )
    known = compare_all(together, engine, width, memory, progress, keep, unit_tolerance)
    farthest = 2 - 2 * known.lowest
    farthest[farthest <= 2 * TIE] = np.inf  # all rows are the same: relative distances are 0, as all distances are
    around = neighbourhoods(known.nearest, settings.k1, progress)
    distance = 2 - 2 * _scores_around(together, around, known, memory, progress)
    encoded = encodings(known.nearest, farthest, around, distance, settings.k2)
    similar = similarities(encoded, len(queries), progress)
    return _ranked(queries, gallery, relevance, similar, farthest[: len(queries)], settings, top_k, memory, progress)


def _scores_around(
    together: QueryAndGallery,
    around: Neighbourhoods,
    known: Known,
    memory: int,
    progress: Progress,
) -> np.ndarray:
    """Scores every row against its neighbours; those that are not among its nearest in one pass for many rows."""
    found = np.empty(len(around.member))
    progress.begin("distances", len(together), "rows")
    for rows, values in together.parts():
        span = slice(around.start[rows[0]], around.start[rows[-1] + 1])
        member = around.member[span]
        owner = np.repeat(np.arange(len(rows)), np.diff(around.start[rows[0] : rows[-1] + 2]))
        part, there = _look_up(known.nearest[rows], known.scores[rows], owner, member, len(together))
        lacking = np.flatnonzero(~there)
        lacking = lacking[np.argsort(member[lacking], kind="stable")]
        if len(lacking):
            _score_pairs(together, values, owner, member, lacking, part, memory)
        found[span] = part
        progress.advance(len(rows))
    progress.end()
    return found


def _look_up(
    nearest: np.ndarray, scores: np.ndarray, owner: np.ndarray, member: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Finds pairs among the neighbour lists of some rows; returns their scores (P,), and which were there."""
    order = np.argsort(nearest, axis=1)
    base = np.arange(len(nearest))[:, None] * count
    there = (np.take_along_axis(nearest, order, axis=1) + base).ravel()  # ascending throughout
    wanted = member + owner * count
    place = np.minimum(np.searchsorted(there, wanted), len(there) - 1)
    return np.take_along_axis(scores, order, axis=1).ravel()[place], there[place] == wanted


def _score_pairs(
    together: QueryAndGallery,
    values: np.ndarray,
    owner: np.ndarray,
    member: np.ndarray,
    pairs: np.ndarray,
    out: np.ndarray,
    memory: int,
) -> None:
    """Scores pairs, sorted by their second rows, in one pass over all rows."""
    width = values.shape[1]
    at_once = max(16, memory // (8 * 8 * width))
    for start, block in together.blocks(max(64, memory // (8 * width))):
        first, last = np.searchsorted(member[pairs], [start, start + len(block)])
        for begin in range(first, last, at_once):
            some = pairs[begin : min(begin + at_once, last)]
            out[some] = pair_scores(values[owner[some]], block[member[some] - start].astype(np.float32))


def _ranked(
    queries: np.ndarray,
    gallery: Gallery,
    relevance: Relevance,
    similar: sparse.csr_matrix,
    farthest: np.ndarray,
    settings: RerankSettings,
    top_k: int,
    memory: int,
    progress: Progress,
) -> SearchResult:
    wide = queries.astype(np.float64)
    junk = sparse.csr_matrix(
        (np.ones(len(relevance.junk_query), bool), (relevance.junk_query, relevance.junk_position)),
        shape=(relevance.query_count, relevance.gallery_count),
    ).tocsc()
    columns = similar.tocsc()

    def final(block: np.ndarray, start: int) -> np.ndarray:
        inside = slice(start, start + len(block))
        scores: np.ndarray = 1 - settings.weight * (2 - 2 * (wide @ block.astype(np.float64).T)) / farthest[:, None]
        scores -= (1 - settings.weight) * (1 - columns[:, inside].toarray())
        scores[:, relevance.junk_for_all[inside]] = -np.inf
        scores[junk[:, inside].toarray()] = -np.inf
        return scores

    rows = max(64, memory // (4 * 8 * (len(queries) + queries.shape[1])))
    match = np.empty(len(relevance.match_query))
    progress.begin("ranking", 2 * len(gallery), "rows")
    for start, block in gallery.blocks(rows):
        here = np.flatnonzero((relevance.match_position >= start) & (relevance.match_position < start + len(block)))
        scores = final(block, start)
        match[here] = scores[relevance.match_query[here], relevance.match_position[here] - start]
        progress.advance(len(block))
    above, tied = np.zeros(len(match), np.int64), np.full(len(match), -1, np.int64)  # a match ties with itself
    top = TopK(len(queries), min(top_k, len(gallery)))
    for start, block in gallery.blocks(rows):
        scores = final(block, start)
        for number, query in enumerate(relevance.match_query):
            above[number] += np.count_nonzero(scores[query] > match[number] + TIE)
            tied[number] += np.count_nonzero(np.abs(scores[query] - match[number]) <= TIE)
        query, column = np.nonzero(scores >= np.maximum(top.floor, np.finfo(np.float64).min)[:, None])
        top.offer(query, start + column, scores[query, column])
        progress.advance(len(block))
    progress.end()
    return SearchResult(relevance.match_query, relevance.match_position, match, above, tied, top.position, top.score)
