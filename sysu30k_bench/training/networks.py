"""Networks as they are trained: with classifiers, and with the early features that the graph compares.

Their state dicts are in public layouts, so that `eval` recognises a checkpoint of `train` like any other.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torchvision import models

from sysu30k_bench.errors import UsageError
from sysu30k_bench.models.networks.mgn import MGN
from sysu30k_bench.models.networks.tiny import WIDTHS, TinyNet

_MGN_HEADS = ("fc_id_2048_0", "fc_id_2048_1", "fc_id_2048_2", "fc_id_256_1_0", "fc_id_256_1_1",
              "fc_id_256_2_0", "fc_id_256_2_1", "fc_id_256_2_2")  # fmt: skip
_MGN_GLOBALS, _MGN_WIDTH, _LOW_STAGES = 3, 256, 5


class Outputs(NamedTuple):
    """What the losses see of a batch.

    Attributes:
        logits: (N, C) of each head; every head has pseudo-labels of its own.
        embeddings: (N, D) of each triplet term, not normalised.
        low_level: (N, L) for the affinity of the graph.
    """

    logits: list[torch.Tensor]
    embeddings: list[torch.Tensor]
    low_level: torch.Tensor


class TrainedResNet(nn.Module):
    """ResNet-50 and a linear classifier, in the layout of `net_N.pth` (`model.*`, `classifier.classifier.0.*`).

    Args:
        classes: C.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.model = models.resnet50(weights=None)
        linear = nn.Linear(2048, classes)
        nn.init.normal_(linear.weight, std=0.001)
        nn.init.zeros_(linear.bias)
        self.classifier = nn.Module()
        self.classifier.classifier = nn.Sequential(linear)
        self.model.fc.requires_grad_(requires_grad=False)  # kept for the layout's sake, never run

    def forward(self, images: torch.Tensor) -> Outputs:
        """Runs (N, 3, H, W)."""
        net = self.model
        early = net.layer1(net.maxpool(net.relu(net.bn1(net.conv1(images)))))
        pooled = net.avgpool(net.layer4(net.layer3(net.layer2(early)))).flatten(1)
        head: nn.Module = self.classifier.classifier  # type: ignore[assignment]
        return Outputs([head(pooled)], [pooled], early.mean(dim=(2, 3)))

    def heads(self) -> nn.Module:
        """The part that learns at the full rate."""
        return self.classifier


class TrainedMGN(MGN):
    """MGN with its eight classifiers, in the layout of MGN-pytorch.

    Args:
        classes: C.
    """

    def __init__(self, classes: int) -> None:
        super().__init__("avg")
        for name in _MGN_HEADS:
            linear = nn.Linear(_MGN_WIDTH, classes)
            nn.init.kaiming_normal_(linear.weight, mode="fan_out")
            nn.init.zeros_(linear.bias)
            self.add_module(name, linear)

    def forward(self, images: torch.Tensor) -> Outputs:  # type: ignore[override]
        """Runs (N, 3, H, W)."""
        early = self.backbone[:_LOW_STAGES](images)
        parts = super()._read_out(self.backbone[_LOW_STAGES:](early)).chunk(len(_MGN_HEADS), dim=1)
        logits = [getattr(self, name)(part) for name, part in zip(_MGN_HEADS, parts, strict=True)]
        return Outputs(logits, list(parts[:_MGN_GLOBALS]), early.mean(dim=(2, 3)))

    def heads(self) -> nn.Module:
        """The part that learns at the full rate."""
        return nn.ModuleList([getattr(self, name) for name in _MGN_HEADS])


class TrainedTiny(TinyNet):
    """The tiny network with a classifier.

    Args:
        classes: C.
        norm: As of `TinyNet`.
    """

    def __init__(self, classes: int, norm: str = "batch") -> None:
        super().__init__("group" if norm == "group" else "batch")
        self.fc = nn.Linear(WIDTHS[-1], classes)

    def forward(self, images: torch.Tensor) -> Outputs:  # type: ignore[override]
        """Runs (N, 3, H, W)."""
        early = self.low_level(images)
        features = self.high_level(early)
        return Outputs([self.fc(features)], [features], early.mean(dim=(2, 3)))

    def heads(self) -> nn.Module:
        """The part that learns at the full rate."""
        return self.fc


TrainedNetwork = TrainedResNet | TrainedMGN | TrainedTiny


def build_network(name: str, classes: int, norm: str = "batch") -> TrainedNetwork:
    """Makes a network to train, with random weights.

    Args:
        name: `resnet50`, `mgn` or `tiny`.
        classes: C.
        norm: `batch` or `group`; of the tiny one alone.

    Raises:
        UsageError: There is no such network.
    """
    if name == "resnet50":
        return TrainedResNet(classes)
    if name == "mgn":
        return TrainedMGN(classes)
    if name == "tiny":
        return TrainedTiny(classes, norm)
    raise UsageError(f"there is no network {name!r} to train", hint="resnet50, mgn or tiny")


def load_imagenet(network: TrainedNetwork, state: dict[str, torch.Tensor]) -> None:
    """Fills the trunk with a torchvision ResNet-50.

    MGN's branches each get a copy of the later stages.

    Args:
        network: What to fill.
        state: torchvision's names; `fc.*` may be missing.

    Raises:
        UsageError: The network is no ResNet-50, or tensors are missing.
    """
    if isinstance(network, TrainedTiny):
        raise UsageError("the tiny network takes no ResNet-50 weights", hint='set network.weights = ""')
    donor = models.resnet50(weights=None)
    missing = donor.load_state_dict(state, strict=False)
    lacking = [name for name in missing.missing_keys if not name.startswith("fc.") and "num_batches" not in name]
    if lacking or missing.unexpected_keys:
        raise UsageError(
            "the weights are not a torchvision ResNet-50", hint="download resnet50's IMAGENET1K weights of torchvision"
        )
    if isinstance(network, TrainedResNet):
        network.model.load_state_dict(donor.state_dict())
        return
    network.backbone.load_state_dict(
        nn.Sequential(
            donor.conv1, donor.bn1, donor.relu, donor.maxpool, donor.layer1, donor.layer2, donor.layer3[0]
        ).state_dict()
    )
    for branch in (network.p1, network.p2, network.p3):
        branch.load_state_dict(nn.Sequential(nn.Sequential(*donor.layer3[1:]), donor.layer4).state_dict())  # type: ignore[union-attr]
