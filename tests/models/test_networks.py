from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torchvision import models

from sysu30k_bench.errors import UsageError
from sysu30k_bench.models.card import Feature, Input
from sysu30k_bench.models.cards import find_card
from sysu30k_bench.models.embedder import Embedder
from sysu30k_bench.models.load import load_embedder, require_fit
from sysu30k_bench.models.networks.branches.pcb import PCB
from sysu30k_bench.models.networks.resnets.densenet import DenseNetTrunk
from sysu30k_bench.models.networks.resnets.trunk import ResNetTrunk
from sysu30k_bench.models.networks.resnets.unsupervised_aibn import AdaptiveInstanceBatchNorm, AdaptiveResNet
from sysu30k_bench.models.sources import build_trunk
from tests.models.checkpoints import R50, State, as_file, found_by, layumi, lively, parameters, prefixed, trunk


def test_last_stride_changes_the_map_and_no_tensor(resnet50_state: State) -> None:
    two, one = ResNetTrunk(), ResNetTrunk(last_stride=1)
    assert two.state_dict().keys() == one.state_dict().keys() == trunk(resnet50_state).keys()
    images = torch.rand(1, 3, 64, 32)
    reference = models.resnet50(weights=None).eval()
    reference.load_state_dict(resnet50_state)
    reference.fc = nn.Identity()
    for network in (two, one):
        network.load_state_dict(trunk(resnet50_state))
        network.eval()
    with torch.inference_mode():
        assert torch.allclose(two(images), reference(images), atol=1e-5)
        assert not torch.allclose(one(images), two(images), atol=1e-3)


def test_network_options_replace_the_cards(resnet50_state: State) -> None:
    card = find_card("resnet50")
    strided = card.model_copy(update={"network": card.network.model_copy(update={"options": {"last_stride": 1}})})
    pixels = torch.randint(0, 256, (1, 3, 64, 32), dtype=torch.uint8)
    file = as_file(resnet50_state)
    one, two = (load_embedder(require_fit(c, file), file)[0](pixels) for c in (strided, card))
    assert not torch.allclose(one, two, atol=1e-3)
    assert strided.fingerprint != card.fingerprint


def test_adaptive_norm_by_hand() -> None:
    """Maps 1, 2, 3, 6: mean 3, unbiased variance 14/3; training: mean 1, variance 2; alpha .25."""
    norm = AdaptiveInstanceBatchNorm(1, nn.Parameter(torch.tensor([0.25])))
    norm.running_mean.fill_(1.0)
    norm.running_var.fill_(2.0)
    maps = torch.tensor([1.0, 2.0, 3.0, 6.0]).reshape(1, 1, 2, 2)
    mean, variance = 0.75 * 3 + 0.25 * 1, 0.75 * 14 / 3 + 0.25 * 2
    expected = (maps - mean) / math.sqrt(variance + 1e-5)
    assert torch.allclose(norm(maps), expected, atol=1e-6)
    pure = AdaptiveInstanceBatchNorm(1, nn.Parameter(torch.tensor([7.0])))
    pure.running_mean.fill_(1.0)
    pure.running_var.fill_(2.0)
    assert torch.allclose(pure(maps), (maps - 1) / math.sqrt(2 + 1e-5), atol=1e-6)


def test_aibn_with_alpha_one_is_the_plain_network(resnet50_state: State) -> None:
    plain, adaptive = ResNetTrunk(last_stride=1), AdaptiveResNet()
    plain.load_state_dict(trunk(resnet50_state))
    adaptive.load_state_dict(trunk(resnet50_state), strict=False)
    with torch.no_grad():
        for name, value in adaptive.named_parameters():
            if name.endswith("adaptive_weight"):
                value.fill_(1.0)
    plain.eval()
    adaptive.eval()
    images = torch.rand(1, 3, 64, 32)
    with torch.inference_mode():
        assert torch.allclose(plain(images), adaptive(images), atol=1e-4)


def test_iics_file_is_recognised_and_its_neck_left_aside() -> None:
    network = AdaptiveResNet()
    state = lively(network)
    assert "layer3.0.adaptive_weight" in state
    assert "layer4.0.downsample.1.adaptive_weight" in state
    assert parameters(network) == R50 + 9
    neck = {"classifier.0.weight": torch.ones(2048), "classifier.1.weight": torch.ones(800, 2048)}
    content = {
        "state_dict": prefixed("module.", prefixed("model.", state) | neck),
        "epoch": 3,
        "best_top1": 0.9,
    }
    embedder, coverage = found_by("iics", content)
    assert coverage.complete
    assert torch.equal(embedder.trunk.state_dict()["layer3.5.bn2.running_mean"], state["layer3.5.bn2.running_mean"])
    assert embedder(torch.zeros(1, 3, 256, 128, dtype=torch.uint8)).shape == (1, 2048)


def test_pcb(resnet50_state: State) -> None:
    parts = {f"classifier{n}.add_block.0.weight": torch.ones(256, 2048) for n in range(6)}
    parts |= {f"classifier{n}.add_block.1.running_mean": torch.ones(256) for n in range(6)}
    parts |= {f"classifier{n}.classifier.0.weight": torch.ones(7, 256) for n in range(6)}
    embedder, _ = found_by("pcb_layumi", prefixed("model.", resnet50_state) | parts)
    out = embedder(torch.randint(0, 256, (2, 3, 384, 192), dtype=torch.uint8))
    assert out.shape == (2, 6 * 2048)
    assert torch.allclose(out.reshape(2, 6, 2048).norm(dim=2), torch.full((2, 6), 6**-0.5), atol=1e-5)
    network, whole = PCB().eval(), ResNetTrunk(last_stride=1).eval()
    for built in (network, whole):
        built.load_state_dict(trunk(resnet50_state))
    images = torch.rand(1, 3, 384, 192)
    with torch.inference_mode():
        assert torch.allclose(network(images).reshape(6, 2048).mean(0), whole(images)[0], atol=1e-4)


def test_parts_are_normalised_after_the_views_are_summed() -> None:
    class Sides(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            left, right = images[..., :8].mean((1, 2, 3)) * 255, images[..., 8:].mean((1, 2, 3)) * 255
            return torch.stack([left, right, torch.ones_like(left), torch.zeros_like(left)], 1)

    plain = Input(height=16, width=16, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    pixels = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    pixels[..., :8], pixels[..., 8:] = 3, 4
    out = Embedder(Sides(), Feature(flip="none", parts=2), plain)(pixels)[0].tolist()
    assert out == pytest.approx([0.6 / 2**0.5, 0.8 / 2**0.5, 1 / 2**0.5, 0], abs=1e-6)
    out = Embedder(Sides(), Feature(flip="after_sum", parts=2), plain)(pixels)[0].tolist()
    assert out == pytest.approx([0.5, 0.5, 1 / 2**0.5, 0], abs=1e-6)


def test_densenet_is_without_the_last_relu(resnet50_state: State) -> None:
    network = DenseNetTrunk(last_relu=False).eval()
    state = lively(network)
    reference = models.densenet121(weights=None).eval()
    reference.features.load_state_dict(network.features.state_dict())
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.allclose(network(images), reference.features(images).mean((2, 3)), atol=1e-6)
        assert (network(images) < 0).any()
    head = {name: value for name, value in layumi(resnet50_state).items() if name.startswith("classifier.")}
    head["classifier.add_block.0.weight"] = torch.ones(512, 1024)
    embedder, _ = found_by("densenet121_layumi", prefixed("model.", state) | head)
    assert embedder(torch.zeros(1, 3, 64, 64, dtype=torch.uint8)).shape == (1, 512)


def test_wrong_network_option_is_told() -> None:
    card = find_card("resnet50")
    for options in ({"last_stride": 5}, {"first_stride": 1}):
        with pytest.raises(UsageError, match="cannot be built"):
            build_trunk(card.network.model_copy(update={"options": options}))
