"""Real checkpoints that cannot be in this repository, where SYSU30K_TESTS_TORCH_WEIGHTS names their folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from sysu30k_bench.errors import UsageError
from sysu30k_bench.evaluation.embedding.model import TAKEN_FOR_GRANTED, ready_model
from sysu30k_bench.evaluation.request import ExportRequest

CPU = torch.device("cpu")
TEN_LINES = r"""
name = "sketch_reid"
title = "CIFAR ResNet-56 for sketch re-identification, 512-d bottleneck"
[network]
source = "python:tests.models.test_real_checkpoints:cifar_resnet"
options = { blocks = 9 }
[[checkpoint.layout]]
name = "sketch-reid"
rename = [['^module\.', ''], ['^classifier\.add_block\.', 'bottleneck.']]
[feature]
kind = "bottleneck"
"""


class Block(nn.Module):
    """Two convolutions and a shortcut that pads channels (He et al. 2016, section 4.2, option A)."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.stride, self.added = stride, width - width_in

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        out = self.bn2(self.conv2(self.bn1(self.conv1(images)).relu()))
        short = images[:, :, :: self.stride, :: self.stride]
        return (out + nn.functional.pad(short, (0, 0, 0, 0, self.added // 2, self.added // 2))).relu()  # type: ignore[no-any-return]


class CifarResNet(nn.Module):
    """Three stages of 16, 32 and 64 channels."""

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        widths = [(16, 16, 1), (16, 32, 2), (32, 64, 2)]
        for number, (width_in, width, stride) in enumerate(widths, 1):
            rest = [Block(width, width, 1) for _ in range(blocks - 1)]
            setattr(self, f"layer{number}", nn.Sequential(Block(width_in, width, stride), *rest))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.bn1(self.conv1(images)).relu()
        for number in (1, 2, 3):
            features = self.get_submodule(f"layer{number}")(features)
        return features.mean(dim=(2, 3))  # type: ignore[no-any-return]


def cifar_resnet(blocks: int) -> nn.Module:
    return CifarResNet(blocks)


@pytest.fixture
def weights() -> Path:
    folder = os.environ.get("SYSU30K_TESTS_TORCH_WEIGHTS")
    if folder is None:
        pytest.skip("SYSU30K_TESTS_TORCH_WEIGHTS does not name the folder of the checkpoints")
    return Path(folder)


def test_a_messy_checkpoint_loads_with_a_card_of_ten_lines(weights: Path, tmp_path: Path) -> None:
    assert len(TEN_LINES.strip().splitlines()) == 10
    (tmp_path / "card.toml").write_text(TEN_LINES)
    path = weights / "pku_sketch_resnet56_net_last.pth"
    ready = ready_model(ExportRequest(path, adapter=str(tmp_path / "card.toml")), CPU)
    assert ready.coverage.complete
    assert ready.coverage.loaded == 55 * 6 - 55 + 6
    left = sorted(name for name in ready.coverage.unused if not name.endswith("num_batches_tracked"))
    assert left == ["classifier.classifier.0.bias", "classifier.classifier.0.weight"]
    embedded = ready.embedder(torch.randint(0, 256, (2, 3, 256, 128), dtype=torch.uint8))
    assert embedded.shape == (2, 512)
    with pytest.raises(UsageError):
        ready_model(ExportRequest(path), CPU)


def test_the_digest_in_a_name_is_verified(weights: Path, tmp_path: Path) -> None:
    network = "python:tests.models.test_real_checkpoints:cifar_resnet20"
    path = weights / "cifar10_resnet20-12fca82f.th"
    assert ready_model(ExportRequest(path, model=network), CPU).cautions == [TAKEN_FOR_GRANTED]
    changed = tmp_path / path.name
    shutil.copyfile(path, changed)
    content = torch.load(changed, map_location="cpu", weights_only=True)
    content["best_prec1"] += 1
    torch.save(content, changed)
    _, caution = ready_model(ExportRequest(changed, model=network), CPU).cautions
    assert "begins with 12fca82f" in caution


def cifar_resnet20() -> nn.Module:
    return CifarResNet(3)
