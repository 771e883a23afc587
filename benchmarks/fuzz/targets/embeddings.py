"""Features files and shards of stores: every row is read, as an import and a search do."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.fuzz.mutate import bytewise, linewise, zipwise
from benchmarks.fuzz.target import Target, as_file, as_folder
from sysu30k_bench.data.split import ROLES
from sysu30k_bench.embeddings.features.reader import Features, read_features
from sysu30k_bench.embeddings.features.stored import Stored, by_row
from sysu30k_bench.embeddings.shard import read_shard


def _features(path: Path) -> object:
    found = read_features(path)
    embeddings = [found.embedding] if isinstance(found, Features) else [found.embedding[role] for role in ROLES]
    for embedding in embeddings:
        with by_row(embedding, path.parent) as rows:
            np.asarray(rows[np.arange(min(len(rows), 3))])
        if isinstance(embedding, Stored):
            for block in embedding.blocks():
                block.sum()
    return found


def _shard(path: Path) -> object:
    return read_shard(path)


TARGETS = (
    Target("hdf5", _features, as_file("features.h5"), bytewise),
    Target("mat", _features, as_file("features.mat"), bytewise),
    Target("npz", _features, as_file("features.npz"), zipwise(linewise)),
    Target("npy", lambda root: _features(root / "features.npy"), as_folder, linewise),
    Target("parquet", _features, as_file("features.parquet"), bytewise),
    Target("shard", _shard, as_file("shard-00000.h5"), bytewise),
)
