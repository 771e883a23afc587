"""k-reciprocal encodings (Zhong et al., CVPR 2017) from neighbour lists: memory grows with images x neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from sysu30k_bench.progress import Progress, Silent

_ROWS_AT_ONCE = 4096
_SILENT = Silent()


@dataclass(frozen=True)
class RerankSettings:
    """The algorithm's numbers, by default those of the paper and of the authors of DGL.

    Attributes:
        k1: Neighbours that may be reciprocal.
        k2: Neighbours whose encodings are averaged.
        weight: lambda, the share of the original distance in the final one.
    """

    k1: int = 20
    k2: int = 6
    weight: float = 0.3


@dataclass(frozen=True)
class Neighbourhoods:
    """The k-reciprocal neighbours of every row, with their own nearest added where these mostly agree.

    Attributes:
        start: (N + 1,) int64, where each row's neighbours begin in `member`.
        member: (M,) int64, the neighbours, ascending within a row.
    """

    start: np.ndarray
    member: np.ndarray


def neighbourhoods(nearest: np.ndarray, k1: int, progress: Progress = _SILENT) -> Neighbourhoods:
    """Finds whom every row is encoded by; takes no distances, so that those of all rows can be looked up at once.

    Args:
        nearest: (N, K) int64, the rows nearest to each, itself first; K is at least k1 + 1.
        k1: Neighbours that may be reciprocal.
        progress: Told of rows.
    """
    count = len(nearest)
    progress.begin("neighbourhoods", count, "rows")
    near, close = _reciprocal(nearest, k1), _reciprocal(nearest, round(k1 / 2))
    length = np.diff(close.indptr)
    counts, members = [np.zeros(1, np.int64)], []
    for start in range(0, count, _ROWS_AT_ONCE):
        own = near[start : start + _ROWS_AT_ONCE]
        overlap = own.multiply(own @ close.T).tocsr()  # how many of each neighbour's own nearest are here, too
        overlap.data = (overlap.data > 2 / 3 * length[overlap.indices]).astype(np.int32)
        overlap.eliminate_zeros()
        whole = (own + overlap @ close).tocsr()
        whole.sort_indices()
        counts.append(np.diff(whole.indptr))
        members.append(whole.indices)
        progress.advance(own.shape[0])
    progress.end()
    return Neighbourhoods(np.cumsum(np.concatenate(counts), dtype=np.int64), np.concatenate(members).astype(np.int64))


def encodings(
    nearest: np.ndarray, farthest: np.ndarray, around: Neighbourhoods, distance: np.ndarray, k2: int
) -> sparse.csr_matrix:
    """Encodes every row by its k-reciprocal neighbours.

    Args:
        nearest: (N, K) int64, the rows nearest to each, itself first; K is at least k2.
        farthest: (N,) the distance of each row's farthest row, relative to which the published code takes distances.
        around: The neighbours.
        distance: (M,) the distance of each row to each of its neighbours.
        k2: Neighbours whose encodings are averaged.

    Returns:
        (N, N) sparse; every row sums to 1.
    """
    values = np.empty(len(distance))
    for start in range(0, len(nearest), _ROWS_AT_ONCE):
        first = around.start[start : start + _ROWS_AT_ONCE + 1]
        owner = np.repeat(np.arange(len(first) - 1), np.diff(first))
        weights = np.exp(-distance[first[0] : first[-1]] / farthest[start + owner])
        values[first[0] : first[-1]] = weights / np.bincount(owner, weights)[owner]
    count = len(nearest)
    return _averaged(sparse.csr_matrix((values, around.member, around.start), shape=(count, count)), nearest, k2)


def similarities(encoded: sparse.csr_matrix, query_count: int, progress: Progress = _SILENT) -> sparse.csr_matrix:
    """Computes Jaccard similarities of queries and gallery: the sum of minima over the sum of maxima.

    Args:
        encoded: (N, N), queries first.
        query_count: Q.
        progress: Told of queries.

    Returns:
        (Q, G) sparse; what is not stored shares nothing and is 0.
    """
    gallery = encoded[query_count:].tocsc()
    count = gallery.shape[0]
    rows = []
    progress.begin("similarities", query_count, "queries")
    for query in range(query_count):
        first, last = encoded.indptr[query : query + 2]
        shared = np.zeros(count)
        for column, value in zip(encoded.indices[first:last], encoded.data[first:last], strict=True):
            begin, end = gallery.indptr[column : column + 2]
            shared[gallery.indices[begin:end]] += np.minimum(value, gallery.data[begin:end])
        found = np.flatnonzero(shared)
        part = shared[found] / (2 - shared[found])
        rows.append(sparse.csr_matrix((part, (np.zeros(len(found), np.int64), found)), shape=(1, count)))
        progress.advance(1)
    progress.end()
    return sparse.vstack(rows, format="csr")


def _reciprocal(nearest: np.ndarray, k: int) -> sparse.csr_matrix:
    """Which of each row's neighbours within k have that row within k, too: (N, N) of ones."""
    mutual = np.empty((len(nearest), k + 1), bool)
    for start in range(0, len(nearest), _ROWS_AT_ONCE):
        rows = np.arange(start, min(start + _ROWS_AT_ONCE, len(nearest)))
        forward = nearest[rows, : k + 1]
        mutual[rows] = (nearest[forward, : k + 1] == rows[:, None, None]).any(axis=2)
    start_of = np.concatenate([[0], np.cumsum(mutual.sum(axis=1))])
    member = nearest[:, : k + 1][mutual]
    return sparse.csr_matrix((np.ones(len(member), np.int32), member, start_of), shape=(len(nearest),) * 2)


def _averaged(encoded: sparse.csr_matrix, nearest: np.ndarray, k2: int) -> sparse.csr_matrix:
    """Local query expansion: the mean encoding of the k2 nearest."""
    if k2 == 1:
        return encoded
    count = len(nearest)
    rows = np.repeat(np.arange(count), k2)
    weights = np.full(count * k2, 1 / k2)
    mean = sparse.csr_matrix((weights, (rows, nearest[:, :k2].ravel())), shape=(count, count))
    return (mean @ encoded).tocsr()
