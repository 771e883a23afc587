"""Writing a whole store from arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sysu30k_bench.data.split import Split
from sysu30k_bench.embeddings.export import default_shard_rows
from sysu30k_bench.embeddings.identity import StoreIdentity
from sysu30k_bench.embeddings.manifest import Manifest, ShardEntry, read_manifest, refuse_other
from sysu30k_bench.embeddings.shard import Shard, encode_shard, shard_name
from sysu30k_bench.errors import IntegrityError
from sysu30k_bench.files import write_atomically


def write_store(folder: Path, split: Split, embedding: np.ndarray, rows: np.ndarray, identity: StoreIdentity) -> None:
    """Writes embeddings that were made elsewhere, scaled to unit length, as a store.

    Args:
        folder: The store's folder.
        split: The rows.
        embedding: (M, D) floating point.
        rows: (N,) int64, the row of `embedding` for each row of the split; -1 where there is none.
        identity: What the embeddings are of.

    Raises:
        UsageError: The folder holds embeddings of something else.
        IntegrityError: Some embeddings are zero, NaN or infinite; the images are named.
        DataError: The folder cannot be written.
    """
    existing = read_manifest(folder)
    refuse_other(folder, existing, identity)
    dimension = embedding.shape[1]
    shard_rows = default_shard_rows(dimension, identity.dtype)
    manifest = Manifest(identity=identity, rows=len(split), dimension=dimension, shard_rows=shard_rows)
    manifest.write(folder)
    entries = []
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
    manifest.model_copy(update={"complete": True, "shards": entries}).write(folder)


def _shard(split: Split, embedding: np.ndarray, rows: np.ndarray, span: range, identity: StoreIdentity) -> Shard:
    positions = np.asarray(span)
    there = rows[positions] >= 0
    vectors = embedding[rows[positions[there]]].astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        norms = np.linalg.norm(vectors, axis=1)
    bad = ~(np.isfinite(norms) & (norms > 0))
    keys = [split.keys[position] for position in positions[there].tolist()]
    if bad.any():
        raise IntegrityError(
            f"{int(bad.sum())} embeddings are zero, NaN or infinite",
            details=[key for key, wrong in zip(keys, bad.tolist(), strict=True) if wrong],
            hint="make the features file again",
        )
    return Shard(
        first=span.start,
        span=len(span),
        embedding=(vectors / norms[:, None]).astype(identity.dtype),
        key=keys,
        person_id=split.person_ids[positions[there]],
        camera_id=split.camera_ids[positions[there]],
        damaged={split.keys[position]: "not in the features file" for position in positions[~there].tolist()},
    )
