"""Residual networks of re-ID projects: options read off state dicts of several depths and widths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import nn

from sysu30k_bench.models.networks.branches.abd_net import ABDNet
from sysu30k_bench.models.networks.branches.attention_dual import ChannelAttention, PositionAttention
from sysu30k_bench.models.networks.branches.bdb import BatchDropBlock
from sysu30k_bench.models.networks.branches.dgnet import DGNet
from sysu30k_bench.models.networks.branches.light_reid import LightReID
from sysu30k_bench.models.networks.branches.pcb import PCB
from sysu30k_bench.models.networks.branches.rga_net import RGANet
from sysu30k_bench.models.networks.branches.unsupervised_branches import AsymmetricBranches
from sysu30k_bench.models.networks.resnets.densenet import DenseNetTrunk, TorchreidDenseNet
from sysu30k_bench.models.networks.resnets.layumi_resnet import LayumiResNet, Salience
from sysu30k_bench.models.networks.resnets.torchreid_resnet import TorchreidResNet, TorchreidResNetMid
from sysu30k_bench.models.networks.resnets.unsupervised_aibn import AdaptiveInstanceBatchNorm, AdaptiveResNet

Shape = dict[str, Any]
SMALL: Shape = {
    "blocks": [1, 2, 2, 2],
    "stem": [8],
    "entries": [4, 4, 8, 8],
    "widths": [4, 4, 8, 8],
    "outputs": [16, 16, 32, 32],
}
IMAGES = torch.randn(2, 3, 96, 48, generator=torch.Generator().manual_seed(0))
_ABD = {"kind": "abd", "width": 16, "parts": 2, "attentions": ["cam", "pam"], "heads": True}


def _read(network: type, options: Mapping[str, Any], extra: Mapping[str, torch.Tensor] | None = None) -> Any:
    """Makes a network, reads its options off its own tensors, and checks that they make the same network again."""
    torch.manual_seed(0)
    made = network(**options).eval()
    found = network.structure({**made.state_dict(), **(extra or {})})  # type: ignore[attr-defined]
    assert found is not None
    again = network(**{**found.options, **{k: v for k, v in options.items() if k in _UNSEEN}}).eval()
    again.load_state_dict(made.state_dict())
    images = IMAGES if not found.input else torch.randn(2, 3, found.input["height"], found.input["width"])
    with torch.no_grad():
        torch.testing.assert_close(made(images), again(images))
    return found


_UNSEEN = {"unit", "interleaved", "last_relu", "pool", "stem_relu"}


@pytest.mark.parametrize(
    ("network", "options"),
    [
        (TorchreidResNet, {**SMALL}),
        (TorchreidResNet, {**SMALL, "ibn_a": ["layer1.0"], "ibn_b": ["layer2.1"], "stem_norm": "instance"}),
        (TorchreidResNetMid, {**SMALL, "fusion": [8, 6]}),
        (LayumiResNet, {**SMALL, "usam": True}),
        (DGNet, {**SMALL, "width": 6}),
        (LightReID, {**SMALL, "embedding": 6, "neck": True}),
        (AdaptiveResNet, {**SMALL, "adaptive": ["layer3.1", "layer4.0"]}),
        (AsymmetricBranches, {**SMALL, "first": 3}),
        (AsymmetricBranches, {**SMALL, "first": 4, "embedding": 6}),
        (BatchDropBlock, {**SMALL, "extra": 2, "whole_width": 6, "part_width": 4, "norms": True}),
        (BatchDropBlock, {**SMALL, "extra": 1, "whole_width": 6, "part_width": 0}),
        (ABDNet, {**SMALL, "branches": [{"kind": "global", "width": 6}, {"kind": "stripes", "width": 4, "parts": 3}]}),
        (ABDNet, {**SMALL, "early": True, "shallow": False, "branches": [{"kind": "global", "width": 6}]}),
        (ABDNet, {**SMALL, "branches": [{"kind": "dual", "width": 32, "attentions": ["pam"], "heads": True}]}),
        (PCB, {**SMALL, "parts": 3, "local": 4}),
        (DenseNetTrunk, {"growth": 4, "blocks": [2, 1, 2, 2], "stem": 8, "neck": True, "embedding": 6}),
    ],
)
def test_options_are_read_off_the_tensors(network: type, options: Shape) -> None:
    found = _read(network, options)
    for name, value in options.items():
        if name not in _UNSEEN | {"branches"}:
            assert found.options[name] == value


@pytest.mark.parametrize("parts", [4, 6])
@pytest.mark.parametrize("heads", ["classifier{}.add_block.0.weight", "classifier.{}.weight", "instance{}.weight"])
def test_stripes_are_as_many_as_heads(parts: int, heads: str) -> None:
    extra = {heads.format(number): torch.zeros(2, 32) for number in range(parts)}
    found = _read(PCB, {**SMALL, "parts": parts, "unit": True, "interleaved": True}, extra)
    assert found.options["parts"] == parts


def test_no_stripes_without_heads_in_a_row() -> None:
    state = PCB(**SMALL).state_dict()
    assert PCB.structure(state) is None
    assert (
        PCB.structure({**state, "classifier.0.weight": torch.zeros(2, 2), "classifier.2.weight": torch.zeros(1)})
        is None
    )


def test_part_classifier_weighs_places() -> None:
    network = PCB(**{**SMALL, "parts": 2, "mask": 8}).eval()
    found = PCB.structure(
        {**network.state_dict(), "instance0.weight": torch.zeros(1), "instance1.weight": torch.zeros(1)}
    )
    assert found is not None
    assert found.options["mask"] == 8
    with torch.no_grad():
        network.mask.weight.zero_()
        network.mask.bias.zero_()
        maps = network.maps(IMAGES)
        whole = maps.mean(dim=(2, 3))
        torch.testing.assert_close(network(IMAGES), torch.cat([whole, whole], dim=1))


def test_parts_of_the_attention_branch_are_its_classifiers() -> None:
    torch.manual_seed(0)
    state = dict(ABDNet([_ABD], **SMALL).state_dict())
    state |= {f"branches.0.1.classifiers.{number}.weight": torch.zeros(2, 16) for number in range(2)}
    found = ABDNet.structure(state)
    assert found is not None
    assert found.options["branches"] == [_ABD]


def test_image_size_is_read_off_the_attention() -> None:
    options = {**SMALL, "height": 96, "width": 32, "ratio": 2, "down": 2, "spatial": True, "channel": False}
    found = _read(RGANet, options)
    assert found.input == {"height": 96, "width": 32}
    assert {name: found.options[name] for name in ("spatial", "channel", "ratio")} == {
        "spatial": True,
        "channel": False,
        "ratio": 2,
    }


def test_torchreid_sets_stride_and_stem() -> None:
    plain = TorchreidResNet.structure(TorchreidResNet(**SMALL).state_dict())
    embedded = TorchreidResNet.structure(TorchreidResNet(**SMALL, embedding=6, neck=True).state_dict())
    squeezed = TorchreidResNet.structure(TorchreidResNet(**SMALL, se="conv", se_widths=[2, 2, 2, 2]).state_dict())
    assert plain is not None
    assert embedded is not None
    assert squeezed is not None
    assert (plain.options["last_stride"], embedded.options["last_stride"]) == (2, 1)
    assert embedded.options["neck_relu"]
    assert (squeezed.options["stem_pool"], squeezed.options["early_stride"]) == ("ceil", True)
    assert "stem_pool" not in plain.options


def test_a_thousand_classes_are_no_torchreid_densenet() -> None:
    state = DenseNetTrunk(4, [2, 1, 2, 2], 8).state_dict()
    assert TorchreidDenseNet.structure({**state, "classifier.weight": torch.zeros(751, 4)}) is not None
    assert TorchreidDenseNet.structure({**state, "classifier.weight": torch.zeros(1000, 4)}) is None


@pytest.mark.parametrize(
    "network",
    [
        ABDNet, AdaptiveResNet, AsymmetricBranches, BatchDropBlock, DGNet, DenseNetTrunk, LayumiResNet, LightReID, PCB,
        RGANet, TorchreidDenseNet, TorchreidResNet, TorchreidResNetMid,
    ],
)  # fmt: skip
def test_strange_tensors_are_no_network(network: Any) -> None:
    odd = torch.zeros(())
    names = [
        "conv1.weight", "layer1.0.conv1.weight", "layer1.0.conv2.weight", "layer1.0.conv3.weight",
        "rga_att1.gx_spatial.0.weight", "rga_att1.gg_spatial.0.weight", "branches.0.0.backbone.0.conv1.weight",
        "branches.0.1.reduction.0.weight", "features.conv0.weight", "features.denseblock1.denselayer1.conv1.weight",
        "features.denseblock1.denselayer1.conv2.weight", "whole.0.weight", "drop.0.conv1.weight", "heads.0.0.weight",
        "layer3.0.adaptive_weight", "base.3.x", "base.4.x", "base.5.x", "mask.weight", "local.0.0.weight",
        "classifier.0.weight", "head.is_hash", "fusion.0.weight", "classifier.99999999999.weight",
    ]  # fmt: skip
    assert network.structure({}) is None
    assert network.structure(dict.fromkeys(names, odd)) is None
    assert network.structure(dict.fromkeys(names, torch.zeros(1, 0, 0, 0))) is None
    huge = torch.empty(1 << 40, 1 << 20, 1, 1, device="meta")
    assert network.structure(dict.fromkeys(names, huge)) is None


def test_dual_attention_begins_as_identity() -> None:
    maps = torch.randn(2, 16, 4, 3, generator=torch.Generator().manual_seed(1))
    for layer in (ChannelAttention(), PositionAttention(16)):
        torch.testing.assert_close(layer(maps), maps)


def test_salience_leaves_the_border_alone() -> None:
    maps = torch.rand(1, 4, 5, 5, generator=torch.Generator().manual_seed(1))
    salient = Salience().eval()(maps)
    torch.testing.assert_close(salient[:, :, 0], maps[:, :, 0])
    assert not torch.allclose(salient[:, :, 2], maps[:, :, 2])


def test_adaptive_norm_with_weight_one_is_batch_norm() -> None:
    batch = nn.BatchNorm2d(6).eval()
    batch.load_state_dict({"running_mean": torch.randn(6), "running_var": torch.rand(6) + 0.5}, strict=False)
    adaptive = AdaptiveInstanceBatchNorm(6, nn.Parameter(torch.full((1,), 3.0)))
    adaptive.load_state_dict(batch.state_dict(), strict=False)
    maps = torch.randn(2, 6, 4, 3)
    torch.testing.assert_close(adaptive(maps), batch(maps))
