"""ABD-Net: a residual network whose last stage is copied for a global branch and one with attention."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.branches.abd_branches import branch_of
from sysu30k_bench.models.networks.branches.attention_dual import ChannelAttention
from sysu30k_bench.models.networks.resnets.trunk import ResNetTrunk

_GLOBAL = {"kind": "global", "width": 1024}
_ABD = {"kind": "abd", "width": 1024, "parts": 2, "attentions": ["cam", "pam"], "heads": True}
_MOST_PARTS = 32
_WIDEST = 1 << 15


class ABDNet(nn.Module):
    """Attentive but diverse re-identification (Chen et al., ICCV 2019, figure 2).

    Tensors are named as in VITA-Group/ABD-Net, but for the trunk of the stages that all branches share, which is under
    `common` with the names of `ResNetTrunk`, without a last stage; each branch has its own, `branches.0.0.backbone`.

    Args:
        branches: What each branch is, in the file's order; see `branch_of`.
        shallow: Whether channel attention follows the first stage.
        early: Whether branches part after the first block of the third stage already (its resnet50_mgn_like).
        last_stride: Of the last stage.
        trunk: Further options of `ResNetTrunk`.
    """

    def __init__(
        self,
        branches: Sequence[Mapping[str, Any]] = (_ABD, _GLOBAL),
        *,
        shallow: bool = True,
        early: bool = False,
        last_stride: int = 1,
        **trunk: Any,  # noqa: ANN401  JSON values, checked by the trunk
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleList()
        for branch in branches:
            own = ResNetTrunk(last_stride=last_stride, **trunk)
            parting = [own.get_submodule("layer3")[1:], own.get_submodule("layer4")]  # type: ignore[index]
            deep = nn.Sequential(*parting[0], parting[1]) if early else parting[1]
            self.branches.append(nn.Sequential(nn.ModuleDict({"backbone": deep}), branch_of(own.features, **branch)))
        self.common = ResNetTrunk(last_stride=last_stride, **trunk)
        del self.common.layer4
        if early:
            self.common.layer3 = self.common.get_submodule("layer3")[:1]  # type: ignore[index]
        self.shallow_cam = ChannelAttention() if shallow else nn.Identity()

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Reads the trunk, where it parts, and each branch's kind, widths, parts and attentions."""
        early = "branches.0.0.backbone.0.conv1.weight" in tensors and "common.layer3.1.conv1.weight" not in tensors
        found = ResNetTrunk.structure(dict(_joined(tensors, early=early)))
        try:
            branches = _branches(tensors)
        except (KeyError, IndexError):
            return None
        known = [branch for branch in branches if branch is not None]
        if found is None or not known or len(known) < len(branches) or any(_too_wide(branch) for branch in known):
            return None
        options = {
            **found.options,
            "branches": branches,
            "shallow": "shallow_cam.gamma" in tensors,
            "early": early,
        }
        return Structure(options=options, input=found.input, notes=found.notes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps normalised images (N, 3, H, W) to the joined features of all branches (N, D)."""
        maps = self.common.stem_maps(images)
        maps = self.shallow_cam(self.common.stage(1, maps))
        for number in (2, 3):
            maps = self.common.stage(number, maps)
        features = []
        for number, branch in enumerate(self.branches):
            deep = self.get_submodule(f"branches.{number}.0.backbone")
            features.append(branch.get_submodule("1")(deep(maps)))
        return torch.cat(features, dim=1)


def _too_wide(branch: Mapping[str, object]) -> bool:
    return not isinstance(branch["width"], int) or branch["width"] > _WIDEST


def _joined(tensors: Mapping[str, torch.Tensor], *, early: bool) -> list[tuple[str, torch.Tensor]]:
    """Names the shared stages and the first branch's own as one trunk's."""
    named = [(name.removeprefix("common."), tensor) for name, tensor in tensors.items() if name.startswith("common.")]
    prefix = "branches.0.0.backbone."
    own = [(name.removeprefix(prefix), tensor) for name, tensor in tensors.items() if name.startswith(prefix)]
    if not early:
        return named + [(f"layer4.{name}", tensor) for name, tensor in own]
    last = max((int(found[1]) for name, _ in own if (found := re.match(r"(\d{1,3})\.\d{1,3}\.", name))), default=-1)
    for name, tensor in own:
        number, _, rest = name.partition(".")
        if number.isdecimal() and len(number) < 4:
            named.append((f"layer4.{rest}" if int(number) == last else f"layer3.{int(number) + 1}.{rest}", tensor))
    return named


def _branches(tensors: Mapping[str, torch.Tensor]) -> list[dict[str, object] | None]:
    branches: list[dict[str, object] | None] = []
    while len(branches) < 9 and f"branches.{len(branches)}.0.backbone.0.conv1.weight" in tensors:
        prefix = f"branches.{len(branches)}.1."
        branches.append(
            _branch({name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)})
        )
    return branches


def _branch(tensors: Mapping[str, torch.Tensor]) -> dict[str, object] | None:
    attentions = [kind for kind in ("cam", "pam") if any(name.startswith(f"{kind}_module.") for name in tensors)]
    heads = any(name.endswith("_module.conv5c.0.weight") for name in tensors)
    numbers = [
        int(found[1]) for name in tensors if (found := re.fullmatch(r"(?:classifiers|fcs)\.(\d{1,2})\..+", name))
    ]
    parts = max(numbers, default=0) + 1
    if parts > _MOST_PARTS:
        return None
    if "reduction.0.weight" in tensors:
        width = tensors["reduction.0.weight"].shape[0]
        return {"kind": "abd", "width": width, "parts": parts, "attentions": attentions, "heads": heads}
    if "fc.0.weight" in tensors:
        return {"kind": "global", "width": tensors["fc.0.weight"].shape[0]}
    if "fcs.0.0.weight" in tensors:
        return {"kind": "stripes", "width": tensors["fcs.0.0.weight"].shape[0], "parts": parts}
    if attentions:
        kind = f"{attentions[0]}_module.conv7.1.weight"
        return {
            "kind": "dual",
            "width": tensors[kind].shape[0] if heads else 0,
            "attentions": attentions,
            "heads": heads,
        }
    return None
