"""What a checkpoint file is: its tensors, the card that reads it, and what that card makes of it."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from sysu30k_bench.errors import UsageError
from sysu30k_bench.models.card import Feature, Input, Network
from sysu30k_bench.models.formats.checkpoint import CheckpointFile, digest_caution
from sysu30k_bench.models.formats.exported import TITLES, exported_kind
from sysu30k_bench.models.matching.detect import detect_card, explain
from sysu30k_bench.models.matching.fit import Fit

_GROUPS = 8


class Description(BaseModel):
    """What a checkpoint file is.

    Attributes:
        file: Its name.
        sha256: Digest of its bytes.
        tensors: How many it holds.
        groups: Its prefixes, each with the number of tensors.
        adapter: The card that reads it; None where there is none, or where the user has to choose.
        title: The card's.
        found_by: How the card was found.
        network: The network, with the options that the file shows.
        input: What the network sees.
        feature: Which layer, and how views are put together.
        weights: Prefix of the copy that is taken.
        other_weights: Prefixes of other copies of the same network.
        unused: Tensors that the feature does not need.
        notes: What was assumed.
        question: What the user has to decide, and the choices; empty where nothing.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    sha256: str
    tensors: int
    groups: list[tuple[str, int]]
    adapter: str | None = None
    title: str = ""
    found_by: str = ""
    network: Network | None = None
    input: Input | None = None
    feature: Feature | None = None
    weights: str = ""
    other_weights: list[str] = []
    unused: list[str] = []
    notes: list[str] = []
    question: list[str] = []


def describe_file(checkpoint: CheckpointFile, weights: str | None = None) -> Description:
    """Says what a checkpoint is, without evaluating it.

    Args:
        checkpoint: The file.
        weights: Which of several copies in the file, as for `eval`.
    """
    flat = checkpoint.flat
    plain = Description(
        file=checkpoint.path.name,
        sha256=checkpoint.sha256,
        tensors=len(flat.tensors),
        groups=flat.groups()[:_GROUPS],
    )
    try:
        detected = detect_card(checkpoint, weights=weights)
    except UsageError as error:
        return plain.model_copy(
            update={"question": [error.message, *error.details, *([error.hint] if error.hint else [])]}
        )
    fit = detected.fit
    return plain.model_copy(
        update={
            "adapter": fit.card.name,
            "title": fit.card.title,
            "found_by": explain(detected, checkpoint),
            "network": fit.card.network,
            "input": fit.card.input,
            "feature": fit.card.feature,
            "weights": _place(fit.prefix + fit.layout.take),
            "other_weights": [_place(copy) for copy in fit.copies],
            "unused": fit.coverage.unused,
            "notes": list(dict.fromkeys(note for note in (*_notes(fit), digest_caution(checkpoint)) if note)),
        }
    )


def require_weights_file(path: Path) -> None:
    """Refuses a whole model, which says itself what it is.

    Raises:
        UsageError: The file is an ONNX, OpenVINO, TorchScript, torch.export or transformers model.
    """
    kind = exported_kind(path)
    if kind is not None:
        raise UsageError(
            f"{path} is a whole model ({TITLES[kind]}), which holds its own network",
            hint="`sysu30k-bench eval` runs it unchanged, and prints the input that it assumes",
        )


def _notes(fit: Fit) -> list[str]:
    """What is assumed; a card's notes only where nothing is, since they say the same in other words."""
    checkpoint = fit.card.checkpoint
    assumed = [checkpoint.caution, checkpoint.cautions.get(fit.layout.name, ""), *fit.notes]
    return assumed if any(assumed) else [fit.card.notes]


def _place(prefix: str) -> str:
    return prefix.strip(".") or "the top of the file"
