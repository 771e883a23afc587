"""The Multiple Granularity Network in the forms that public code gives it."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from sysu30k_bench.models.networks.fastreid.mgn import FastReidMGN
from sysu30k_bench.models.networks.mgn import MGN
from sysu30k_bench.models.networks.resnets.norms import InstanceBatchNorm
from sysu30k_bench.models.networks.resnets.pools import GeneralisedMean
from tests.models.checkpoints import R50, State, found_by, lively, parameters


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
        assert network(torch.rand(1, 3, 192, 64)).shape == (1, 2048)
    assert parameters(network) - parameters(MGN(shared_reduction=True)) == 7 * (2048 * 256 + 512)
    with pytest.raises(ValueError, match="avg or max"):
        MGN("median")  # type: ignore[arg-type]


def test_fast_reids_heads_pool_by_an_exponent_of_their_own_that_the_file_tells() -> None:
    names = {f"b{part}_head.pool_layer.p" for part in (1, 2, 3, 21, 22, 31, 32, 33)}
    with torch.device("meta"):
        learnt = set(FastReidMGN(pool="gem").state_dict())
    assert names <= learnt


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
    heads = {name.partition(".")[0] for name in state if "_head." in name}
    statistics = {
        "pixel_mean": torch.tensor([123.675, 116.28, 103.53]).reshape(3, 1, 1),
        "pixel_std": torch.tensor([58.395, 57.12, 57.375]).reshape(3, 1, 1),
    }
    return {**state, **statistics, **{f"{head}.weight": torch.ones(5, 256) for head in heads}}


FORMS: dict[str, tuple[str, Callable[[], nn.Module], Callable[[State], dict[str, object]]]] = {
    "seathiefwang": ("mgn", MGN, lambda s: {**s, "fc_id_2048_0.weight": torch.ones(9, 256)}),
    "authors' fork": ("mgn", MGN, lambda s: {**fork(s), "fc_id_256_2_2.bias": torch.ones(9)}),
    "shared": (
        "mgn_shared",
        lambda: MGN("max", shared_reduction=True),
        lambda s: {**s, "fc_1.weight": torch.ones(9, 256)},
    ),
    "fast-reid": ("mgn_fastreid", FastReidMGN, lambda s: {"model": fastreid(s)}),
}


@pytest.mark.parametrize("kind", FORMS)
def test_the_four_public_layouts_of_mgn(kind: str) -> None:
    card, build, write = FORMS[kind]
    with torch.random.fork_rng():
        torch.manual_seed(4)
        built = build()
    embedder, coverage = found_by(card, write(lively(built)))
    assert coverage.complete
    pixels = torch.randint(0, 256, (1, 3, 192, 64), dtype=torch.uint8)
    images = pixels.float() / (1 if embedder.input.scale == "byte" else 255)
    images = (images - embedder.mean) / embedder.std
    built.eval()
    with torch.inference_mode():
        views = built(images).double() + (0 if kind == "fast-reid" else built(images.flip(-1)).double())
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
