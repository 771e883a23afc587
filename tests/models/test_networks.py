from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision import models

from sysu30k_bench.errors import UsageError
from sysu30k_bench.models.card import Feature, Input
from sysu30k_bench.models.cards import find_card
from sysu30k_bench.models.checkpoint import CheckpointFile
from sysu30k_bench.models.detect import detect_card
from sysu30k_bench.models.embedder import Embedder
from sysu30k_bench.models.load import load_embedder
from sysu30k_bench.models.networks.iics import AdaptiveInstanceBatchNorm, aibn_resnet50
from sysu30k_bench.models.networks.layumi import DenseNet121, PartBasedResNet50
from sysu30k_bench.models.networks.mgn import MGN, GeneralisedMean, InstanceBatchNorm
from sysu30k_bench.models.networks.resnet import resnet50
from sysu30k_bench.models.sources import build_trunk
from tests.models.checkpoints import State, layumi, prefixed, trunk

R50 = 23_508_032


def parameters(network: nn.Module) -> int:
    return sum(value.numel() for value in network.parameters())


def as_file(content: dict[str, object]) -> CheckpointFile:
    return CheckpointFile(Path("model.pth"), "0" * 64, content)


def lively(network: nn.Module) -> State:
    generator = torch.Generator().manual_seed(3)
    state = network.state_dict()
    for name, value in state.items():
        if name.endswith("running_var"):
            value.uniform_(0.8, 1.2, generator=generator)
        elif name.endswith("running_mean"):
            value.normal_(std=0.05, generator=generator)
    return state


def test_last_stride_changes_the_map_and_no_tensor(resnet50_state: State) -> None:
    two, one = resnet50(2), resnet50(1)
    assert two.state_dict().keys() == one.state_dict().keys() == trunk(resnet50_state).keys()
    images = torch.rand(1, 3, 64, 32)
    reference = models.resnet50(weights=None).eval()
    reference.load_state_dict(resnet50_state)
    reference.fc = nn.Identity()  # type: ignore[assignment]
    for network in (two, one):
        network.load_state_dict(trunk(resnet50_state))
        network.eval()
    with torch.inference_mode():
        assert torch.equal(two(images), reference(images))
        assert not torch.allclose(one(images), two(images), atol=1e-3)
    with pytest.raises(ValueError, match="1 or 2"):
        resnet50(3)


def test_network_options_replace_the_cards(resnet50_state: State) -> None:
    card = find_card("resnet50")
    strided = card.model_copy(update={"network": card.network.model_copy(update={"options": {"last_stride": 1}})})
    pixels = torch.randint(0, 256, (1, 3, 64, 32), dtype=torch.uint8)
    one, two = (load_embedder(c, as_file(dict(resnet50_state)))[0](pixels) for c in (strided, card))
    assert not torch.allclose(one, two, atol=1e-3)
    assert strided.fingerprint != card.fingerprint


def test_mgn_shape_parameters_and_names() -> None:
    network = MGN().eval()
    layer3, layer4 = 7_098_368, 14_964_736
    first_block = 1_512_448
    branch = layer3 - first_block + layer4
    stem = R50 - layer3 - layer4 + first_block
    assert parameters(network) == stem + 3 * branch + 8 * (2048 * 256 + 512)
    names = set(network.state_dict())
    assert {
        "backbone.0.weight",
        "backbone.6.conv1.weight",
        "p1.0.4.conv3.weight",
        "p3.1.2.bn3.bias",
        "reduction_7.1.weight",
    } <= names
    with torch.inference_mode():
        assert network(torch.rand(1, 3, 384, 128)).shape == (1, 2048)
    assert parameters(network) - parameters(MGN(shared_reduction=True)) == 7 * (2048 * 256 + 512)
    assert parameters(MGN("gem")) - parameters(network) == 8
    with pytest.raises(ValueError, match="avg, max or gem"):
        MGN("median")  # type: ignore[arg-type]


def test_mgn_reads_each_stripe_of_its_branch() -> None:
    """With identity reductions, feature i is the mean of the map that its stripe covers."""
    network = MGN(relu=False).eval()
    maps: dict[str, torch.Tensor] = {}
    for number in (1, 2, 3):
        getattr(network, f"p{number}").register_forward_hook(lambda _m, _i, out, n=number: maps.update({f"p{n}": out}))
    for index in range(8):
        weight = torch.zeros(256, 2048, 1, 1)
        weight[torch.arange(256), torch.arange(256)] = 1
        network.state_dict()[f"reduction_{index}.0.weight"].copy_(weight)
    with torch.inference_mode():
        out = network(torch.rand(1, 3, 384, 128)).reshape(8, 256) * math.sqrt(1 + 1e-5)
    assert (maps["p1"].shape[2:], maps["p2"].shape[2:], maps["p3"].shape[2:]) == ((12, 4), (24, 8), (24, 8))
    expected = [maps["p1"], maps["p2"], maps["p3"], maps["p2"][:, :, :12], maps["p2"][:, :, 12:],
                maps["p3"][:, :, :8], maps["p3"][:, :, 8:16], maps["p3"][:, :, 16:]]  # fmt: skip
    for feature, part in zip(out, expected, strict=True):
        assert torch.allclose(feature, part.mean(dim=(2, 3))[0, :256], atol=1e-5)


def fork(state: State) -> State:
    """The authors' fork renames the trunk."""
    names = {
        "backbone.0.": "backone1.0.",
        "backbone.1.": "backone1.1.",
        "backbone.4.": "backone1.4.",
        "backbone.5.": "backone2.0.",
        "backbone.6.": "backone2.1.",
    }
    renamed = {}
    for name, value in state.items():
        old = next((prefix for prefix in names if name.startswith(prefix)), None)
        renamed[names[old] + name[len(old) :] if old else name] = value
    return renamed


def fastreid(state: State) -> State:
    heads = ["b1", "b2", "b3", "b21", "b22", "b31", "b32", "b33"]
    renamed: State = {"pixel_mean": torch.zeros(1, 3, 1, 1), "pixel_std": torch.ones(1, 3, 1, 1)}
    for name, value in state.items():
        if name.startswith("reduction_"):
            renamed[f"{heads[int(name[10])]}_head.bottleneck{name[11:]}"] = value
        elif name.startswith("pool_"):
            renamed[f"{heads[int(name[5])]}_head.pool_layer{name[6:]}"] = value
        elif name[0] == "p":
            renamed[f"b{name[1:]}"] = value
        else:
            renamed[name] = value
    return renamed | {f"{head}_head.weight": torch.ones(5, 256) for head in heads}


@pytest.mark.parametrize("kind", ["seathiefwang", "authors' fork", "shared", "fast-reid"])
def test_the_four_public_layouts_of_mgn(kind: str) -> None:
    card, network, write = {
        "seathiefwang": ("mgn", MGN(), lambda s: {**s, "fc_id_2048_0.weight": torch.ones(9, 256)}),
        "authors' fork": ("mgn", MGN(), lambda s: {**fork(s), "fc_id_256_2_2.bias": torch.ones(9)}),
        "shared": ("mgn_shared", MGN("max", shared_reduction=True), lambda s: {**s, "fc_1.weight": torch.ones(9, 256)}),
        "fast-reid": (
            "mgn_fastreid",
            MGN("gem", relu=False, ibn=True, global_stride=1),
            lambda s: {"model": fastreid(s)},
        ),
    }[kind]  # fmt: skip
    state = lively(network)
    file = as_file(write(state))  # type: ignore[no-untyped-call]
    assert detect_card(file).name == card
    embedder, coverage = load_embedder(find_card(card), file)
    assert coverage.complete
    pixels = torch.randint(0, 256, (1, 3, 384, 128), dtype=torch.uint8)
    images = (pixels.float() / 255 - embedder.mean) / embedder.std
    network.eval()
    with torch.inference_mode():
        views = network(images).double() + (0 if kind == "fast-reid" else network(images.flip(-1)).double())
    assert torch.allclose(embedder(pixels).double(), nn.functional.normalize(views), atol=2e-5)


def test_generalised_mean_by_hand() -> None:
    pool = GeneralisedMean(3.0)
    maps = torch.tensor([1.0, 2.0, 3.0, -5.0]).reshape(1, 1, 2, 2)
    assert pool(maps).item() == pytest.approx(((1 + 8 + 27) / 4) ** (1 / 3), rel=1e-6)
    assert GeneralisedMean(1.0)(maps.abs()).item() == pytest.approx(11 / 4)


def test_instance_batch_norm_by_halves() -> None:
    norm = InstanceBatchNorm(4).eval()
    maps = torch.randn(2, 4, 5, 3)
    out = norm(maps)
    assert torch.allclose(out[:, 2:], maps[:, 2:] / math.sqrt(1 + 1e-5))
    assert out[:, :2].mean(dim=(2, 3)).abs().max() < 1e-5


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
    plain, adaptive = resnet50(1), aibn_resnet50()
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
    network = aibn_resnet50()
    state = lively(network)
    assert "layer3.0.adaptive_weight" in state
    assert "layer4.0.downsample.1.adaptive_weight" in state
    assert parameters(network) == R50 + 9
    neck = {"classifier.0.weight": torch.ones(2048), "classifier.1.weight": torch.ones(800, 2048)}
    file = as_file({"state_dict": prefixed("module.", prefixed("model.", state) | neck), "epoch": 3, "best_top1": 0.9})
    assert detect_card(file).name == "iics"
    embedder, coverage = load_embedder(find_card("iics"), file)
    assert coverage.complete
    assert torch.equal(embedder.trunk.state_dict()["layer3.5.bn2.running_mean"], state["layer3.5.bn2.running_mean"])
    assert embedder(torch.zeros(1, 3, 256, 128, dtype=torch.uint8)).shape == (1, 2048)


def test_pcb(resnet50_state: State) -> None:
    parts = {f"classifier{n}.classifier.0.weight": torch.ones(7, 256) for n in range(6)}
    file = as_file(prefixed("model.", resnet50_state) | parts)
    assert detect_card(file).name == "pcb_layumi"
    embedder, _ = load_embedder(find_card("pcb_layumi"), file)
    out = embedder(torch.randint(0, 256, (2, 3, 384, 192), dtype=torch.uint8))
    assert out.shape == (2, 6 * 2048)
    assert torch.allclose(out.reshape(2, 6, 2048).norm(dim=2), torch.full((2, 6), 6**-0.5), atol=1e-5)
    network = PartBasedResNet50().eval()
    network.load_state_dict(trunk(resnet50_state))
    whole = resnet50(1).eval()
    whole.load_state_dict(trunk(resnet50_state))
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
    network = DenseNet121().eval()
    state = lively(network)
    reference = models.densenet121(weights=None).eval()
    reference.features.load_state_dict(network.features.state_dict())
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.allclose(network(images), reference.features(images).mean((2, 3)), atol=1e-6)
        assert (network(images) < 0).any()
    head = {name: value for name, value in layumi(resnet50_state).items() if name.startswith("classifier.")}
    head["classifier.add_block.0.weight"] = torch.ones(512, 1024)
    file = as_file(prefixed("model.", state) | head)
    assert detect_card(file).name == "densenet121_layumi"
    embedder, _ = load_embedder(find_card("densenet121_layumi"), file)
    assert embedder(torch.zeros(1, 3, 64, 64, dtype=torch.uint8)).shape == (1, 512)


def test_wrong_network_option_is_told() -> None:
    card = find_card("resnet50")
    for options in ({"last_stride": 5}, {"first_stride": 1}):
        with pytest.raises(UsageError, match="cannot be built"):
            build_trunk(card.network.model_copy(update={"options": options}))
