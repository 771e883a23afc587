"""Putting a checkpoint's tensors into a card's network, and refusing what does not fill it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from sysu30k_bench.errors import IntegrityError
from sysu30k_bench.files import sha256_of_text
from sysu30k_bench.models.card import AdapterCard, Layout
from sysu30k_bench.models.checkpoint import CheckpointFile
from sysu30k_bench.models.embedder import Embedder
from sysu30k_bench.models.layouts import apply_layout, card_layouts, layout_fits
from sysu30k_bench.models.logits import LogitEmbedding
from sysu30k_bench.models.sources import RemovedLayer, build_trunk

INIT_SEED = 0
"""Seeds the weights that no file fills: those of `--allow-partial` and of the random control."""

_COUNTER = "num_batches_tracked"
_BOTTLENECK = ("bottleneck.0.weight", "bottleneck.0.bias", "bottleneck.1.weight", "bottleneck.1.bias",
               "bottleneck.1.running_mean", "bottleneck.1.running_var")  # fmt: skip
_LOGITS = ("logits.weight", "logits.bias")


@dataclass(frozen=True)
class Coverage:
    """How much of the network came from the file.

    Attributes:
        layout: Name of the layout that was read.
        layout_digest: Digest of what that layout does.
        loaded: Tensors of the network that the file filled.
        missing: Tensors of the network that the file lacks (batch counters aside).
        wrong_shape: Tensors that are in the file with another shape, described.
        unused: Tensors of the file that lie outside the network, such as a training head.
        foreign: Tensors of the file that lie inside the network's own parts and have no place there: the file is of a
            deeper or a different network.
    """

    layout: str
    layout_digest: str
    loaded: int
    missing: list[str] = field(default_factory=list)
    wrong_shape: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether every tensor of the network came from the file, and the file holds no more of such a network."""
        return self.loaded > 0 and not self.missing and not self.wrong_shape and not self.foreign

    @property
    def faults(self) -> list[str]:
        """What keeps the coverage from being complete, a line for each tensor."""
        return [
            *self.wrong_shape,
            *(f"{name}: missing" for name in self.missing),
            *(f"{name}: in the file, and the network has no place for it" for name in self.foreign),
        ]


@dataclass(frozen=True)
class _Fit:
    tensors: dict[str, torch.Tensor]
    coverage: Coverage
    fits: bool


@dataclass(frozen=True)
class Blueprint:
    """What a card's network needs from a file.

    Attributes:
        trunk: Shapes of the trunk's tensors by name, batch counters aside.
        parts: Names of the trunk's top-level modules that hold tensors.
        removed: Paths of the layers that were taken out of it, whose tensors a file may well hold.
        head: Names of the tensors behind the trunk (bottleneck or logits).
    """

    trunk: dict[str, tuple[int, ...]]
    parts: frozenset[str]
    removed: frozenset[str]
    head: tuple[str, ...]

    @classmethod
    def of(cls, card: AdapterCard, trunk: nn.Module) -> Blueprint:
        """Reads the blueprint off a trunk."""
        names = trunk.state_dict()
        return cls(
            trunk={name: tuple(value.shape) for name, value in names.items() if not name.endswith(_COUNTER)},
            parts=frozenset(name.partition(".")[0] for name in names),
            removed=frozenset(path for path, module in trunk.named_modules() if isinstance(module, RemovedLayer)),
            head={"bottleneck": _BOTTLENECK, "logits": _LOGITS}.get(card.feature.kind, ()),
        )

    def is_foreign(self, name: str) -> bool:
        """Says whether a tensor that the network does not have lies inside one of its parts."""
        path = name.split(".")
        above = {".".join(path[:length]) for length in range(1, len(path))}
        return path[0] in self.parts and not above & self.removed


def best_fit(card: AdapterCard, checkpoint: CheckpointFile, blueprint: Blueprint) -> _Fit:
    """Tries each layout of a card on a file and returns the one that fills most of the network.

    Between equals, layouts whose description fits come before those whose does not, then the card's order decides.
    """
    fits = [_try_layout(layout, checkpoint, blueprint) for layout in card_layouts(card)]
    return max(fits, key=lambda fit: (fit.coverage.complete, fit.coverage.loaded, fit.fits))


def _try_layout(layout: Layout, checkpoint: CheckpointFile, blueprint: Blueprint) -> _Fit:
    tensors, others = checkpoint.tensors(layout.wrapper)
    fits = layout_fits(layout, [*tensors, *others])
    try:
        renamed = apply_layout(layout, tensors)
    except IntegrityError:
        if fits:
            raise
        renamed = {}
    wanted: dict[str, tuple[int, ...] | None] = {**dict.fromkeys(blueprint.head), **blueprint.trunk}
    matched: dict[str, torch.Tensor] = {}
    missing, wrong = [], []
    for name, shape in wanted.items():
        if name not in renamed:
            missing.append(name)
        elif shape is not None and tuple(renamed[name].shape) != shape:
            wrong.append(f"{name}: the file has {tuple(renamed[name].shape)}, the network wants {shape}")
        else:
            matched[name] = renamed[name]
    rest = sorted(name for name in renamed if name not in wanted and not name.endswith(_COUNTER))
    foreign = [name for name in rest if blueprint.is_foreign(name)]
    unused = [name for name in rest if not blueprint.is_foreign(name)]
    return _Fit(
        matched,
        Coverage(layout.name, sha256_of_text(layout.model_dump_json()), len(matched), missing, wrong, unused, foreign),
        fits,
    )


def load_embedder(
    card: AdapterCard, checkpoint: CheckpointFile, *, allow_partial: bool = False, bf16: bool = False
) -> tuple[Embedder, Coverage]:
    """Builds a card's network and fills it from a checkpoint.

    Args:
        card: The adapter card.
        checkpoint: The file.
        allow_partial: Go on where tensors are missing or of another shape; they stay at seeded random values.
        bf16: Run the trunk in bfloat16.

    Returns:
        The network, and what was loaded.

    Raises:
        IntegrityError: The file does not fill the network, or holds NaN or infinite weights.
    """
    trunk = seeded_trunk(card)
    blueprint = Blueprint.of(card, trunk)
    fit = best_fit(card, checkpoint, blueprint)
    coverage = fit.coverage
    if not coverage.complete and (not allow_partial or not coverage.loaded):
        total = len(blueprint.trunk) + len(blueprint.head)
        raise IntegrityError(
            f"{checkpoint.path} does not fill the network of adapter {card.name!r}: "
            f"{coverage.loaded} of {total} tensors found (layout tried: {coverage.layout})",
            details=coverage.faults,
            hint="name the right network with --adapter or --model, write a card for this file (docs/adapters.md), or "
            "evaluate what there is with --allow-partial, which is never official",
        )
    _refuse_non_finite(checkpoint, fit.tensors)
    refused = trunk.load_state_dict(
        {name: value for name, value in fit.tensors.items() if name in blueprint.trunk}, strict=False
    )
    unfilled = [name for name in refused.missing_keys if not name.endswith(_COUNTER) and name not in coverage.missing]
    if refused.unexpected_keys or (unfilled and coverage.complete):
        raise IntegrityError(
            f"{checkpoint.path}: the network did not take what was read", details=refused.unexpected_keys
        )
    trunk = trunk.to(memory_format=torch.channels_last)
    bottleneck = _bottleneck(card, fit.tensors, coverage)
    logits = _logits(card, fit.tensors, coverage)
    return Embedder(trunk, card.feature, card.input, bottleneck=bottleneck, logits=logits, bf16=bf16), coverage


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
    bad = [name for name, value in tensors.items() if value.is_floating_point() and not torch.isfinite(value).all()]
    if bad:
        raise IntegrityError(
            f"{checkpoint.path} holds NaN or infinite weights in {len(bad)} tensors",
            details=bad,
            hint="the training run diverged, or the file is damaged: take an earlier checkpoint",
        )


def _bottleneck(card: AdapterCard, tensors: Mapping[str, torch.Tensor], coverage: Coverage) -> nn.Module | None:
    if card.feature.kind != "bottleneck":
        return None
    found = {name: tensors[name] for name in _BOTTLENECK if name in tensors}
    width = tuple(found["bottleneck.0.bias"].shape) if "bottleneck.0.bias" in found else None
    alike = all(tuple(found[name].shape) == width for name in found if name != "bottleneck.0.weight")
    if len(found) != len(_BOTTLENECK) or found["bottleneck.0.weight"].shape[:-1] != width or not alike:
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
    weight, bias = (tensors.get(name) for name in _LOGITS)
    if weight is None or bias is None or weight.dim() != 2 or bias.shape != weight.shape[:1]:
        raise IntegrityError(
            f"the file has no classifier with weight and bias (layout tried: {coverage.layout})",
            hint="use --feature pool5",
        )
    return LogitEmbedding(weight.float(), bias.float(), full=card.feature.full_logits)
