"""What the networks of face recognition and of trackers read off a file's tensors."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sysu30k_bench.models.networks.faces.deepsort import DeepSortNet
from sysu30k_bench.models.networks.faces.inception_resnet_v1 import InceptionResnetV1
from sysu30k_bench.models.networks.faces.ir import FaceBackbone
from sysu30k_bench.models.networks.faces.iresnet import IResNet

WIDTHS = [4, 6, 8, 10, 12]
IRESNET = {"layers": [1, 2, 1, 1], "widths": WIDTHS, "rows": 2, "columns": 2, "output": 5}
IR = {"layers": [1, 2, 1, 1], "widths": [4, 4, 8, 12, 16], "side": 2, "output": 5}
CASES: list[tuple[type[nn.Module], dict[str, object], tuple[int, int]]] = [
    (IResNet, IRESNET, (32, 32)),
    (IResNet, {**IRESNET, "rows": 4, "columns": 2}, (64, 32)),
    (FaceBackbone, IR, (32, 32)),
    (FaceBackbone, {**IR, "reduction": 2}, (32, 32)),
    (FaceBackbone, {**IR, "normed": False, "reduction": 2, "named": False, "affine": True}, (32, 32)),
    (DeepSortNet, {"layers": [1, 2, 1, 1], "widths": WIDTHS}, (128, 64)),
    (DeepSortNet, {"layers": [1, 1, 1], "widths": [4, 4, 6, 8], "stem": 2, "linear": 7}, (128, 64)),
    (InceptionResnetV1, {"repeats": [1, 2, 1], "output": 9}, (96, 96)),
]


@pytest.mark.parametrize(("kind", "options", "size"), CASES)
def test_structure_builds_the_network_that_the_file_holds(
    kind: type[nn.Module], options: dict[str, object], size: tuple[int, int]
) -> None:
    network = kind(**options).eval()
    state = network.state_dict()
    found = kind.structure(state)  # type: ignore[attr-defined]
    assert found is not None
    if found.input:
        assert (found.input["height"], found.input["width"]) == size
    again = kind(**found.options).eval()
    again.load_state_dict(state)
    images = torch.rand(2, 3, *size)
    with torch.no_grad():
        torch.testing.assert_close(again(images), network(images))


@pytest.mark.parametrize("kind", [IResNet, FaceBackbone, DeepSortNet, InceptionResnetV1])
def test_strange_files_are_of_no_such_network(kind: type[IResNet]) -> None:
    assert kind.structure({}) is None
    state = dict(IResNet(**IRESNET).state_dict())  # type: ignore[arg-type]
    for name, tensor in (
        ("fc.weight", torch.zeros(5, 7)),
        ("fc.weight", torch.zeros(0)),
        ("conv1.weight", torch.empty(1 << 30, 3, 3, 3, device="meta")),
        ("layer2.0.conv1.weight", torch.zeros(3)),
    ):
        assert kind.structure({**state, name: tensor}) is None
    for other in (FaceBackbone(**IR), DeepSortNet([1], [4, 4])):  # type: ignore[arg-type]
        changed = {name: torch.zeros(3) for name in other.state_dict()}
        assert kind.structure(changed) is None


def test_deepsort_before_the_last_stage() -> None:
    network = DeepSortNet([1, 1], [4, 4, 6]).eval()
    with torch.no_grad():
        assert network(torch.rand(1, 3, 128, 64)).shape == (1, 6)
