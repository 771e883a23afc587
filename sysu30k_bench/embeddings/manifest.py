"""The manifest of a store: what it is of, and which shards with which digests make it whole."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sysu30k_bench.embeddings.identity import StoreIdentity
from sysu30k_bench.errors import DataError, IntegrityError, UsageError
from sysu30k_bench.sealed import SealedDocument, document_fault

MANIFEST_NAME = "manifest.json"
_MAX_BYTES = 64 << 20
_AGAIN = "delete that file and export again: the shards that fit are kept"


class ShardEntry(BaseModel):
    """One shard of a finished store."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str = Field(pattern=r"^shard-[0-9]{5,9}\.h5$")
    first: int = Field(ge=0)
    rows: int = Field(ge=0)
    content_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    damaged: int = Field(0, ge=0)


class Manifest(SealedDocument):
    """A store's description; it exists from the start and lists the shards once all exist.

    Attributes:
        format_version: Version of the store's format.
        identity: What the embeddings are of.
        rows: Rows of the split.
        dimension: Width D of an embedding.
        shard_rows: Rows of the split that a shard covers (the last may cover fewer).
        complete: Whether every shard exists.
        shards: The shards, in order; empty until the store is complete.
    """

    format_version: int = 1
    identity: StoreIdentity
    rows: int = Field(ge=1, le=10**9)
    dimension: int = Field(ge=1, le=10**6)
    shard_rows: int = Field(ge=1, le=10**9)
    complete: bool = False
    shards: list[ShardEntry] = Field([])

    @property
    def shard_count(self) -> int:
        """How many shards a complete store has."""
        return -(-self.rows // self.shard_rows)

    def write(self, folder: Path) -> None:
        """Writes the manifest into a store's folder, sealed and whole."""
        self.write_to(folder / MANIFEST_NAME)


def refuse_other(folder: Path, existing: Manifest | None, identity: StoreIdentity) -> None:
    """Refuses to touch a store of something else.

    Args:
        folder: The store's folder.
        existing: Its manifest, if it has one.
        identity: What is to be stored there.

    Raises:
        UsageError: The identities differ; what differs is listed.
    """
    if existing is not None and existing.identity != identity:
        raise UsageError(
            f"{folder} holds embeddings of another model or data set; they are not changed",
            details=identity.differences(existing.identity),
            hint="choose another --output, or delete that folder",
        )


def read_manifest(folder: Path) -> Manifest | None:
    """Reads a store's manifest.

    Args:
        folder: The store's folder.

    Returns:
        The manifest, or None where the folder has none.

    Raises:
        IntegrityError: The file is there and is not a manifest, or its digest does not fit. One without a digest, as
            earlier versions wrote it, is taken as it is: every shard is checked against it.
        DataError: The file cannot be read.
    """
    path = folder / MANIFEST_NAME
    if not path.is_file():
        return None
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise IntegrityError(f"{path} is too large for a manifest")
        raw = path.read_bytes()
        manifest = Manifest.model_validate_json(raw)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except ValidationError as error:
        fault = error.errors()[0]
        raise IntegrityError(
            f"{path} is not a store's manifest: {'.'.join(map(str, fault['loc']))}: {fault['msg']}",
            hint=_AGAIN,
        ) from error
    changed = document_fault(raw)
    if changed:
        raise IntegrityError(f"{path} {changed}", hint=_AGAIN)
    return manifest
