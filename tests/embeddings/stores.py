"""Small stores for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sysu30k_bench.data.split import rows_fingerprint
from sysu30k_bench.embeddings.identity import StoreIdentity
from sysu30k_bench.embeddings.manifest import Manifest, ShardEntry
from sysu30k_bench.embeddings.shard import Shard, encode_shard, shard_name


def write_store(
    folder: Path,
    embeddings: np.ndarray,
    keys: list[str],
    persons: np.ndarray,
    cameras: np.ndarray,
    *,
    role: str = "gallery",
    shard_rows: int = 7,
) -> Path:
    """Writes a finished store straight from arrays."""
    identity = StoreIdentity(
        weights="test",
        card="0" * 64,
        adapter="test",
        split=rows_fingerprint(role, keys, persons, cameras),
        dataset="sysu30k",
        role=role,  # type: ignore[arg-type]
        dtype=str(embeddings.dtype),  # type: ignore[arg-type]
    )
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for index, first in enumerate(range(0, len(keys), shard_rows)):
        part = slice(first, min(first + shard_rows, len(keys)))
        shard = Shard(first, part.stop - first, embeddings[part], keys[part], persons[part], cameras[part])
        (folder / shard_name(index)).write_bytes(encode_shard(shard, identity.digest))
        entries.append(
            ShardEntry(file=shard_name(index), first=first, rows=len(shard.key), content_sha256=shard.content_digest)
        )
    Manifest(
        identity=identity,
        rows=len(keys),
        dimension=embeddings.shape[1],
        shard_rows=shard_rows,
        complete=True,
        shards=entries,
    ).write(folder)
    return folder
