"""Putting a checkpoint's tensors into a card's network, and refusing what does not fill it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from sysu30k_bench.errors import IntegrityError
from sysu30k_bench.models.card import AdapterCard
from sysu30k_bench.models.embedder import Embedder
from sysu30k_bench.models.formats.checkpoint import CheckpointFile
from sysu30k_bench.models.logits import LogitEmbedding
from sysu30k_bench.models.matching.blueprint import BOTTLENECK, COUNTER, LOGITS, Blueprint
from sysu30k_bench.models.matching.fit import Coverage, Fit, best_fit
from sysu30k_bench.models.sources import build_trunk, require_source
from sysu30k_bench.words import count

INIT_SEED = 0
"""Seeds the weights that no file fills: those of `--allow-partial` and of the random control."""


def require_fit(card: AdapterCard, checkpoint: CheckpointFile, weights: str | None = None) -> Fit:
    """Returns the best way of filling a card's network from a file.

    Raises:
        IntegrityError: No layout of the card fits the file anywhere.
    """
    fit = best_fit(card, checkpoint, weights)
    if fit is None:
        require_source(card.network)
        groups = ", ".join(f"{name} ({count(number, 'tensor')})" for name, number in checkpoint.flat.groups()[:6])
        among = f" among the weights {weights!r}" if weights else ""
        raise IntegrityError(
            f"{checkpoint.path} does not fill the network of adapter {card.name!r}: no part of it was found{among}",
            details=[f"the file holds {groups or 'no tensors'}", *_unread(checkpoint)],
            hint="`sysu30k-bench adapters which FILE` explains the file; or write a card for it (docs/adapters.md)",
        )
    return fit


def load_embedder(
    fit: Fit, checkpoint: CheckpointFile, *, allow_partial: bool = False, bf16: bool = False
) -> tuple[Embedder, Coverage]:
    """Builds the network of a fit and fills it.

    Args:
        fit: A card on the file.
        checkpoint: The file.
        allow_partial: Continue if tensors are missing or of another shape; they keep seeded random values.
        bf16: Run the trunk in bfloat16.

    Returns:
        The network, and what was loaded.

    Raises:
        IntegrityError: The file does not fill the network, holds more of a model than the network has, or holds NaN or
            infinite weights.
    """
    card, coverage = fit.card, fit.coverage
    if not coverage.complete and (not allow_partial or not coverage.loaded):
        raise _refusal(fit, checkpoint)
    _refuse_expanded(checkpoint, fit.tensors)
    _refuse_non_finite(checkpoint, fit.tensors)
    trunk = seeded_trunk(card)
    _refuse_other_numbers(checkpoint, fit.tensors, trunk)
    blueprint = Blueprint.of(card, trunk)
    refused = trunk.load_state_dict(
        {name: value for name, value in fit.tensors.items() if name in blueprint.trunk}, strict=False
    )
    unfilled = [name for name in refused.missing_keys if not name.endswith(COUNTER) and name not in coverage.missing]
    if refused.unexpected_keys or (unfilled and coverage.complete):
        raise IntegrityError(
            f"{checkpoint.path}: the network did not accept the tensors of the file", details=refused.unexpected_keys
        )
    trunk = trunk.to(memory_format=torch.channels_last)
    bottleneck = _bottleneck(card, fit.tensors, coverage)
    logits = _logits(card, fit.tensors, coverage)
    return Embedder(trunk, card.feature, card.input, bottleneck=bottleneck, logits=logits, bf16=bf16), coverage


def _refusal(fit: Fit, checkpoint: CheckpointFile) -> IntegrityError:
    coverage, name = fit.coverage, fit.card.name
    if coverage.foreign and not coverage.missing and not coverage.wrong_shape:
        said = (
            f"{checkpoint.path} holds {count(len(coverage.foreign), 'tensor')} that the network of adapter {name!r} "
            f"has no place for; without them the embedding would be different (layout {coverage.layout})"
        )
    else:
        said = (
            f"{checkpoint.path} does not fill the network of adapter {name!r}: "
            f"{coverage.loaded} of {count(fit.wanted, 'tensor')} found (layout tried: {coverage.layout})"
        )
    return IntegrityError(
        said,
        details=[*coverage.faults, *_unread(checkpoint)],
        hint="name the right network with --adapter or --model, choose a copy with --weights, write a card for this "
        "file (docs/adapters.md), or evaluate the partly loaded network with --allow-partial, which is never official",
    )


def _unread(checkpoint: CheckpointFile) -> list[str]:
    return [f"{name}: a {kind}, which is not a tensor" for name, kind in checkpoint.flat.unread.items()]


def _refuse_expanded(checkpoint: CheckpointFile, tensors: Mapping[str, torch.Tensor]) -> None:
    bad = [
        name
        for name, value in tensors.items()
        if value.numel() * value.element_size() > value.untyped_storage().nbytes()
    ]
    if bad:
        raise IntegrityError(
            f"{checkpoint.path} claims more numbers than it holds in {count(len(bad), 'tensor')}",
            details=bad,
            hint="save the tensors with .contiguous(); such a file may be made to exhaust memory",
        )


def seeded_trunk(card: AdapterCard) -> nn.Module:
    """Builds a card's trunk with random weights that are the same in every run."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(INIT_SEED)
        return build_trunk(card.network)


def random_embedder(card: AdapterCard, like: Embedder) -> Embedder:
    """Builds the same network with seeded random weights: the control of `--control random`.

    Args:
        card: The adapter card.
        like: The network that was filled from the checkpoint; its head's shape is taken over.
    """
    trunk = seeded_trunk(card).to(memory_format=torch.channels_last)
    generator = torch.Generator().manual_seed(INIT_SEED)
    bottleneck = logits = None
    if like.bottleneck is not None:
        width_out, width_in = like.bottleneck.state_dict()["0.weight"].shape
        bottleneck = _empty_bottleneck(width_in, width_out)
        weight = torch.empty(width_out, width_in).normal_(std=0.001, generator=generator)
        bottleneck.load_state_dict({"0.weight": weight, "0.bias": torch.zeros(width_out)}, strict=False)
    if like.logits is not None:
        shape = like.logits.matrix.shape
        weight = torch.empty(shape[0], shape[1] - 1).normal_(std=0.001, generator=generator)
        logits = LogitEmbedding(weight, torch.zeros(shape[0]), full=True)
    return Embedder(trunk, card.feature, card.input, bottleneck=bottleneck, logits=logits, bf16=like.bf16)


def _refuse_non_finite(checkpoint: CheckpointFile, tensors: Mapping[str, torch.Tensor]) -> None:
    bad = [name for name, value in tensors.items() if value.is_floating_point() and not _is_sound(name, value.float())]
    if bad:
        raise IntegrityError(
            f"{checkpoint.path} holds NaN or infinite weights, or negative variances, in {count(len(bad), 'tensor')}",
            details=bad,
            hint="the training run diverged, or the file is damaged: take an earlier checkpoint",
        )


def _is_sound(name: str, value: torch.Tensor) -> bool:
    return bool(torch.isfinite(value).all()) and not (name.endswith("running_var") and bool((value < 0).any()))


def _refuse_other_numbers(checkpoint: CheckpointFile, tensors: Mapping[str, torch.Tensor], trunk: nn.Module) -> None:
    """Quantised weights are integers that mean others by a scale; copied as they are, they would be nonsense."""
    whole = {name for name, value in trunk.state_dict().items() if not value.is_floating_point()}
    bad = [
        f"{name}: {str(value.dtype).removeprefix('torch.')}"
        for name, value in tensors.items()
        if not value.is_floating_point() and name not in whole
    ]
    if bad:
        raise IntegrityError(
            f"{checkpoint.path} holds no floating-point numbers in "
            f"{count(len(bad), 'tensor that is a weight', 'tensors that are weights')}",
            details=bad,
            hint="save a quantised model again with its weights in floating point",
        )


def _bottleneck(card: AdapterCard, tensors: Mapping[str, torch.Tensor], coverage: Coverage) -> nn.Module | None:
    if card.feature.kind != "bottleneck":
        return None
    found = {name: tensors[name] for name in BOTTLENECK if name in tensors}
    width = tuple(found["bottleneck.0.bias"].shape) if "bottleneck.0.bias" in found else None
    alike = all(tuple(found[name].shape) == width for name in found if name != "bottleneck.0.weight")
    if len(found) != len(BOTTLENECK) or found["bottleneck.0.weight"].shape[:-1] != width or not alike:
        raise IntegrityError(
            f"the file has no whole bottleneck (layout tried: {coverage.layout})", hint="use --feature pool5"
        )
    width_out, width_in = found["bottleneck.0.weight"].shape
    layers = _empty_bottleneck(width_in, width_out)
    layers.load_state_dict({name.removeprefix("bottleneck."): value for name, value in found.items()}, strict=False)
    return layers


def _empty_bottleneck(width_in: int, width_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width_in, width_out), nn.BatchNorm1d(width_out)).eval()


def _logits(card: AdapterCard, tensors: Mapping[str, torch.Tensor], coverage: Coverage) -> LogitEmbedding | None:
    if card.feature.kind != "logits":
        return None
    weight, bias = (tensors.get(name) for name in LOGITS)
    if weight is None or bias is None or weight.dim() != 2 or bias.shape != weight.shape[:1]:
        raise IntegrityError(
            f"the file has no classifier with weight and bias (layout tried: {coverage.layout})",
            hint="use --feature pool5",
        )
    return LogitEmbedding(weight.float(), bias.float(), full=card.feature.full_logits)
