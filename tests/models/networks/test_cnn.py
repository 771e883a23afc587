"""Structure of convolutional re-ID networks, read off their tensors."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import nn

from sysu30k_bench.models.matching.structure import ReadsStructure
from sysu30k_bench.models.networks.cnn.hacnn import HACNN
from sysu30k_bench.models.networks.cnn.lightmbn import LightMBN
from sysu30k_bench.models.networks.cnn.mlfn import MLFN
from sysu30k_bench.models.networks.cnn.mobilenet import MobileNetV2
from sysu30k_bench.models.networks.cnn.mudeep import MuDeep
from sysu30k_bench.models.networks.cnn.nasnet import NASNetAMobile
from sysu30k_bench.models.networks.cnn.osnet import OSNet
from sysu30k_bench.models.networks.cnn.plr_osnet import PLROSNet
from sysu30k_bench.models.networks.cnn.shufflenet import ShuffleNet, ShuffleNetV2
from sysu30k_bench.models.networks.cnn.squeezenet import SqueezeNet

PLAIN = {"reduction": 4, "gate_reduction": 4, "streams": 4}
MOBILE_STAGES = [[[8, 8]], [[16, 8], [16, 8]], [[16, 8]], [[24, 12]], [[24, 12]], [[24, 12]], [[24, 16]]]

NETWORKS: list[tuple[type[nn.Module], dict[str, Any], int]] = [
    (
        OSNet,
        {
            **PLAIN,
            "widths": [8, 32, 48, 64],
            "instance": [["none", "none"]] * 3,
            "stem_norm": "batch",
            "embedding": [24],
        },
        24,
    ),
    (
        OSNet,
        {
            **PLAIN,
            "widths": [8, 32, 32, 64],
            "instance": [["after"], ["none", "inside", "none"], ["inside"]],
            "stem_norm": "instance",
            "embedding": [],
        },
        64,
    ),
    (
        OSNet,
        {
            "reduction": 2,
            "gate_reduction": 8,
            "streams": 3,
            "widths": [8, 32, 48, 64],
            "instance": [["none"]] * 3,
            "stem_norm": "batch",
            "embedding": [24, 16],
        },
        16,
    ),
    (HACNN, {"widths": [8, 16, 32, 48], "hidden": [2, 4, 6], "embedding": [16], "regions": True}, 32),
    (HACNN, {"widths": [8, 16, 32, 48], "hidden": [2, 4, 6], "embedding": [16], "regions": False}, 16),
    (MLFN, {"stem": 8, "widths": [16, 16, 32], "hidden": [[8, 4], [8, 4], [8, 6]], "groups": 4, "features": 12}, 12),
    (MobileNetV2, {"stem": 8, "stages": MOBILE_STAGES, "top": 20, "embedding": []}, 20),
    (MobileNetV2, {"stem": 8, "stages": MOBILE_STAGES, "top": 20, "embedding": [10]}, 10),
    (ShuffleNet, {"stem": 4, "widths": [16, 32, 64], "depths": [2, 3, 2], "groups": 2}, 64),
    (ShuffleNetV2, {"widths": [4, 8, 16, 32, 40], "depths": [2, 3, 2]}, 40),
    (SqueezeNet, {"version": "1_0", "embedding": []}, 512),
    (SqueezeNet, {"version": "1_1", "embedding": [16]}, 16),
    (NASNetAMobile, {"stem": 4, "filters": 8}, 192),
]

BUILT_WITHOUT_MEMORY: list[tuple[type[nn.Module], dict[str, Any]]] = [
    (LightMBN, {"trunk": "osnet", "drop": True, "neck": "conv", "features": 32, "groups": 2}),
    (LightMBN, {"trunk": "osnet", "drop": False, "neck": "linear", "features": 16, "groups": 4}),
    (LightMBN, {"trunk": "resnet50", "drop": True, "neck": "conv", "features": 16, "groups": 2}),
    (MuDeep, {"embedding": [64]}),
    (PLROSNet, {"features": 24}),
]

EVERY = [(network, options) for network, options, _ in NETWORKS] + BUILT_WITHOUT_MEMORY


def tensors_of(network: type[nn.Module], options: dict[str, Any]) -> dict[str, torch.Tensor]:
    with torch.device("meta"):
        return network(**options).state_dict()


def read(network: type[nn.Module], tensors: dict[str, torch.Tensor]) -> dict[str, Any] | None:
    assert isinstance(network, ReadsStructure)
    found = network.structure(tensors)
    return None if found is None else json.loads(json.dumps(found.options))


@pytest.mark.parametrize(("network", "options"), EVERY, ids=lambda value: str(value)[:60])
def test_structure_gives_back_the_options_of_a_file(network: type[nn.Module], options: dict[str, Any]) -> None:
    assert read(network, tensors_of(network, options)) == options


@pytest.mark.parametrize(("network", "options", "width"), NETWORKS, ids=lambda value: str(value)[:60])
def test_a_batch_becomes_one_row_each(network: type[nn.Module], options: dict[str, Any], width: int) -> None:
    images = torch.rand(2, 3, 160, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        features = network(**options).eval()(images)
    assert features.shape == (2, width)
    assert torch.isfinite(features).all()


@pytest.mark.parametrize("network", sorted({network for network, _ in EVERY}, key=lambda item: item.__name__))
def test_strange_tensors_are_of_no_network(network: type[nn.Module]) -> None:
    options = next(options for other, options in EVERY if other is network)
    tensors = tensors_of(network, options)
    assert read(network, {}) is None
    assert read(network, {"conv1.weight": torch.zeros(3)}) is None
    assert read(network, {name: torch.zeros((), device="meta") for name in tensors}) is None
    assert read(network, {name: torch.empty((0,) * tensor.dim()) for name, tensor in tensors.items()}) is None
    huge = {name: torch.empty((1 << 30,) * min(tensor.dim(), 2), device="meta") for name, tensor in tensors.items()}
    assert read(network, huge) is None


@pytest.mark.parametrize(("network", "options"), EVERY, ids=lambda value: str(value)[:60])
def test_what_is_read_can_be_built_even_with_one_shape_changed(
    network: type[nn.Module], options: dict[str, Any]
) -> None:
    tensors = tensors_of(network, options)
    convolutions = [name for name, tensor in tensors.items() if tensor.dim() > 1]
    for name in convolutions[:: max(1, len(convolutions) // 4)]:
        for size in (1, 7):
            shape = (size, *tensors[name].shape[1:])
            found = read(network, {**tensors, name: torch.empty(shape, device="meta")})
            if found is not None and found != options:
                with torch.device("meta"):
                    network(**found)


def test_a_light_mbn_on_resnet_without_its_block_is_not_read() -> None:
    options = {"trunk": "resnet50", "drop": False, "neck": "conv", "features": 16, "groups": 2}
    assert read(LightMBN, tensors_of(LightMBN, options)) is None


def test_instance_norm_after_the_shortcut_is_not_that_within_the_residual() -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 3, 64, 32)
    features = []
    for place in ("after", "inside"):
        torch.manual_seed(1)
        network = OSNet([8, 32, 48, 64], [[place], ["none"], ["none"]], gate_reduction=4).eval()  # type: ignore[list-item]
        with torch.inference_mode():
            features.append(network(images))
    assert not torch.allclose(features[0], features[1])
