"""The trunk: a ResNet or the tiny network, filled from any checkpoint that the adapters read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torchvision import models

from sysu30k_bench.errors import UsageError
from sysu30k_bench.models.formats.checkpoint import read_checkpoint
from sysu30k_bench.models.matching.detect import detect_card
from sysu30k_bench.models.networks.tiny import WIDTHS, TinyNet
from sysu30k_bench.training.ssl.recipe import TrunkPart
from sysu30k_bench.training.weights import DOWNLOAD, download_imagenet
from sysu30k_bench.words import count

_COUNTER = "num_batches_tracked"


def build_backbone(part: TrunkPart) -> tuple[nn.Module, int]:
    """Makes a trunk, with the recipe's weights or random ones.

    Args:
        part: Which network, and its first weights.

    Returns:
        The trunk, which maps (N, 3, H, W) to (N, D), and D.

    Raises:
        UsageError: The weights are of another network.
        BenchError: They cannot be read or downloaded.
    """
    network: nn.Module
    if part.name == "tiny":
        network, width = TinyNet(), WIDTHS[-1]
    else:
        build: Any = getattr(models, part.name)
        resnet = build(weights=None)
        width = int(resnet.fc.in_features)
        resnet.fc = nn.Identity()
        network = resnet
    if part.weights:
        _fill(network, part)
    return network, width


def _fill(network: nn.Module, part: TrunkPart) -> None:
    if part.weights == DOWNLOAD:
        found = download_imagenet(part.name)
        said = "torchvision's weights"
    else:
        checkpoint = read_checkpoint(Path(part.weights))
        detected = detect_card(checkpoint)
        found, said = detected.fit.tensors, f"{part.weights} ({detected.card.title})"
    wanted = network.state_dict()
    faults = [
        f"{name}: {'missing' if name not in found else f'{tuple(found[name].shape)}, not {tuple(value.shape)}'}"
        for name, value in wanted.items()
        if not name.endswith(_COUNTER) and (name not in found or found[name].shape != value.shape)
    ]
    if faults:
        raise UsageError(
            f"{said} does not fill {count(len(faults), 'tensor')} of the trunk {part.name}",
            details=faults,
            hint="name the network that the weights are of with --set network.name=NAME",
        )
    taken = {name: found.get(name, value) for name, value in wanted.items()}
    network.load_state_dict({name: torch.as_tensor(value) for name, value in taken.items()})
