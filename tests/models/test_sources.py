from __future__ import annotations

import pytest
import torch

from sysu30k_bench.errors import DataError, UsageError
from sysu30k_bench.models.card import Network
from sysu30k_bench.models.sources import build_trunk, generic_card


@pytest.mark.parametrize(
    ("name", "dimension"),
    [
        ("resnet18", 512),
        ("mobilenet_v2", 1280),
        ("squeezenet1_1", 512),
        ("densenet121", 1024),
        ("googlenet", 1024),
        ("convnext_tiny", 768),
    ],
)
def test_torchvision_networks_lose_their_classifier(name: str, dimension: int) -> None:
    trunk = build_trunk(Network(source=f"torchvision:{name}"))
    with torch.inference_mode():
        out = trunk(torch.rand(1, 3, 64, 64))
    assert out.reshape(1, -1).shape == (1, dimension)


def test_fixed_input_sizes_are_taken_from_the_source() -> None:
    vit = generic_card("torchvision:vit_b_32").input
    assert (vit.height, vit.width) == (224, 224)
    timm_vit = generic_card("timm:vit_tiny_patch16_224").input
    assert (timm_vit.height, timm_vit.width, timm_vit.mean) == (224, 224, (0.5, 0.5, 0.5))
    free = generic_card("timm:resnet18.tv_in1k").input
    assert (free.height, free.width, free.interpolation) == (256, 128, "bilinear")
    assert generic_card("torchvision:resnet18").input.height == 256


@pytest.mark.parametrize(
    "source", ["torchvision:resnet5", "timm:resnet5", "resnet50", "torchvision:", "hub:resnet50", "torchvision:a b"]
)
def test_wrong_names(source: str) -> None:
    with pytest.raises(UsageError) as caught:
        generic_card(source)
    if source.endswith("resnet5"):
        assert "did you mean" in str(caught.value.hint)


def test_python_objects() -> None:
    network = build_trunk(Network(source="python:torch.nn:Linear", options={"in_features": 3, "out_features": 2}))
    assert isinstance(network, torch.nn.Linear)
    with pytest.raises(DataError, match="cannot find"):
        build_trunk(Network(source="python:torch.nn:Nothing"))
    for source in ("python:os:system", "python:builtins:dict"):
        with pytest.raises(UsageError, match="Python's own library"):
            build_trunk(Network(source=source, options={"command": "true"}))
    with pytest.raises(UsageError, match="neither"):
        build_trunk(Network(source="python:torch:float32"))
    with pytest.raises(UsageError, match="not a torch"):
        build_trunk(Network(source="python:tests.models.test_sources:no_network"))


def no_network() -> str:
    return "a string"


@pytest.mark.parametrize("options", [{"last_stride": 1}, {"zero_init_residual": "x", "groups": 7}])
def test_options_that_do_not_fit_are_told(options: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="cannot be built"):
        build_trunk(Network(source="torchvision:resnet18", options=options))
