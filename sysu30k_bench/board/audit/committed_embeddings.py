"""The embeddings of a run, as a stranger hands them over: held against the digests that commit to them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sysu30k_bench.board.audit.merkle import merkle_root
from sysu30k_bench.board.rows import Evidence
from sysu30k_bench.data.split import ROLES, Role, TestSet
from sysu30k_bench.embeddings.manifest import read_manifest
from sysu30k_bench.embeddings.shard import read_shard
from sysu30k_bench.embeddings.store import Store
from sysu30k_bench.errors import CheckFailedError, DataError, IntegrityError
from sysu30k_bench.words import count


@dataclass(frozen=True)
class Committed:
    """Both stores of a run, found to be those that evidence commits to.

    Attributes:
        folder: The run folder.
        stores: The stores, by role.
        test_set: The lists that they are of.
    """

    folder: Path
    stores: dict[Role, Store]
    test_set: TestSet

    @classmethod
    def open(cls, folder: Path, evidence: Evidence, test_set: TestSet) -> Committed:
        """Opens both stores, and believes nothing that their manifests say.

        Raises:
            CheckFailedError: They are not what the evidence commits to, or not of these lists.
            DataError: Something is missing; missing shards are named.
        """
        for role in ROLES:
            if read_manifest(folder / "embeddings" / role) is None:
                raise DataError(
                    f"there is no manifest of the {role} in {folder}", hint="the whole run folder is needed"
                )
        stores = {role: Store.open(folder / "embeddings" / role) for role in ROLES}
        digests = [shard.content_sha256 for role in ROLES for shard in stores[role].manifest.shards]
        if len(digests) != evidence.shards or merkle_root(digests) != evidence.shards_root:
            raise CheckFailedError(f"{folder} does not hold the embeddings that the row commits to")
        for role in ROLES:
            _of_the_list(stores[role], test_set, role, evidence)
        missing = [
            f"{role}/{shard.file}"
            for role in ROLES
            for shard in stores[role].manifest.shards
            if not (stores[role].folder / shard.file).is_file()
        ]
        if missing:
            lost = count(len(missing), f"shard of {folder} is", f"shards of {folder} are")
            raise DataError(f"{lost} not there", details=missing, hint="ask for them")
        return cls(folder, stores, test_set)

    def rows(self, role: Role, positions: np.ndarray) -> np.ndarray:
        """Reads every shard of a store, and returns some of its embeddings.

        The SHA-256 of each shard is computed: the checksum that a search goes by stands in the file, where a forger can
        set it.

        Args:
            role: Which store.
            positions: (P,) ascending.

        Returns:
            (P, D) float64.

        Raises:
            CheckFailedError: A shard is not what is committed to, or of other images than the list's.
            IntegrityError: A shard is damaged.
        """
        store, keys = self.stores[role], self.test_set.split(role).keys
        out = np.empty((len(positions), store.dimension))
        for entry in store.manifest.shards:
            path = store.folder / entry.file
            try:
                shard = read_shard(path, identity=store.identity.digest)
            except IntegrityError as error:
                raise IntegrityError(error.message, hint="ask for it again, as it was committed") from error
            shape = (entry.rows, store.dimension)
            if shard.content_digest != entry.content_sha256 or shard.first != entry.first:
                raise CheckFailedError(f"{path} is not the shard that the row commits to")
            if shard.embedding.shape != shape or str(shard.embedding.dtype) != store.identity.dtype:
                raise CheckFailedError(f"{path} holds {shard.embedding.shape} {shard.embedding.dtype}, not {shape}")
            if shard.key != keys[entry.first : entry.first + entry.rows]:
                raise CheckFailedError(f"{path} is of other images than the list")
            mine = (positions >= entry.first) & (positions < entry.first + entry.rows)
            out[mine] = shard.embedding[positions[mine] - entry.first]
        return out


def _of_the_list(store: Store, test_set: TestSet, role: Role, evidence: Evidence) -> None:
    manifest, count = store.manifest, len(test_set.split(role))
    listed = getattr(evidence, f"{role}_fingerprint")
    whole = [min(manifest.shard_rows, count - first) for first in range(0, count, manifest.shard_rows)]
    faults = [
        said
        for wrong, said in (
            (test_set.split(role).fingerprint != listed, "the images here are of another list than the row's"),
            (store.identity.split != listed, "the embeddings are of another list than the row's"),
            (any(shard.damaged for shard in manifest.shards), "images were left out: it was never official"),
            (manifest.rows != count, f"the manifest has {manifest.rows:,} rows and the list {count:,}"),
            ([shard.rows for shard in manifest.shards] != whole, "the shards do not cover the list"),
            (manifest.dimension != evidence.dimension, f"{manifest.dimension} dimensions, not {evidence.dimension}"),
            (store.identity.compute != evidence.compute, f"made in {store.identity.compute}, not {evidence.compute}"),
            (store.identity.dtype != evidence.storage, f"stored as {store.identity.dtype}, not {evidence.storage}"),
        )
        if wrong
    ]
    if faults:
        raise CheckFailedError(f"the {role} embeddings in {store.folder} do not fit the row", details=faults)
