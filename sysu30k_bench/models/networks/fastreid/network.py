"""fast-reid's `Baseline`: a backbone of one of its kinds, and its head (JDAI-CV/fast-reid, `meta_arch/baseline.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, cast

import torch
from torch import nn

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.cnn.osnet import OSNetTrunk
from sysu30k_bench.models.networks.fastreid.head import FastReidHead, head_options, pixel_statistics
from sysu30k_bench.models.networks.fastreid.mobilenets import MobileNetV2, MobileNetV3
from sysu30k_bench.models.networks.fastreid.pycls import EfficientNet, RegNet
from sysu30k_bench.models.networks.fastreid.repvgg import RepVGG
from sysu30k_bench.models.networks.fastreid.shufflenet import ShuffleNet
from sysu30k_bench.models.networks.resnets import reading
from sysu30k_bench.models.networks.resnets.trunk import ResNetTrunk
from sysu30k_bench.models.networks.vits.vit import VisionTransformer


class HasMaps(Protocol):
    """A network without pooling."""

    width: int

    def maps(self, images: torch.Tensor) -> torch.Tensor:
        """Maps images (N, 3, H, W) to (N, C, h, w)."""


_PLAIN: dict[str, Any] = {
    "shufflenet": ShuffleNet,
    "repvgg": RepVGG,
    "mobilenet_v3": MobileNetV3,
    "mobilenet_v2": MobileNetV2,
    "regnet": RegNet,
    "efficientnet": EfficientNet,
}
_STRIDED = {"resnet": 1, "repvgg": 2, "regnet": 2, "efficientnet": 2}
POOL_NOTE = (
    "the pooling is assumed to be the mean, as in fast-reid's BoT: its AGW pools by a generalised mean without a "
    "parameter, which tensors do not show (--adapter fastreid_agw)"
)
STEM_NOTE = (
    "the stem is assumed to pool without padding, as fast-reid does: forks with the same names pad by 1 "
    "(--network-option stem_pool=max)"
)


STRIDE_NOTE = (
    "the last stride is assumed to be 2, as in ImageNet training: tensors do not show whether the configuration set 1 "
    "(--network-option last_stride=1)"
)
FORK_NOTE = (
    "the file's pixel statistics are those of LUPerson's fork: the stem is taken to pad its pooling by 1, as the fork "
    "does"
)
_WIDEST = 1 << 15
_KNOWN_MEANS = ([123.675, 116.28, 103.53], [127.5, 127.5, 127.5])


class FastReid(nn.Module):
    """Backbone and head, with fast-reid's names below `backbone.` and `heads.`.

    Args:
        backbone: `resnet` (ResNeXt and ResNeSt too), `osnet`, `vit`, `shufflenet`, `repvgg`, `mobilenet_v2`,
            `mobilenet_v3`, `regnet` or `efficientnet`.
        trunk: Options of its constructor.
        pool: See `pools.Pool`.
        embedding: Features of the head's embedding layer, 0 for none.
        norm: Whether a batch norm ends the head.
        extra_norm: Whether a batch norm stands before the head (LUPerson's fork).
        last_stride: Of the last stage (the sixth of an EfficientNet); where 0, 1 for ResNets, as all configurations of
            fast-reid set, and 2 for other backbones.
        stem_pool: Of a residual network's stem, see `stem.stem_pool`; what fast-reid does where empty.
    """

    def __init__(
        self,
        backbone: str = "resnet",
        trunk: Mapping[str, object] | None = None,
        pool: str = "avg",
        embedding: int = 0,
        last_stride: int = 0,
        stem_pool: str = "",
        *,
        norm: bool = True,
        extra_norm: bool = False,
    ) -> None:
        super().__init__()
        options: dict[str, object] = dict(trunk or {})
        if backbone in _STRIDED:
            options["last_stride"] = last_stride or _STRIDED[backbone]
        if backbone == "resnet" and stem_pool:
            options["stem_pool"] = stem_pool
        self.backbone, width = _build(backbone, options)
        if extra_norm:
            self.heads_extra_bn = nn.BatchNorm2d(width)
        self.heads = FastReidHead(width, pool, embedding, norm=norm)

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Reads backbone and head; None where the tensors are of no backbone that fast-reid has."""
        inner = {
            name.removeprefix("backbone."): value for name, value in tensors.items() if name.startswith("backbone.")
        }
        try:
            found = _backbone(inner)
            if found is None:
                return None
            options = {**found.options, **head_options(tensors, "heads.")}
            options["extra_norm"] = "heads_extra_bn.running_mean" in tensors
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            return None
        notes = [*found.notes, *([POOL_NOTE] if "pool" not in options and _may_be_agw(options) else [])]
        return with_statistics(Structure(options, found.input, notes), tensors)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps images (N, 3, H, W) to (N, D)."""
        maps = _maps(self.backbone, images)
        if hasattr(self, "heads_extra_bn"):
            maps = self.heads_extra_bn(maps)
        feature: torch.Tensor = self.heads(maps)
        return feature


class FastReidAGW(FastReid):
    """The same where a learnt exponent is absent because the pooling is a generalised mean with exponent 3."""

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Reads backbone and head."""
        found = FastReid.structure(tensors)
        if found is None:
            return None
        notes = [note for note in found.notes if note != POOL_NOTE]
        return Structure({"pool": "gem_fixed", **found.options}, found.input, notes)


def with_statistics(found: Structure, tensors: Mapping[str, torch.Tensor]) -> Structure:
    """Adds the pixel statistics that a file has; where they are not fast-reid's, it is of a fork that pads its stem."""
    statistics = pixel_statistics(tensors)
    if statistics.get("mean", _KNOWN_MEANS[0]) in _KNOWN_MEANS:
        return Structure(found.options, {**found.input, **statistics}, found.notes)
    notes = [FORK_NOTE if note == STEM_NOTE else note for note in found.notes]
    return Structure({**found.options, "stem_pool": "max"}, {**found.input, **statistics}, notes)


def residual_options(tensors: Mapping[str, torch.Tensor]) -> dict[str, object] | None:
    """Reads a residual backbone of fast-reid's, with what its code does and tensors do not show.

    Its ResNet pools the stem without padding; its ResNeXt and ResNeSt pad by 1. With a last stride of 1, which all its
    configurations set, ResNeSt widens the 3 x 3 convolutions of the last stage after the first block.
    """
    options = reading.trunk_options(tensors)
    if options is None or options.get("stem_pool") == "none":
        return None
    groups = options["groups"]
    grouped = isinstance(groups, list) and max(groups) > 1
    if options.get("radix"):
        options["last_dilation"] = 2
    options["stem_pool"] = "max" if grouped or options.get("radix") else "ceil"
    return {name: value for name, value in options.items() if name not in {"neck", "pool", "embedding"}}


def _backbone(inner: Mapping[str, torch.Tensor]) -> Structure | None:
    if "conv1.conv.weight" in inner:
        return Structure({"backbone": "osnet", "trunk": OSNetTrunk.options(inner)})
    if "patch_embed.proj.weight" in inner:
        seen = VisionTransformer.structure(inner)
        return seen and Structure({"backbone": "vit", "trunk": seen.options}, seen.input, seen.notes)
    for name, kind in _PLAIN.items():
        options = kind.options(inner)
        if options is not None:
            if not _sensible(options):
                return None
            return Structure({"backbone": name, "trunk": options}, notes=[STRIDE_NOTE] if name in _STRIDED else [])
    options = residual_options(inner)
    if options is None:
        return None
    notes = [STEM_NOTE] if options["stem_pool"] == "ceil" else []
    return Structure({"backbone": "resnet", "trunk": options}, notes=notes)


def _sensible(options: Mapping[str, object]) -> bool:
    """Whether widths and counts are such as a network has; widths of gates may be 0, for none."""
    for name, value in options.items():
        numbers = value if isinstance(value, list) else [value]
        flat = [number for item in numbers for number in (item if isinstance(item, list) else [item])]
        least = 0 if name in {"gates", "stages"} else 1
        counts = [number for number in flat if isinstance(number, int) and not isinstance(number, bool)]
        if not flat or not all(least <= number <= _WIDEST for number in counts):
            return False
    return True


def _may_be_agw(options: Mapping[str, object]) -> bool:
    trunk = options["trunk"]
    return options["backbone"] == "resnet" and isinstance(trunk, dict) and not trunk.get("non_local")


def _maps(backbone: nn.Module, images: torch.Tensor) -> torch.Tensor:
    if isinstance(backbone, VisionTransformer | OSNetTrunk):
        mapped: torch.Tensor = backbone(images)
        return mapped[:, :, None, None] if mapped.dim() == 2 else mapped
    return cast("HasMaps", backbone).maps(images)


def _build(backbone: str, options: dict[str, object]) -> tuple[nn.Module, int]:
    if backbone == "resnet":
        residual = ResNetTrunk(**options)  # type: ignore[arg-type]
        return residual, residual.features
    if backbone == "osnet":
        osnet = OSNetTrunk(**options)  # type: ignore[arg-type]
        return osnet, osnet.width
    if backbone == "vit":
        vit = VisionTransformer(**options)  # type: ignore[arg-type]
        return vit, vit.dim
    if backbone not in _PLAIN:
        raise ValueError(f"there is no backbone {backbone!r}")
    plain = _PLAIN[backbone](**options)
    return plain, plain.width
