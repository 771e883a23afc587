"""From a request to a network that is ready, with all that must be said about it."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from pydantic import ValidationError

from sysu30k_bench.data.images import PREPROCESSING_VERSION
from sysu30k_bench.data.split import Split
from sysu30k_bench.embeddings.identity import StoreIdentity, in_words
from sysu30k_bench.errors import IntegrityError, UsageError
from sysu30k_bench.evaluation.request import ExportRequest
from sysu30k_bench.models.card import AdapterCard, Feature, Input, Network
from sysu30k_bench.models.cards import find_card
from sysu30k_bench.models.embedder import EMBEDDING_VERSION, Embedder
from sysu30k_bench.models.formats.checkpoint import CheckpointFile, digest_caution, read_checkpoint
from sysu30k_bench.models.formats.exported import (
    SOURCES,
    TITLES,
    check_input_size,
    exported_card,
    exported_digest,
    exported_kind,
    load_exported,
)
from sysu30k_bench.models.load import INIT_SEED, load_embedder, random_embedder, require_fit
from sysu30k_bench.models.matching.detect import detect_card, explain
from sysu30k_bench.models.matching.fit import WHOLE_MODEL, Coverage, Fit
from sysu30k_bench.models.sources import generic_card
from sysu30k_bench.words import count, with_article

TAKEN_FOR_GRANTED = (
    "nothing in the model determines its input and its treatment of the mirror image, so the ones above are a "
    "guess: set --height, --width, --interpolation, --mean, --std, --scale, --channels, --flip, or write a card"
)


_GAPS = 4
"""Tensors that are named; the record lists all."""


def described_input(card: AdapterCard) -> str:
    """Says what a card's network sees, in a line."""
    size = card.input
    return (
        f"{size.height}x{size.width} {size.interpolation}, {size.channels}, {size.scale}, "
        f"mean {list(size.mean)}, std {list(size.std)}"
    )


@dataclass(frozen=True)
class ReadyModel:
    """A network that is filled and on its device.

    Attributes:
        card: The adapter card, with the request's changes.
        checkpoint: The weights file.
        embedder: The network.
        coverage: What was loaded.
        found_by: How the card was found, for the user.
        device: Where the network is.
        cautions: What the user should consider about the file and how its card was found.
    """

    card: AdapterCard
    checkpoint: CheckpointFile
    embedder: Embedder
    coverage: Coverage
    found_by: str
    device: torch.device
    cautions: list[str]

    def identity(self, split: Split, dataset: str, request: ExportRequest, backend: str = "eager") -> StoreIdentity:
        """Returns the identity of the store of a split's embeddings, which `backend` makes."""
        return StoreIdentity(
            weights=f"random weights, seed {INIT_SEED}" if request.random_weights else self.checkpoint.sha256,
            card=self.card.fingerprint,
            adapter=self.card.name,
            partial=not self.coverage.complete,
            split=split.fingerprint,
            dataset=dataset,
            role=split.role,
            dtype=request.storage,
            compute=request.compute,
            backend=backend,
            device=self.device.type,
            layout=self.coverage.layout_digest,
            versions=f"{PREPROCESSING_VERSION}.{EMBEDDING_VERSION}",
            code=_source_digest(self.card.network.source),
            says=self._says(split, request),
        )

    def _says(self, split: Split, request: ExportRequest) -> dict[str, str]:
        """What the identity's digests stand for, in words."""
        card, feature = self.card, self.card.feature
        return in_words(
            {
                "weights": "random" if request.random_weights else self.checkpoint.path.name,
                "split": count(len(split), "image"),
                "layout": self.coverage.layout,
                "card.network": " ".join(
                    [card.network.source, *(f"{key}={value}" for key, value in card.network.options.items())]
                ),
                **{f"card.{name}": str(value) for name, value in card.input.model_dump().items()},
                **{f"card.{name}": str(value) for name, value in feature.model_dump(exclude={"kind"}).items()},
                "card.feature": feature.kind,
            }
        )


def ready_model(request: ExportRequest, device: torch.device) -> ReadyModel:
    """Reads the checkpoint, finds its card, and fills the network.

    Args:
        request: Names checkpoint, card and changes to it.
        device: Where the network runs.

    Raises:
        UsageError: No card fits, or several do.
        IntegrityError: The file is damaged, hostile, or does not fill the network.
        DataError: Something is missing.
    """
    kind = exported_kind(request.checkpoint)
    if kind is not None:
        return _ready_exported(request, kind, device)
    checkpoint = read_checkpoint(request.checkpoint)
    chosen, found_by = _choose_card(request, checkpoint)
    fit: Fit | None = None
    try:
        fit = require_fit(_with_changes(chosen, request), checkpoint, request.weights)
        card = _with_input(fit.card, request)
        bf16 = request.compute == "bf16"
        fit = replace(fit, card=card)
        embedder, coverage = load_embedder(fit, checkpoint, allow_partial=request.allow_partial, bf16=bf16)
    except IntegrityError as error:
        if fit is not None and fit.coverage.complete:
            raise  # the file fits, and its numbers are at fault: with another card they would be, too
        raise _naming_what_fits(error, chosen, request, checkpoint) from error
    if request.random_weights:
        embedder = random_embedder(card, embedder)
    cautions = [] if request.network_options else [card.checkpoint.cautions.get(coverage.layout, "")]
    if request.adapter is None:
        cautions.append(card.checkpoint.caution)
    if request.model is not None:
        cautions.append(TAKEN_FOR_GRANTED)
    cautions += [*fit.notes, _said_of_copies(fit, request), digest_caution(checkpoint), _said_of_gaps(coverage)]
    return ReadyModel(
        card, checkpoint, embedder.to(device), coverage, found_by, device, [said for said in cautions if said]
    )


def _said_of_gaps(coverage: Coverage) -> str:
    """What `--allow-partial` let through, which may be most of the network."""
    faults = coverage.faults
    if not faults:
        return ""
    more = f" and {len(faults) - _GAPS:,} more" if len(faults) > _GAPS else ""
    return f"--allow-partial: {coverage.gaps} ({'; '.join(faults[:_GAPS])}{more})"


def _naming_what_fits(
    refusal: IntegrityError, card: AdapterCard, request: ExportRequest, checkpoint: CheckpointFile
) -> IntegrityError:
    """Adds to the refusal of a card that was named which other one takes the whole file."""
    if request.adapter is None and request.model is None:
        return refusal
    try:
        found = detect_card(checkpoint, weights=request.weights).card
        hint = f"omit --adapter and --model: adapter {found.name!r} ({found.title}) reads this file completely"
        if found.name == card.name:
            return refusal
    except UsageError as several:
        fitting = [detail for detail in several.details if detail.startswith("--adapter ")]
        if not fitting:
            return refusal
        hint = f"these read this file completely: {'; '.join(fitting)}"
    return IntegrityError(refusal.message, details=refusal.details, hint=hint)


def _said_of_copies(fit: Fit, request: ExportRequest) -> str:
    if not fit.copies or request.weights is not None:
        return ""
    taken = (fit.prefix + fit.layout.take).strip(".") or "the file's own level"
    others = ", ".join(copy.strip(".") or "the file's own level" for copy in fit.copies)
    return f"the file holds several sets of weights: {taken} is used; --weights chooses another ({others})"


def _ready_exported(request: ExportRequest, kind: str, device: torch.device) -> ReadyModel:
    if request.random_weights:
        raise UsageError("a whole model cannot get random weights", hint="omit --control")
    network = load_exported(request.checkpoint, kind, device, bf16=request.compute == "bf16")
    found_by = "named" if request.adapter else f"made for {with_article(TITLES[kind])} model"
    card = find_card(request.adapter) if request.adapter else exported_card(request.checkpoint, kind, network)
    if card.network.source != SOURCES[kind] or request.model is not None:
        raise UsageError(
            f"{request.checkpoint} is {with_article(TITLES[kind])} model, which contains its own network",
            hint=f'omit --model; a card for it has source = "{SOURCES[kind]}"',
        )
    card = _with_input(_with_changes(card, request), request)
    if card.feature.kind != "pool5":
        raise UsageError("a whole model gives one feature", hint="omit --feature")
    check_input_size(card, network)
    checkpoint = CheckpointFile(request.checkpoint, exported_digest(request.checkpoint), {})
    cautions = [TAKEN_FOR_GRANTED] if kind != "hf" else []
    embedder = Embedder(network, card.feature, card.input, bf16=False)
    return ReadyModel(
        card,
        checkpoint,
        embedder.to(device),
        Coverage(WHOLE_MODEL, "", 1),
        found_by,
        device,
        [] if request.adapter else cautions,
    )


def _choose_card(request: ExportRequest, checkpoint: CheckpointFile) -> tuple[AdapterCard, str]:
    if request.adapter is not None and request.model is not None:
        raise UsageError("--adapter and --model exclude each other", hint="a card names its network itself")
    if request.model is not None:
        return generic_card(request.model), "made for --model"
    if request.adapter is not None:
        return find_card(request.adapter), "named"
    detected = detect_card(checkpoint, weights=request.weights)
    return detected.card, explain(detected, checkpoint)


def _with_changes(card: AdapterCard, request: ExportRequest) -> AdapterCard:
    changes: dict[str, object] = {"full_logits": request.full_logits} if request.full_logits else {}
    if request.feature is not None:
        changes["kind"] = request.feature
    if request.flip is not None:
        changes["flip"] = request.flip
    if request.camera is not None:
        changes["camera"] = request.camera
    update: dict[str, object] = {"options": {**card.network.options, **request.network_options}}
    if request.network_options:  # they are of the card's own network
        update["alternatives"] = []
    try:
        feature = Feature.model_validate({**card.feature.model_dump(), **changes})
        network = Network.model_validate({**card.network.model_dump(), **update})
    except ValidationError as error:
        raise UsageError(error.errors()[0]["msg"].removeprefix("Value error, ")) from error
    return card.model_copy(update={"feature": feature, "network": network})


def _with_input(card: AdapterCard, request: ExportRequest) -> AdapterCard:
    try:
        size = Input.model_validate({**card.input.model_dump(), **request.input})
    except ValidationError as error:
        fault = error.errors()[0]
        raise UsageError(f"--{fault['loc'][0]}: {fault['msg'].removeprefix('Value error, ')}") from error
    return card.model_copy(update={"input": size})


def _source_digest(source: str) -> str:
    kind, _, name = source.partition(":")
    if kind != "python":
        return ""
    spec = importlib.util.find_spec(name.partition(":")[0])
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        return ""
    return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()
