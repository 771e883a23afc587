"""How embeddings were made: what the record of a run and the evidence of a row both state, in one type."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class EmbeddingFacts(BaseModel):
    """What decides an embedding, apart from the images.

    Attributes:
        weights_sha256: Of the checkpoint file; the seed of a random control in its place.
        card_sha256: Of the adapter card.
        adapter: Its name.
        feature: Which layer.
        flip: How the mirrored view was used.
        dimension: Of an embedding.
        compute: Arithmetic of the network.
        storage: How embeddings were stored.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    weights_sha256: str
    card_sha256: Sha256
    adapter: str = Field(max_length=64)
    feature: str = Field(max_length=64)
    flip: str = Field(max_length=32)
    dimension: int = Field(ge=0, le=10**6, strict=True)
    compute: Literal["fp32", "bf16"]
    storage: Literal["float32", "float16"]

    @property
    def facts(self) -> dict[str, Any]:
        """These facts by name, without what a subclass adds."""
        return self.model_dump(include=set(EmbeddingFacts.model_fields))
