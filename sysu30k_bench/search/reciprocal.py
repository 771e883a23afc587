"""k-reciprocal encodings (Zhong et al., CVPR 2017) from neighbour lists: memory grows with images x neighbours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse

Between = Callable[[int, np.ndarray], np.ndarray]
"""From a row and (n,) other rows to their (n,) distances, 2 - 2 s."""


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


def encodings(
    nearest: np.ndarray, farthest: np.ndarray, between: Between, settings: RerankSettings
) -> sparse.csr_matrix:
    """Encodes every row by its k-reciprocal neighbours.

    Args:
        nearest: (N, K) int64, the rows nearest to each, itself first; K is at least k1 + 1 and k2.
        farthest: (N,) the distance of each row's farthest row, relative to which the published code takes distances.
        between: Distances of a row to others.
        settings: k1 and k2.

    Returns:
        (N, N) sparse; every row sums to 1.
    """
    count, half = len(nearest), round(settings.k1 / 2)
    columns, values = [], []
    for row in range(count):
        near = _reciprocal(nearest, row, settings.k1)
        whole = near
        for candidate in near:
            own = _reciprocal(nearest, int(candidate), half)
            if len(np.intersect1d(own, near, assume_unique=True)) > 2 / 3 * len(own):
                whole = np.append(whole, own)
        whole = np.unique(whole)
        weights = np.exp(-between(row, whole) / farthest[row])
        columns.append(whole)
        values.append(weights / weights.sum())
    start = np.cumsum([0, *(len(part) for part in columns)])
    encoded = sparse.csr_matrix((np.concatenate(values), np.concatenate(columns), start), shape=(count, count))
    return _averaged(encoded, nearest, settings.k2)


def similarities(encoded: sparse.csr_matrix, query_count: int) -> sparse.csr_matrix:
    """Computes Jaccard similarities of queries and gallery: the sum of minima over the sum of maxima.

    Args:
        encoded: (N, N), queries first.
        query_count: Q.

    Returns:
        (Q, G) sparse; what is not stored shares nothing and is 0.
    """
    gallery = encoded[query_count:].tocsc()
    count = gallery.shape[0]
    rows = []
    for query in range(query_count):
        first, last = encoded.indptr[query : query + 2]
        shared = np.zeros(count)
        for column, value in zip(encoded.indices[first:last], encoded.data[first:last], strict=True):
            begin, end = gallery.indptr[column : column + 2]
            shared[gallery.indices[begin:end]] += np.minimum(value, gallery.data[begin:end])
        found = np.flatnonzero(shared)
        part = shared[found] / (2 - shared[found])
        rows.append(sparse.csr_matrix((part, (np.zeros(len(found), np.int64), found)), shape=(1, count)))
    return sparse.vstack(rows, format="csr")


def _reciprocal(nearest: np.ndarray, row: int, k: int) -> np.ndarray:
    """Neighbours within k that have this row within k, too."""
    forward = nearest[row, : k + 1]
    found: np.ndarray = forward[(nearest[forward, : k + 1] == row).any(axis=1)]
    return found


def _averaged(encoded: sparse.csr_matrix, nearest: np.ndarray, k2: int) -> sparse.csr_matrix:
    """Local query expansion: the mean encoding of the k2 nearest."""
    if k2 == 1:
        return encoded
    count = len(nearest)
    rows = np.repeat(np.arange(count), k2)
    weights = np.full(count * k2, 1 / k2)
    mean = sparse.csr_matrix((weights, (rows, nearest[:, :k2].ravel())), shape=(count, count))
    return (mean @ encoded).tocsr()
