"""Reading a finished store: as a stream of checked shards, or a few rows by their positions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from sysu30k_bench.data.split import rows_fingerprint
from sysu30k_bench.embeddings.identity import StoreIdentity
from sysu30k_bench.embeddings.manifest import Manifest, ShardEntry, read_manifest
from sysu30k_bench.embeddings.shard import Labels, Shard, read_labels, read_shard
from sysu30k_bench.errors import DataError, IntegrityError

_AGAIN = "run the export again: it writes only missing and damaged shards"


class Store:
    """A finished store of embeddings.

    Args:
        folder: The folder with `manifest.json` and the shards.
        manifest: What the manifest says.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest

    @classmethod
    def open(cls, folder: Path) -> Store:
        """Opens a store.

        Raises:
            DataError: There is no store, or it is not finished.
            IntegrityError: The manifest is damaged, or its shards do not make up the whole.
        """
        manifest = read_manifest(folder)
        if manifest is None:
            raise DataError(f"there is no embedding store in {folder}", hint="make it with `sysu30k-bench export`")
        if not manifest.complete:
            raise DataError(f"the embedding store in {folder} is not finished", hint="run the export again: it resumes")
        _check_plan(folder, manifest)
        return cls(folder, manifest)

    @property
    def identity(self) -> StoreIdentity:
        """What the embeddings are of."""
        return self.manifest.identity

    @property
    def dimension(self) -> int:
        """The width D of an embedding."""
        return self.manifest.dimension

    def __len__(self) -> int:
        return sum(entry.rows for entry in self.manifest.shards)

    def shards(self, numbers: Sequence[int] | None = None, *, recycle: bool = False) -> Iterator[Shard]:
        """Yields shards, each read and checked while the one before it is in use.

        Args:
            numbers: Which, in the order wanted; all where None.
            recycle: Read into the same memory again and again: a shard's embeddings are then valid only until the next
                but one is asked for.

        Raises:
            IntegrityError: A shard is missing, damaged, or not the one that the manifest lists.
        """
        with ThreadPoolExecutor(1) as reader:
            entries = self.manifest.shards
            if numbers is not None:
                entries = [entries[number] for number in numbers]
            most = max((entry.rows for entry in entries), default=0)
            memory = [np.empty((most, self.dimension), self.identity.dtype) for _ in range(2)] if recycle else [None]
            waiting = [(entry, memory[number % len(memory)]) for number, entry in enumerate(entries)]
            pending = reader.submit(self._read, *waiting[0]) if waiting else None
            for following in [*waiting[1:], None]:
                if pending is None:
                    return
                shard = pending.result()
                # with two pieces of memory the next may be read only once the caller is done with the one before
                pending = reader.submit(self._read, *following) if following is not None else None
                yield shard

    def labels(self) -> Labels:
        """Reads the labels of all rows, without their embeddings, and checks them against the split's fingerprint.

        Raises:
            IntegrityError: A shard is missing or damaged, or the labels are not those of the split.
        """
        parts = [read_labels(self._path(entry), entry.rows, entry.damaged) for entry in self.manifest.shards]
        labels = Labels(
            [key for part in parts for key in part.key],
            np.concatenate([part.person_id for part in parts]),
            np.concatenate([part.camera_id for part in parts]),
            {key: reason for part in parts for key, reason in part.damaged.items()},
        )
        if len(set(labels.key)) != len(labels.key):
            raise IntegrityError(f"{self.folder}: some keys occur more than once", hint=_AGAIN)
        if not labels.damaged:
            found = rows_fingerprint(self.identity.role, labels.key, labels.person_id, labels.camera_id)
            if found != self.identity.split:
                raise IntegrityError(f"{self.folder}: the labels are not those of the split", hint=_AGAIN)
        return labels

    def embeddings(self) -> np.ndarray:
        """Reads all embeddings at once, (N, D); meant for the query side and for small stores."""
        return np.concatenate([shard.embedding for shard in self.shards()])

    def rows(self, positions: np.ndarray) -> np.ndarray:
        """Reads some embeddings.

        Args:
            positions: (P,) int64 positions among the store's rows, in any order.

        Returns:
            (P, D) in the stored type, in the order asked for.
        """
        out = np.empty((len(positions), self.dimension), self.identity.dtype)
        ends = np.cumsum([entry.rows for entry in self.manifest.shards])
        of_shard = np.searchsorted(ends, positions, side="right")
        for index in np.unique(of_shard):
            mine = of_shard == index
            start = int(ends[index]) - self.manifest.shards[index].rows
            out[mine] = self._read(self.manifest.shards[index]).embedding[positions[mine] - start]
        return out

    def _read(self, entry: ShardEntry, into: np.ndarray | None = None) -> Shard:
        path = self._path(entry)
        shard = read_shard(path, identity=self.identity.digest, content=entry.content_sha256, into=into)
        as_listed = (shard.first, len(shard.key), shard.embedding.shape[1], str(shard.embedding.dtype))
        if as_listed != (entry.first, entry.rows, self.dimension, self.identity.dtype):
            raise IntegrityError(f"{path} is not the shard that the manifest lists", hint=_AGAIN)
        return shard

    def _path(self, entry: ShardEntry) -> Path:
        path = self.folder / entry.file
        if not path.is_file():
            raise IntegrityError(f"{path} is missing", hint=_AGAIN)
        return path


def _check_plan(folder: Path, manifest: Manifest) -> None:
    firsts = [entry.first for entry in manifest.shards]
    if len(firsts) != manifest.shard_count or firsts != [
        index * manifest.shard_rows for index in range(manifest.shard_count)
    ]:
        raise IntegrityError(f"{folder}: the manifest does not list every shard once", hint=_AGAIN)
    if sum(entry.rows + entry.damaged for entry in manifest.shards) != manifest.rows:
        raise IntegrityError(f"{folder}: the manifest's shards do not add up to its rows", hint=_AGAIN)
