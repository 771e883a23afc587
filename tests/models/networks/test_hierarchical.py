"""Staged networks read their own options off a file's tensors, and leave strange files alone."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping

import pytest
import torch
from torch import nn

from sysu30k_bench.models.networks.hierarchical import catalogue
from sysu30k_bench.models.networks.hierarchical.convnext import ConvNeXt
from sysu30k_bench.models.networks.hierarchical.edgenext import EdgeNeXt
from sysu30k_bench.models.networks.hierarchical.efficientnet import EfficientNet
from sysu30k_bench.models.networks.hierarchical.fastvit import FastViT
from sysu30k_bench.models.networks.hierarchical.ghostnet import GhostNet
from sysu30k_bench.models.networks.hierarchical.nasnet import NASNet
from sysu30k_bench.models.networks.hierarchical.necked import Necked
from sysu30k_bench.models.networks.hierarchical.repvit import RepViT
from sysu30k_bench.models.networks.hierarchical.swin import PersonSwin, Swin
from sysu30k_bench.models.networks.hierarchical.trunks import TimmTrunk, TorchvisionTrunk
from sysu30k_bench.models.networks.hierarchical.volo import VOLO

_GHOST = {"before": 8, "middle": 12, "after": 8, "squeezed": 0, "kernel": 0, "shortcut": 0}
_EFFICIENT = [
    {"before": 4 + 4 * (stage > 0) * stage, "middle": 24, "after": 4 + 4 * (stage + 1), "squeezed": 2,
     "kernel": 3, "expands": 1}
    for stage in range(7)
]  # fmt: skip
_EFFICIENT = [
    {**block, "before": 8 if index == 0 else _EFFICIENT[index - 1]["after"]} for index, block in enumerate(_EFFICIENT)
]

_BUILT = {
    "swin": (Swin, {"width": 12, "depths": [2, 2], "heads": [1, 2], "windows": [4, 4], "hidden": [24, 48]}),
    "swin of another patch": (
        Swin,
        {"width": 8, "depths": [1, 3, 2], "heads": [2, 2, 4], "windows": [7, 7, 5], "hidden": [8, 64, 64], "patch": 2,
         "merges_first": True, "patch_norm": False, "qkv_bias": False, "positions": 64},
    ),
    "person swin": (PersonSwin, {"width": 12, "depths": [2, 2], "heads": [1, 2], "windows": [4, 4],
                                 "hidden": [24, 48], "whole_windows_shift": True}),
    "convnext": (ConvNeXt, {"widths": [8, 16, 24], "depths": [1, 2, 1], "kernel": 5}),
    "convnext without end": (ConvNeXt, {"widths": [8, 16], "depths": [2, 2], "final_norm": False, "scaled": False}),
    "edgenext": (
        EdgeNeXt,
        {"widths": [8, 16, 20],
         "stages": [[{"kernel": 3}], [{"kernel": 5}, {"part": 8, "convolutions": 1, "heads": 4, "places": 1}],
                    [{"part": 7, "convolutions": 2, "heads": 4, "places": 0}]]},
    ),
    "fastvit": (
        FastViT,
        {"width": 8, "feature": 64, "squeezed": 4,
         "parts": [{"depth": 2, "width": 8, "hidden": 16, "kernel": 3}, {"before": 8, "after": 32, "kernel": 7},
                   {"width": 32, "kernel": 7}, {"depth": 1, "width": 32, "hidden": 32, "kernel": 0}]},
    ),
    "ghostnet": (
        GhostNet,
        {"stem": 8, "last": 24, "width": 32,
         "stages": [[_GHOST, {**_GHOST, "squeezed": 4, "kernel": 5, "shortcut": 5, "after": 10}],
                    [{**_GHOST, "before": 10, "after": 10, "middle": 7}]]},
    ),
    "repvit": (
        RepViT,
        {"stem": 4, "width": 8,
         "blocks": [{"width": 8, "hidden": 16, "squeezed": 4, "halves": 0},
                    {"width": 12, "hidden": 24, "squeezed": 0, "halves": 1}]},
    ),
    "volo": (
        VOLO,
        {"stem": 8, "widths": [32, 64], "heads": [2, 2], "depths": [1, 2, 1], "hidden": [32, 64], "last": 1,
         "places": [4, 4]},
    ),
}  # fmt: skip


def _tensors(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value for name, value in network.state_dict().items() if not name.endswith("num_batches_tracked")}


@pytest.mark.parametrize("name", _BUILT)
def test_options_come_back_from_the_tensors(name: str) -> None:
    network, options = _BUILT[name]
    built = network(**options).eval()
    found = network.structure(_tensors(built))
    assert found is not None
    assert {key: found.options[key] for key in options} == options
    again = network(**found.options).eval()
    again.load_state_dict(built.state_dict())
    size = 16 if name == "swin of another patch" else 64
    with torch.inference_mode():
        images = torch.randn(2, 3, size, size)
        assert torch.equal(again(images), built(images))


def test_an_input_size_follows_from_windows_and_from_places() -> None:
    swin = Swin.structure(_tensors(Swin(windows=[12, 12, 12, 12], depths=[1, 1, 1, 1])))
    assert swin is not None
    assert swin.input == {"height": 384, "width": 384}
    volo = VOLO.structure(_tensors(VOLO(widths=[32, 64], heads=[1, 2], depths=[1, 1], hidden=[8, 8], places=[16, 8])))
    assert volo is not None
    assert volo.input == {"height": 256, "width": 128}


def test_an_efficientnet_is_padded_for_the_size_of_its_name() -> None:
    network = EfficientNet(stem=8, blocks=_EFFICIENT, width=32, side=380)
    assert network._conv_stem.around == (0, 1, 0, 1)
    strided = network._blocks[2]._depthwise_conv
    assert strided.stride == (2, 2)
    assert strided.around == (1, 1, 1, 1)  # 95 pixels at that depth, an odd number
    assert network(torch.randn(1, 3, 64, 32)).shape == (1, 32)
    assert EfficientNet.structure(_tensors(network)) is None  # seven blocks are none of the published networks


def test_merging_orders_differ() -> None:
    options = {"width": 12, "depths": [2, 2], "heads": [1, 2], "windows": [4, 4], "hidden": [24, 48]}
    plain, unfolded = Swin(**options).eval(), Swin(**options, unfold=True).eval()
    unfolded.load_state_dict(plain.state_dict())
    order = torch.arange(48).reshape(2, 2, 12).permute(2, 1, 0).reshape(-1)  # right, down, channel: as unfold counts
    merging = unfolded.layers[0].downsample
    merging.reduction.weight.data = plain.layers[0].downsample.reduction.weight.data[:, order]
    merging.norm.weight.data = plain.layers[0].downsample.norm.weight.data[order]
    images = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(unfolded(images), plain(images), atol=1e-5, rtol=1e-4)


def test_solider_conditions_its_features_on_the_semantic_weight() -> None:
    options = {"width": 12, "depths": [1, 1], "heads": [1, 2], "windows": [4, 4], "hidden": [24, 48]}
    low, high = (PersonSwin(**options, semantic_weight=weight).eval() for weight in (0.2, 0.9))
    high.load_state_dict(low.state_dict())
    images = torch.randn(1, 3, 48, 16)
    with torch.inference_mode():
        assert not torch.allclose(low(images), high(images))


def test_necks_are_read_with_their_trunk() -> None:
    trunk = {"widths": [8, 16], "depths": [1, 1], "kernel": 7, "scaled": True, "final_norm": False}
    for linear, normalised in ((5, True), (0, True), (5, False)):
        built = Necked("convnext", trunk, width=16, linear=linear, normalised=normalised)
        found = Necked.structure(_tensors(built))
        assert found is not None
        assert found.options == {
            "kind": "convnext", "trunk": trunk, "width": 16, "linear": linear, "normalised": normalised
        }  # fmt: skip
    assert Necked.structure({name: value for name, value in _tensors(built).items() if "neck" not in name}) is None


def test_torchvision_architectures_are_found_by_their_tensors() -> None:
    from torchvision import models

    for name in ("mobilenet_v3_small", "squeezenet1_1"):
        with torch.device("meta"):
            network = models.get_model(name, weights=None, num_classes=7)
        tensors = {f"trunk.{key}": value for key, value in network.state_dict().items()}
        found = TorchvisionTrunk.structure(tensors)
        assert found is not None
        assert found.options == {"architecture": name}
        assert TorchvisionTrunk.structure(dict(list(tensors.items())[8:])) is None


def test_timm_architectures_are_found_by_their_tensors() -> None:
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        network = timm.create_model("mobilenetv3_small_050", num_classes=7)
    tensors = {f"trunk.{key}": value for key, value in network.state_dict().items()}
    found = TimmTrunk.structure(tensors)
    assert found is not None
    assert found.options == {"architecture": "mobilenetv3_small_050"}
    with torch.device("meta"):
        alike = timm.create_model("tf_efficientnet_b0", num_classes=7)
    found = TimmTrunk.structure({f"trunk.{key}": value for key, value in alike.state_dict().items()})
    assert found is not None
    assert found.options == {"architecture": "efficientnet_b0"}
    assert "tf_efficientnet_b0" in found.notes[0]


def test_the_catalogue_is_what_the_packages_say() -> None:
    text = catalogue.written({"torchvision": ["mobilenet_v3_small", "regnet_y_400mf", "nothing"]})
    kept = catalogue._catalogue()["torchvision"]
    for count, row in tomllib.loads(text)["torchvision"].items():
        for numbers, names in row.items():
            assert kept[f"{count}:{numbers}"] == names
    assert "regnet_y_400mf" in text
    assert "nothing" not in text


@pytest.mark.parametrize(
    "network",
    [Swin, PersonSwin, ConvNeXt, EdgeNeXt, EfficientNet, FastViT, GhostNet, NASNet, Necked, RepViT, VOLO,
     TimmTrunk, TorchvisionTrunk],
)  # fmt: skip
def test_strange_files_are_of_no_network(network: type[Swin]) -> None:
    built: Mapping[str, torch.Tensor] = {}
    for kind, options in _BUILT.values():
        if kind is network:
            built = _tensors(kind(**options))
    files: list[dict[str, torch.Tensor]] = [{}, {"weight": torch.zeros(3)}]
    names = list(built) or ["trunk.conv1.weight"]
    shapes = ((), (0,), (1, 1, 1, 1), (10**6, 10**6))
    files += [{name: torch.empty(shape, device="meta") for name in names} for shape in shapes]
    for strange in files:
        assert network.structure(strange) is None
    for name in list(built)[:: max(1, len(built) // 9)]:  # whatever is missing, nothing is raised
        network.structure({key: value for key, value in built.items() if key != name})
