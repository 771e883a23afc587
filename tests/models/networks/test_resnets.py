"""What the residual trunk reads off a file's tensors, and that it is torchvision's where those are."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import nn
from torchvision import models

from sysu30k_bench.models.networks.resnets.nonlocal_ import NonLocal
from sysu30k_bench.models.networks.resnets.pools import pool_of
from sysu30k_bench.models.networks.resnets.stem import stem_pool
from sysu30k_bench.models.networks.resnets.strong import StrongResNet
from sysu30k_bench.models.networks.resnets.trunk import ResNetTrunk

TINY: dict[str, Any] = {
    "blocks": [1, 2, 2, 1],
    "entries": [4, 4, 8, 8],
    "widths": [4, 4, 8, 8],
    "outputs": [8, 8, 16, 16],
    "stem": [4],
}
BASIC: dict[str, Any] = {**TINY, "block": "basic", "outputs": [4, 4, 8, 8]}


def lively(network: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    for name, tensor in network.state_dict().items():
        if name.endswith("running_mean"):
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.1)
        if name.endswith("running_var"):
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return network.eval()


@pytest.mark.parametrize(
    "options",
    [
        TINY,
        BASIC,
        {
            **TINY,
            "blocks": [1, 1, 1],
            "entries": [4, 4, 8],
            "widths": [4, 4, 8],
            "outputs": [8, 8, 16],
            "groups": [1] * 3,
        },
        {**TINY, "groups": [2, 2, 4, 4]},
        {**TINY, "ibn_a": ["layer1.0", "layer2.1"], "ibn_b": ["layer3.1"]},
        {**BASIC, "ibn_a": ["layer1.0"]},
        {**TINY, "stem_norm": "instance"},
        {**TINY, "se": "conv", "se_widths": [1, 1, 2, 2]},
        {**BASIC, "se": "linear", "se_widths": [1, 1, 2, 2]},
        {**TINY, "radix": 2, "se_widths": [2, 2, 4, 4], "average_shortcut": True, "stem": [2, 2, 4], "stem_kernel": 3},
        {**TINY, "non_local": [0, 2, 1, 0], "non_local_widths": [1, 4, 8, 1]},
        {**TINY, "stem_kernel": 3, "stem_stride": 1, "stem_pool": "none"},
        {**TINY, "entries": [4, 4, 8, 8], "widths": [8, 8, 16, 16], "outputs": [8, 8, 16, 16], "shortcut_kernel": 3},
        {**TINY, "pool": "gem", "embedding": 6, "embedding_kind": "conv", "embedding_bias": False, "neck": True},
        {**TINY, "embedding": 6, "neck": True},
        {**TINY, "neck": True},
    ],
)
def test_structure_builds_the_network_that_the_file_holds(options: dict[str, Any]) -> None:
    network = lively(ResNetTrunk(**options))
    found = ResNetTrunk.structure(network.state_dict())
    assert found is not None
    json.dumps(found.options)
    again = ResNetTrunk(**found.options).eval()
    again.load_state_dict(network.state_dict())
    images = torch.randn(2, 3, 64, 32)
    with torch.inference_mode():
        assert torch.equal(again(images), network(images))


@pytest.mark.parametrize("name", ["resnet18", "resnext50_32x4d"])
def test_it_is_torchvisions_network(name: str) -> None:
    theirs = lively(models.get_model(name, weights=None))
    theirs.fc = nn.Identity()
    found = ResNetTrunk.structure(theirs.state_dict())
    assert found is not None
    ours = ResNetTrunk(**found.options).eval()
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(1, 3, 64, 32)
    with torch.inference_mode():
        torch.testing.assert_close(ours(images), theirs(images))


@pytest.mark.parametrize(
    "tensors",
    [
        {},
        {"conv1.weight": torch.zeros(4)},
        {"layer1.0.conv1.weight": torch.zeros(0, 0, 0, 0), "conv1.weight": torch.zeros(4, 3, 7, 7)},
        {"layer1.0.conv1.weight": torch.zeros(4, 4, 1, 1), "layer1.0.conv3.weight": torch.zeros(())},
        {"layer1.99999.conv1.weight": torch.zeros(1)},
    ],
)
def test_strange_tensors_are_of_no_network(tensors: dict[str, torch.Tensor]) -> None:
    assert ResNetTrunk.structure(tensors) is None
    assert StrongResNet.structure(tensors) is None


def test_absurd_widths_are_refused() -> None:
    tensors = {name: value.to("meta") for name, value in ResNetTrunk(**TINY).state_dict().items()}
    tensors["layer4.0.conv3.weight"] = torch.empty(1 << 40, 8, 1, 1, device="meta")
    assert ResNetTrunk.structure(tensors) is None


@pytest.mark.parametrize("part", ["layer3.0.adaptive_weight", "layer2.0.conv4.weight", "NL_2.0.mask.weight"])
def test_a_block_with_a_part_that_the_network_lacks_is_refused(part: str) -> None:
    tensors = {**ResNetTrunk(**TINY).state_dict(), part: torch.zeros(1)}
    assert ResNetTrunk.structure(tensors) is None


def test_the_strong_baselines_stem_has_a_relu_only_beside_ibn_and_se() -> None:
    plain = StrongResNet.structure(ResNetTrunk(**TINY).state_dict())
    ibn = StrongResNet.structure(ResNetTrunk(**TINY, ibn_a=["layer1.0"]).state_dict())
    squeezed = StrongResNet.structure(ResNetTrunk(**TINY, se="conv", se_widths=[1] * 4).state_dict())
    grouped = StrongResNet.structure(ResNetTrunk(**TINY, groups=[2] * 4, se="conv", se_widths=[1] * 4).state_dict())
    options = [found.options if found else {} for found in (plain, ibn, squeezed, grouped)]
    assert [read["stem_relu"] for read in options] == [False, True, True, True]
    assert [read["stem_pool"] for read in options[2:]] == ["ceil", "ceil"]
    assert [read["early_stride"] for read in options[2:]] == [True, False]


def test_last_stride_keeps_the_rows_of_the_third_stage() -> None:
    images = torch.zeros(1, 3, 64, 32)
    assert ResNetTrunk(**TINY).eval().maps(images).shape[2:] == (2, 1)
    assert ResNetTrunk(**BASIC, last_stride=1).eval().maps(images).shape[2:] == (4, 2)


def test_the_non_local_block_is_equation_4_with_a_dot_product() -> None:
    block = lively(NonLocal(4, 2))
    maps = torch.randn(1, 4, 3, 2)
    query, key, value = (getattr(block, name)(maps)[0].flatten(1).T for name in ("theta", "phi", "g"))
    summed = (query @ key.T / 6) @ value
    with torch.inference_mode():
        expected = maps + block.W(summed.T.reshape(1, 2, 3, 2))
        torch.testing.assert_close(block(maps), expected)


def test_options_without_such_a_value_are_refused() -> None:
    for build in (pool_of, stem_pool):
        with pytest.raises(ValueError, match="not 'sum'"):
            build("sum")
    with pytest.raises(ValueError, match="linear or conv"):
        ResNetTrunk(**TINY, embedding=3, embedding_kind="cubic")
    with pytest.raises(ValueError, match="conv or linear"):
        ResNetTrunk(**TINY, se="square", se_widths=[1] * 4)
