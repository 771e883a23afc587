"""What makes two embeddings the same: the key of every store."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from sysu30k_bench.files import sha256_of_text

Digest = str


class StoreIdentity(BaseModel):
    """Everything that can change an embedding; two runs share a store only where all of it is equal.

    Attributes:
        weights: SHA-256 of the checkpoint's bytes, or the seed of a random control.
        card: Fingerprint of the adapter card.
        adapter: The card's name, for people.
        partial: Whether the network was only partly filled from the file.
        split: Fingerprint of the rows.
        dataset: The benchmark's name.
        role: `query` or `gallery`.
        dtype: How numbers are stored.
        compute: Arithmetic of the network.
        device: Kind of device that the network ran on; the kinds round differently.
        layout: Digest of the checkpoint layout that was applied.
        versions: Versions of this package's decoding and embedding code.
        code: Digest of the source of a `python:` network, which no weights hash covers; empty for the others.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    weights: str = Field(max_length=128)
    card: Digest = Field(max_length=64)
    adapter: str = Field(max_length=64)
    partial: bool = False
    split: Digest = Field(pattern=r"^[0-9a-f]{64}$")
    dataset: str = Field(max_length=64)
    role: Literal["query", "gallery"]
    dtype: Literal["float32", "float16"] = "float32"
    compute: Literal["fp32", "bf16"] = "fp32"
    device: str = Field("cpu", max_length=16)
    layout: str = Field("", max_length=64)
    versions: str = Field("", max_length=16)
    code: str = Field("", max_length=64)

    @property
    def digest(self) -> Digest:
        """SHA-256 of the identity, in hex."""
        return sha256_of_text(self.model_dump_json())

    def differences(self, other: StoreIdentity) -> list[str]:
        """Says in what another identity differs, a line for each field."""
        mine, theirs = self.model_dump(), other.model_dump()
        return [f"{name}: {theirs[name]} there, {mine[name]} now" for name in mine if mine[name] != theirs[name]]
