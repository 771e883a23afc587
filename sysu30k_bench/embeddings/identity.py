"""What makes two embeddings the same: the key of every store."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from sysu30k_bench.files import sha256_of_text

Digest = str
_OF_CARD = "card."
_LONGEST = 500
_Word = Annotated[str, Field(max_length=_LONGEST, pattern=r"^[^\x00-\x1f\x7f]*$")]


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
        backend: What ran the network; the libraries round differently. Left out of the digest where it is `eager`, as
            it was before there were others.
        device: Kind of device that the network ran on; the kinds round differently.
        layout: Digest of the checkpoint layout that was applied.
        versions: Versions of this package's decoding and embedding code.
        code: Digest of the source of a `python:` network, which no weights hash covers; empty for the others.
        says: What the digests stand for, in words, for people who want to know what differs: by field, and what belongs
            to the card as `card.flip` and the like. It is no part of the digest, and identities that differ in nothing
            else are equal.
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
    backend: str = Field("eager", max_length=32, pattern=r"^[a-z0-9]+$")
    device: str = Field("cpu", max_length=16)
    layout: str = Field("", max_length=64)
    versions: str = Field("", max_length=16)
    code: str = Field("", max_length=64)
    says: dict[_Word, _Word] = Field({}, max_length=32)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StoreIdentity) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    @property
    def digest(self) -> Digest:
        """SHA-256 of the identity, in hex."""
        apart = {"says", "backend"} if self.backend == "eager" else {"says"}
        return sha256_of_text(self.model_dump_json(exclude=apart))

    def differences(self, other: StoreIdentity) -> list[str]:
        """Says in what another identity differs, in words where both have them: a line for each thing."""
        mine, theirs = self.model_dump(exclude={"says"}), other.model_dump(exclude={"says"})
        lines: list[str] = []
        for name in (name for name in mine if mine[name] != theirs[name]):
            said = self._in_words(other, name)
            lines += said or [f"{name}: {_shown(theirs[name])} there, {_shown(mine[name])} now"]
        return list(dict.fromkeys(lines))

    def _in_words(self, other: StoreIdentity, name: str) -> list[str]:
        if name == "card":
            parts = [key for key in (*other.says, *self.says) if key.startswith(_OF_CARD)]
            lines = [
                f"{key.removeprefix(_OF_CARD)}: {other.says.get(key, 'not known')} there, "
                f"{self.says.get(key, 'not known')} now"
                for key in dict.fromkeys(parts)
                if other.says.get(key) != self.says.get(key)
            ]
            return lines or [f"card: adapter {self.adapter!r} has other settings there than now"]
        there, now = other.says.get(name), self.says.get(name)
        if there is None or now is None:
            return []
        return [f"{name}: {there} there, {now} now" if there != now else f"{name}: {now}, of another content there"]


def in_words(words: Mapping[str, str]) -> dict[str, str]:
    """Makes `says` of words that may come from names of files: printable, and not too long."""
    return {name: "".join(filter(str.isprintable, word))[:_LONGEST] for name, word in words.items()}


def _shown(value: object) -> str:
    """Shortens a digest: readers only need to see that two digests differ."""
    text = str(value)
    if re.fullmatch(r"[0-9a-f]{64}", text):
        return f"{text[:8]}..."
    return text or "none"
