"""fast-reid's Multiple Granularity Network (Wang et al., ACM MM 2018; JDAI-CV/fast-reid, `meta_arch/mgn.py`)."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import nn

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.fastreid.head import FastReidHead, head_options
from sysu30k_bench.models.networks.fastreid.network import STEM_NOTE, residual_options, with_statistics
from sysu30k_bench.models.networks.resnets.trunk import ResNetTrunk

_STAGES = (("backbone.0.", "conv1."), ("backbone.1.", "bn1."), ("backbone.4.", "layer1."), ("backbone.5.", "layer2."),
           ("backbone.6.", "layer3.0."), ("b1.1.", "layer4."))  # fmt: skip
_REST = re.compile(r"b1\.0\.(\d+)\.(.+)")
POOL_NOTE = (
    "the pooling is assumed to be the mean: the file has no exponent of a generalised mean, which fast-reid's "
    "configuration of MGN learns (--network-option pool=max or pool=gem_fixed)"
)
_HEADS = ("b1", "b2", "b3", "b21", "b22", "b31", "b32", "b33")


class FastReidMGN(nn.Module):
    """A shared trunk, three branches from the third stage on, and a head for each whole and each stripe.

    The feature is all heads' outputs: the three wholes, the halves of the second branch, the thirds of the third.

    Args:
        trunk: Options of the residual network, see `ResNetTrunk`.
        pool: See `pools.Pool`.
        embedding: Features of each head.
        norm: Whether a batch norm ends a head.
        last_stride: Of the first branch; the others have 1.
        stem_pool: See `stem.stem_pool`; what fast-reid does where empty.
        extra_norm: Whether a batch norm ends each branch (LUPerson's fork).
    """

    def __init__(
        self,
        trunk: Mapping[str, object] | None = None,
        pool: str = "avg",
        embedding: int = 256,
        last_stride: int = 1,
        stem_pool: str = "",
        *,
        norm: bool = True,
        extra_norm: bool = False,
    ) -> None:
        super().__init__()
        options: dict[str, object] = {"stem_pool": "ceil", **(trunk or {})}
        if stem_pool:
            options["stem_pool"] = stem_pool
        for number in (1, 2, 3):
            stride = last_stride if number == 1 else 1
            whole = ResNetTrunk(**{**options, "last_stride": stride})  # type: ignore[arg-type]
            third = list(whole.get_submodule("layer3").children())
            if number == 1:
                stem = [whole.conv1, whole.bn1, whole.relu, whole.maxpool]
                stages = [whole.get_submodule("layer1"), whole.get_submodule("layer2")]
                self.backbone = nn.Sequential(*stem, *stages, third[0])
            self.add_module(f"b{number}", nn.Sequential(nn.Sequential(*third[1:]), whole.get_submodule("layer4")))
            if extra_norm:
                self.add_module(f"heads_extra_bn_b{number}", nn.BatchNorm2d(whole.features))
        for name in _HEADS:
            self.add_module(f"{name}_head", FastReidHead(whole.features, pool, embedding, norm=norm))

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Reads trunk and heads; None where the tensors are of another network."""
        try:
            options = residual_options(_as_trunk(tensors))
            if options is None:
                return None
            found: dict[str, object] = {"trunk": options, **head_options(tensors, "b1_head.")}
            found["extra_norm"] = "heads_extra_bn_b1.running_mean" in tensors
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            return None
        notes = [STEM_NOTE, *([POOL_NOTE] if "pool" not in found else [])]
        return with_statistics(Structure(found, notes=notes), tensors)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps images (N, 3, H, W), normally 384 x 128, to (N, 8 * embedding)."""
        shared = self.backbone(images)
        parts: dict[str, torch.Tensor] = {}
        for number in (1, 2, 3):
            maps = self.get_submodule(f"b{number}")(shared)
            if hasattr(self, f"heads_extra_bn_b{number}"):
                maps = self.get_submodule(f"heads_extra_bn_b{number}")(maps)
            parts[f"b{number}"] = maps
            stripes = maps.chunk(number, dim=2) if number > 1 else ()
            parts |= {f"b{number}{stripe}": part for stripe, part in enumerate(stripes, start=1)}
        return torch.cat([self.get_submodule(f"{name}_head")(parts[name]) for name in _HEADS], dim=1)


def _as_trunk(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors of trunk and first branch by the names that they have in one residual network."""
    renamed = {}
    for name, value in tensors.items():
        rest = _REST.fullmatch(name)
        if rest:
            renamed[f"layer3.{int(rest[1]) + 1}.{rest[2]}"] = value
        for old, new in _STAGES:
            if name.startswith(old):
                renamed[new + name.removeprefix(old)] = value
    return renamed
