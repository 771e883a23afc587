"""Networks of timm and torchvision whose architecture the file itself shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from sysu30k_bench.models.card import Network
from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.hierarchical.catalogue import built, matching
from sysu30k_bench.models.sources import RemovedLayer

_PREFIX = "trunk."


class TimmTrunk(nn.Module):
    """A network of timm without its classifier: what timm itself calls the features before the logits.

    Its tensors have timm's names below `trunk.`.

    Args:
        architecture: Its name in timm.
        img_size: Height and width for which the network is built, where it is not built for any.
    """

    def __init__(self, architecture: str = "efficientnet_b0", img_size: Sequence[int] = ()) -> None:
        super().__init__()
        options: dict[str, list[int]] = {"img_size": list(img_size)} if img_size else {}
        self.trunk = built(Network(source=f"timm:{architecture}", options=dict(options)))

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Finds the architecture, and the input size where it has a fixed one.

        Args:
            tensors: The file's tensors by timm's names below `trunk.`.

        Returns:
            The architecture; None where timm has none with these tensors.
        """
        found = matching("timm", below(tensors, _PREFIX))
        if not found:
            return None
        inputs = {name: _configured(name) for name in found}
        return Structure({"architecture": found[0]}, input=inputs[found[0]], notes=_others(found), alike=inputs)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps normalised images (N, 3, H, W) to features (N, D)."""
        pooled: torch.Tensor = self.trunk(images)
        return pooled


class TorchvisionTrunk(nn.Module):
    """A classifier of torchvision without its classifier block: the pooled, and where it has one normalised, feature.

    AlexNet and VGG keep all but the last of their linear layers. Tensors have torchvision's names below `trunk.`.

    Args:
        architecture: Its name in torchvision.
    """

    def __init__(self, architecture: str = "mobilenet_v3_large") -> None:
        super().__init__()
        self.trunk = built(Network(source=f"torchvision:{architecture}"))
        block = getattr(self.trunk, "classifier", None)
        if isinstance(block, nn.Sequential) and not architecture.startswith(("vgg", "alexnet")):
            self.trunk.classifier = nn.Sequential(*_before_linear(block))

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Finds the architecture.

        Args:
            tensors: The file's tensors by torchvision's names below `trunk.`.

        Returns:
            The architecture; None where torchvision has none with these tensors.
        """
        found = matching("torchvision", below(tensors, _PREFIX))
        if not found:
            return None
        return Structure({"architecture": found[0]}, notes=_others(found), alike={name: {} for name in found})

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps normalised images (N, 3, H, W) to features (N, D)."""
        pooled: torch.Tensor = self.trunk(images)
        return pooled


def below(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """Returns the tensors under a prefix, without it."""
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _before_linear(block: nn.Sequential) -> list[nn.Module]:
    """The layers of a classifier block before its first linear one, and places for those that were there."""
    kept: list[nn.Module] = []
    linear = False
    for layer in block:
        linear = linear or isinstance(layer, nn.Linear | RemovedLayer)
        kept.append(RemovedLayer() if isinstance(layer, nn.Linear) else nn.Identity() if linear else layer)
    return kept


def _others(found: Sequence[str]) -> list[str]:
    if len(found) == 1:
        return []
    return [
        f"the tensors are those of {', '.join(found)} alike, which differ in what weights do not show: taken as "
        f"{found[0]} (--network-option architecture=NAME for another)"
    ]


def _configured(architecture: str) -> dict[str, object]:
    """Returns the mean and deviation of an architecture, and the input size where it insists on one."""
    import timm

    config = timm.get_pretrained_cfg(architecture, allow_unregistered=True)
    if config is None:
        return {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    seen: dict[str, object] = {
        "mean": [float(value) for value in config.mean],
        "std": [float(value) for value in config.std],
    }
    if config.fixed_input_size:
        seen |= {"height": int(config.input_size[1]), "width": int(config.input_size[2])}
    return seen
