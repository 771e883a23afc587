"""Writing a whole store from arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sysu30k_bench.data.split import Split
from sysu30k_bench.embeddings.export import default_shard_rows
from sysu30k_bench.embeddings.features.stored import RowsOnDisk
from sysu30k_bench.embeddings.identity import StoreIdentity
from sysu30k_bench.embeddings.manifest import Manifest, ShardEntry, read_manifest, refuse_other
from sysu30k_bench.embeddings.shard import Shard, encode_shard, shard_name
from sysu30k_bench.errors import IntegrityError
from sysu30k_bench.files import write_atomically
from sysu30k_bench.progress import Progress, Silent
from sysu30k_bench.words import count

_ROWS_AT_ONCE = 128
"""So many rows of some thousand numbers stay in the cache."""


def write_store(
    folder: Path,
    split: Split,
    embedding: np.ndarray | RowsOnDisk,
    rows: np.ndarray,
    identity: StoreIdentity,
    progress: Progress | None = None,
) -> None:
    """Writes embeddings that were made elsewhere, scaled to unit length, as a store; in memory for one shard.

    Args:
        folder: The store's folder.
        split: The rows.
        embedding: (M, D) floating point.
        rows: (N,) int64, the row of `embedding` for each row of the split; -1 where there is none.
        identity: What the embeddings are of.
        progress: Told of rows written.

    Raises:
        UsageError: The folder holds embeddings of another model or data set.
        IntegrityError: Some embeddings are zero, NaN or infinite; the images are named. Or the file ends too early.
        DataError: The folder cannot be written.
    """
    existing = read_manifest(folder)
    refuse_other(folder, existing, identity)
    dimension = embedding.shape[1]
    shard_rows = default_shard_rows(dimension, identity.dtype)
    manifest = Manifest(identity=identity, rows=len(split), dimension=dimension, shard_rows=shard_rows)
    manifest.write(folder)
    entries = []
    progress = progress or Silent()
    progress.begin(f"import {identity.role}", len(split), "rows")
    for index, first in enumerate(range(0, len(split), shard_rows)):
        span = range(first, min(first + shard_rows, len(split)))
        shard = _shard(split, embedding, rows, span, identity)
        write_atomically(folder / shard_name(index), encode_shard(shard, identity.digest))
        entries.append(
            ShardEntry(
                file=shard_name(index),
                first=first,
                rows=len(shard.key),
                content_sha256=shard.content_digest,
                damaged=len(shard.damaged),
            )
        )
        progress.advance(len(span))
    progress.end()
    manifest.model_copy(update={"complete": True, "shards": entries}).write(folder)


def _shard(
    split: Split, embedding: np.ndarray | RowsOnDisk, rows: np.ndarray, span: range, identity: StoreIdentity
) -> Shard:
    positions, names = np.asarray(span), split.keys
    there = rows[positions] >= 0
    unit, bad = to_unit_length(embedding[rows[positions[there]]], identity.dtype)
    keys = [names[position] for position in positions[there].tolist()]
    if bad.any():
        raise IntegrityError(
            f"{count(int(bad.sum()), 'embedding is', 'embeddings are')} zero, NaN or infinite",
            details=[key for key, wrong in zip(keys, bad.tolist(), strict=True) if wrong],
            hint="create the features file again",
        )
    return Shard(
        first=span.start,
        span=len(span),
        embedding=unit,
        key=keys,
        person_id=split.person_ids[positions[there]],
        camera_id=split.camera_ids[positions[there]],
        damaged={names[position]: "not in the features file" for position in positions[~there].tolist()},
    )


_SHORT, _LONG = 1e-140, 1e140
"""Norms between which no square is lost."""


def to_unit_length(vectors: np.ndarray, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Scales rows in float64, some at a time; returns (n, D), and (n,) which of them cannot be scaled.

    Rows whose squares would leave the range of float64 are first scaled by a power of two, which is exact.
    """
    unit, norms = np.empty(vectors.shape, dtype), np.empty(len(vectors))
    with np.errstate(all="ignore"):
        for start in range(0, len(vectors), _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            wide = vectors[part].astype(np.float64)
            norms[part] = np.linalg.norm(wide, axis=1)
            odd = start + np.flatnonzero(~((norms[part] > _SHORT) & (norms[part] < _LONG)))
            if len(odd):
                rows = wide[odd - start]
                _, exponent = np.frexp(np.abs(rows).max(axis=1))
                wide[odd - start] = np.ldexp(rows, -exponent[:, None])
                norms[odd] = np.linalg.norm(wide[odd - start], axis=1)
            unit[part] = wide / norms[part, None]
    return unit, ~(np.isfinite(norms) & (norms > 0))
