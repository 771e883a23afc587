"""Galleries of the benchmark: what the filters meet, from easy to hard."""

from __future__ import annotations

import numpy as np

KINDS = ("clustered", "relu", "random")
_CHUNK = 8192


def draw(kind: str, queries: int, gallery: int, dimension: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draws queries and a gallery whose first rows are the queries' matches.

    Args:
        kind: `clustered` as a trained network's embeddings, `relu` as pooled features of a self-supervised one
            (non-negative, half of them zero, all similar), `random` as no network's (normal numbers).
        queries: Q.
        gallery: G.
        dimension: D.
        seed: Of the drawing.

    Returns:
        (Q, D) and (G, D) float32 unit vectors.
    """
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    centres = rng.standard_normal((5000, dimension), np.float32)
    base = np.abs(rng.standard_normal(dimension, np.float32))

    def rows(count: int, of: np.ndarray) -> np.ndarray:
        noise = rng.standard_normal((count, dimension), np.float32)
        if kind == "random":
            return noise
        if kind == "clustered":
            return centres[of] + 0.8 * noise
        return np.maximum(base + 0.6 * centres[of] + 0.5 * noise, 0)

    own = rng.permutation(len(centres))[:queries] if queries <= len(centres) else rng.integers(0, len(centres), queries)
    out = np.empty((gallery, dimension), np.float32)
    asked = _unit(rows(queries, own))
    for start in range(0, gallery, _CHUNK):
        count = min(_CHUNK, gallery - start)
        of = rng.integers(0, len(centres), count)
        here = max(0, min(queries - start, count))
        of[:here] = own[start : start + here]
        out[start : start + count] = _unit(rows(count, of))
    return asked, out


def _unit(rows: np.ndarray) -> np.ndarray:
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows
