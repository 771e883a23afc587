"""What fast-reid's networks and those of LUPerson's fork read off a file's tensors."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import nn

from sysu30k_bench.models.networks.fastreid.luperson import LUPerson, LUPersonAGW, LUPersonMGN
from sysu30k_bench.models.networks.fastreid.mgn import FastReidMGN
from sysu30k_bench.models.networks.fastreid.network import (
    FORK_NOTE,
    POOL_NOTE,
    STEM_NOTE,
    STRIDE_NOTE,
    FastReid,
    FastReidAGW,
)
from sysu30k_bench.models.networks.vits.vit import VisionTransformer
from tests.models.networks.test_resnets import BASIC, TINY, lively

CEIL = {**TINY, "stem_pool": "ceil"}
NEST = {**TINY, "radix": 2, "se_widths": [2, 2, 4, 4], "average_shortcut": True, "stem": [2, 2, 4], "stem_kernel": 3}
OSNET = {
    "widths": [8, 32, 48, 64],
    "instance": [["after", "none"], ["none", "none"], ["none", "none"]],
    "gate_reduction": 4,
}
STAGES = [[1, 8, 1, 3, 2, 0], [2, 8, 2, 5, 2, 2], [1, 8, 2, 3, 2, 0], [1, 8, 2, 3, 2, 0], [1, 8, 2, 3, 2, 0],
          [1, 8, 2, 3, 2, 0], [1, 8, 2, 3, 2, 0]]  # fmt: skip
GATES = [[2, 0], [2, 3], [2, 0], [2, 0]]
REGNET = {"stem": 4, "blocks": [1, 2, 1, 1], "outputs": [4, 8, 8, 8], "groups": [1, 2, 2, 2], "gates": GATES}
VIT: dict[str, Any] = {"dim": 64, "depth": 1, "heads": 1, "hidden": 64, "grid": [16, 8]}
NETWORKS: list[tuple[type[nn.Module], dict[str, Any]]] = [
    (FastReid, {"trunk": CEIL}),
    (FastReid, {"trunk": {**BASIC, "stem_pool": "ceil"}, "pool": "gem"}),
    (FastReid, {"trunk": {**CEIL, "non_local": [0, 1, 1, 0]}, "pool": "gem", "embedding": 6}),
    (FastReidAGW, {"trunk": {**CEIL, "non_local": [0, 1, 1, 0]}, "pool": "gem_fixed"}),
    (FastReid, {"trunk": {**TINY, "groups": [2] * 4}, "embedding": 6, "norm": False}),
    (FastReid, {"trunk": {**NEST, "last_dilation": 2}, "norm": False}),
    (FastReid, {"backbone": "osnet", "trunk": OSNET}),
    (FastReid, {"backbone": "vit", "trunk": VIT}),
    (FastReid, {"backbone": "shufflenet", "trunk": {"stem": 4, "blocks": [2, 1], "outputs": [8, 16], "last": 12}}),
    (
        FastReid,
        {"backbone": "repvgg", "trunk": {"stem": 4, "blocks": [2, 1], "outputs": [4, 8], "groups": [1, 1, 2, 1]}},
    ),
    (FastReid, {"backbone": "repvgg", "trunk": {"stem": 4, "blocks": [1, 1], "outputs": [4, 8], "fused": True}}),
    (FastReid, {"backbone": "mobilenet_v2", "trunk": {"stem": 4, "outputs": [4] * 7, "last": 8}}),
    (FastReid, {"backbone": "mobilenet_v3", "trunk": {"size": "small", "last": 8}}),
    (FastReid, {"backbone": "regnet", "trunk": REGNET}),
    (FastReid, {"backbone": "efficientnet", "trunk": {"stem": 4, "stages": STAGES, "head": 8}}),
    (LUPerson, {"trunk": TINY, "extra_norm": True}),
    (LUPersonAGW, {"trunk": {**TINY, "non_local": [0, 1, 1, 0]}, "pool": "gem_fixed"}),
    (FastReidMGN, {"trunk": {**CEIL, "ibn_a": ["layer1.0", "layer3.0", "layer3.1"]}, "embedding": 5}),
    (LUPersonMGN, {"trunk": TINY, "stem_pool": "max", "pool": "avg", "embedding": 5, "extra_norm": True}),
]


@pytest.mark.parametrize(("kind", "options"), NETWORKS)
def test_structure_builds_the_network_that_the_file_holds(kind: Any, options: dict[str, Any]) -> None:
    network = lively(kind(**options))
    found = kind.structure(network.state_dict())
    json.dumps(found.options)
    with torch.device("meta"):
        kind(**found.options)
    again = kind(**found.options).eval()
    if options.get("backbone") == "vit":
        assert found.input == {"height": 256, "width": 128}
        assert isinstance(again.backbone, VisionTransformer)
        return  # the heads of such a narrow one are not told
    again.load_state_dict(network.state_dict())
    images = torch.randn(2, 3, 128, 64)
    with torch.inference_mode():
        feature = network(images)
        assert torch.equal(again(images), feature)
    assert feature.dim() == 2


def test_what_a_file_does_not_tell_is_said() -> None:
    tensors = FastReid(trunk=TINY).state_dict()
    assert FastReid.structure(tensors).notes == [STEM_NOTE, POOL_NOTE]  # type: ignore[union-attr]
    assert FastReidAGW.structure(tensors).notes == [STEM_NOTE]  # type: ignore[union-attr]
    plain = FastReid("repvgg", {"stem": 4, "blocks": [1], "outputs": [4]}).state_dict()
    assert FastReid.structure(plain).notes == [STRIDE_NOTE]  # type: ignore[union-attr]


def test_the_pixel_statistics_of_a_file_are_taken_and_tell_the_fork() -> None:
    tensors = FastReid(trunk=TINY).state_dict()
    own = {"pixel_mean": torch.tensor([123.675, 116.28, 103.53]).view(1, 3, 1, 1), "pixel_std": torch.ones(1, 3, 1, 1)}
    found = FastReid.structure({**tensors, **own})
    assert found is not None
    assert found.input == {"mean": [123.675, 116.28, 103.53], "std": [1.0, 1.0, 1.0]}
    assert "stem_pool" not in found.options
    found = FastReid.structure({**tensors, **own, "pixel_mean": torch.tensor([89.896, 79.2, 80.073])})
    assert found is not None
    assert found.input["mean"] == [89.896, 79.2, 80.073]
    assert found.options["stem_pool"] == "max"
    assert FORK_NOTE in found.notes


@pytest.mark.parametrize(
    "tensors",
    [
        {},
        {"backbone.conv1.weight": torch.zeros(4)},
        {"backbone.conv1.conv.weight": torch.zeros(4)},
        {"backbone.patch_embed.proj.weight": torch.zeros(4)},
        {"backbone.first_conv.0.weight": torch.zeros(()), "backbone.conv_last.0.weight": torch.zeros(())},
        {"backbone.stage0.rbr_dense.conv.weight": torch.zeros(0, 0)},
        {"backbone.features.1.block.0.0.weight": torch.zeros(1), "backbone.features.x.weight": torch.zeros(1),
         "backbone.conv.0.weight": torch.zeros(1)},
        {"backbone.features.1.conv.3.weight": torch.zeros(1), "backbone.conv.0.weight": torch.zeros(1)},
        {"backbone.stem.conv.weight": torch.zeros(1), "backbone.s1.b1.f.a.weight": torch.zeros(1)},
        {"backbone.head.conv.weight": torch.zeros(1), "backbone.s1.b1.dwise.weight": torch.zeros(1)},
        {"b1.0.0.conv1.weight": torch.zeros(1), "backbone.0.weight": torch.zeros(4, 3, 7, 7)},
    ],
)  # fmt: skip
def test_strange_tensors_are_of_no_network(tensors: dict[str, torch.Tensor]) -> None:
    for kind in (FastReid, FastReidAGW, FastReidMGN, LUPerson, LUPersonMGN):
        assert kind.structure(tensors) is None


def test_an_unknown_backbone_is_refused() -> None:
    with pytest.raises(ValueError, match="no backbone 'perceptron'"):
        FastReid("perceptron")
