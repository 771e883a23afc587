"""Vision transformers read their structure off tensors of any depth, width, grid and kind."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import nn

from sysu30k_bench.errors import UsageError
from sysu30k_bench.models.networks.vits.attention import relative_bias, rope_periods, rope_turn, rotated
from sysu30k_bench.models.networks.vits.hap import HapLem
from sysu30k_bench.models.networks.vits.necked import ClusterVit, LayumiVit
from sysu30k_bench.models.networks.vits.pass_reid import PassCluster, PassReID
from sysu30k_bench.models.networks.vits.positions import are_moco_positions, find_grid, resized_positions
from sysu30k_bench.models.networks.vits.selfsup import DinoV2, TwelveHeads
from sysu30k_bench.models.networks.vits.transreid import TransReID, TransReIDSie, shuffled
from sysu30k_bench.models.networks.vits.vit import VisionTransformer

TINY = {"dim": 192, "depth": 2, "heads": 3, "hidden": 96, "grid": [4, 4]}
PERSON = {"dim": 192, "depth": 2, "heads": 3, "hidden": 96, "grid": [16, 8]}

KINDS: dict[str, dict[str, object]] = {
    "plain": {},
    "wide and deep": {"dim": 384, "depth": 3, "heads": 6, "hidden": 1536, "patch": 8, "grid": [7, 7]},
    "small person": {"grid": [16, 8]},
    "old small": {"dim": 768, "depth": 8, "heads": 8, "hidden": 2304, "bias": "none", "scale": 768**-0.5},
    "no class token": {"cls_token": False, "placed": 0, "pool": "mean"},
    "distilled": {"dist_token": True, "placed": 2, "pool": "both"},
    "registers without places": {"registers": 4},
    "patches alone have places": {"registers": 4, "placed": 0},
    "all tokens have places": {"registers": 1, "placed": 2, "cls_token": True, "grid": [5, 5]},
    "layer scale": {"layer_scale": True},
    "packed SwiGLU": {"perceptron": "swiglu_packed"},
    "split SwiGLU": {"perceptron": "swiglu_split"},
    "mean and fc_norm": {"norm": "fc_norm", "pool": "mean"},
    "pre-norm": {"pre_norm": True},
    "ICS stem": {"stem": "ics", "grid": [16, 8]},
    "conv stem": {"stem": "conv"},
    "windows": {"grid": None, "window": [4, 4], "bias": "qv", "norm": "fc_norm", "pool": "mean"},
    "shared window": {"grid": None, "window": [4, 4], "shared_window": True, "bias": "qv"},
    "stored rope": {"grid": None, "rope": "stored", "registers": 4, "bias": "masked", "layer_scale": True, "eps": 1e-5},
    "computed rope": {
        "grid": None,
        "rope": "computed",
        "registers": 4,
        "bias": "none",
        "layer_scale": True,
        "eps": 1e-5,
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_is_built_anew_from_its_own_tensors(kind: str) -> None:
    network = VisionTransformer(**(TINY | KINDS[kind])).eval()
    tensors = network.state_dict()
    found = VisionTransformer.structure(tensors)
    assert found is not None
    again = VisionTransformer(**found.options).eval()
    again.load_state_dict(tensors)
    size = int(found.input.get("height", 64)), int(found.input.get("width", 64))
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(again(images), network(images), atol=1e-5)
    on_meta = {name: value.to("meta") for name, value in tensors.items()}
    assert VisionTransformer.structure(on_meta) == found


@pytest.mark.parametrize(
    ("patches", "person", "size", "stride"),
    [
        (196, False, (224, 224), 16),
        (128, False, (256, 128), 16),
        (192, False, (384, 128), 16),
        (128, True, (256, 128), 16),
        (210, True, (256, 128), 12),
        (162, True, (256, 128), 14),
        (242, True, (256, 128), 11),
        (310, True, (384, 128), 12),
        (256, True, (256, 256), 16),
        (441, True, (256, 256), 12),
        (576, False, (384, 384), 16),
    ],
)
def test_grids_of_the_projects(patches: int, person: bool, size: tuple[int, int], stride: int) -> None:
    found = find_grid(patches, 16, person_first=person)
    assert found is not None
    assert ((found.grid.height, found.grid.width), found.grid.stride) == (size, stride)
    assert found.grid.rows * found.grid.columns == patches


def test_a_number_that_is_no_grid() -> None:
    assert [find_grid(number, 16) for number in (-5, 0, 7, 97, 10**9)] == [None] * 5


def test_dubious_grids_are_noted() -> None:
    certain, dubious = find_grid(196, 16), find_grid(441, 16, person_first=True)
    assert certain is not None
    assert dubious is not None
    assert not certain.note
    assert "336x336" in dubious.note


def test_heads_by_rule_table_and_note() -> None:
    plain = VisionTransformer.structure(VisionTransformer(**TINY).state_dict())
    table = VisionTransformer(**(TINY | {"grid": None, "window": [4, 4], "heads": 4})).state_dict()
    odd = VisionTransformer(**(TINY | {"dim": 160, "heads": 2})).state_dict()
    by_table, guessed = VisionTransformer.structure(table), VisionTransformer.structure(odd)
    assert plain is not None
    assert by_table is not None
    assert guessed is not None
    assert (plain.options["heads"], by_table.options["heads"], guessed.options["heads"]) == (3, 4, 2)
    assert not plain.notes
    assert "heads" in guessed.notes[0]


def test_moco_v3_small_has_twelve_heads() -> None:
    tensors = VisionTransformer(**(TINY | {"grid": [3, 3]})).state_dict()
    named = TwelveHeads.structure(tensors)
    assert named is not None
    assert named.options["heads"] == 12
    tensors["pos_embed"] = _moco_positions(3, 192)
    assert are_moco_positions(tensors["pos_embed"])
    told = VisionTransformer.structure(tensors)
    assert told is not None
    assert told.options["heads"] == 12
    assert told.notes


def test_dinov2_keeps_the_card_size_for_its_large_grid() -> None:
    options = TINY | {"patch": 14, "layer_scale": True}
    large = DinoV2.structure(VisionTransformer(**(options | {"grid": [37, 37]})).state_dict())
    filtered = DinoV2.structure(VisionTransformer(**(options | {"grid": [37, 37], "registers": 4})).state_dict())
    native = DinoV2.structure(VisionTransformer(**(options | {"grid": [16, 16]})).state_dict())
    assert large is not None
    assert filtered is not None
    assert native is not None
    assert (large.input, filtered.input) == ({}, {})
    assert filtered.options["antialias"] is True
    assert native.input == {"height": 224, "width": 224}
    features = DinoV2(**large.options).eval()(torch.randn(1, 3, 56, 42))
    assert features.shape == (1, 192)


def test_positions_are_the_file_s_own_on_its_own_grid() -> None:
    positions = torch.randn(1, 12, 8)
    assert resized_positions(positions, [4, 3], 4, 3) is positions
    assert resized_positions(positions, [4, 3], 6, 5, offset=0.1).shape == (1, 30, 8)
    flat = torch.ones(1, 12, 8)
    assert torch.allclose(resized_positions(flat, [4, 3], 2, 2, antialias=True), torch.ones(1, 4, 8))


@pytest.mark.parametrize("jigsaw", [False, True])
@pytest.mark.parametrize("reduced", [0, 24])
def test_transreid(jigsaw: bool, reduced: int) -> None:
    network = TransReID(trunk=PERSON, jigsaw=jigsaw, reduced=reduced).eval()
    tensors = network.state_dict()
    found = TransReID.structure(tensors)
    assert found is not None
    assert found.input == {"height": 256, "width": 128}
    again = TransReID(**found.options).eval()
    again.load_state_dict(tensors)
    images = torch.randn(2, 3, 256, 128)
    features = again(images)
    assert features.shape == (2, 5 * 192 if jigsaw else reduced or 192)
    assert torch.allclose(features, network(images), atol=1e-5)


def test_square_jigsaw_is_of_vehicles() -> None:
    found = TransReID.structure(TransReID(trunk=PERSON | {"grid": [16, 16]}, jigsaw=True).state_dict())
    assert found is not None
    assert found.options["shift"] == 8


def test_shuffle_deals_the_shifted_halves_in_turn() -> None:
    places = torch.arange(8.0).reshape(1, 8, 1)
    assert shuffled(places, 3).flatten().tolist() == [2, 6, 3, 7, 4, 0, 5, 1]
    assert shuffled(places[:, :7], 1).flatten().tolist() == [0, 4, 1, 5, 2, 6, 3, 5]


def test_cameras_move_the_feature() -> None:
    network = TransReIDSie(trunk=PERSON, cameras=6).eval()
    nn.init.normal_(network.base.get_parameter("sie_embed"))
    found = TransReIDSie.structure(network.state_dict())
    assert found is not None
    assert found.options["cameras"] == 6
    assert TransReIDSie.takes_camera
    image = torch.randn(1, 3, 256, 128).expand(2, -1, -1, -1)
    first, other = network(image, torch.tensor([0, 5]))
    assert not torch.allclose(first, other, atol=1e-3)
    with pytest.raises(UsageError, match="cameras 1 to 6"):
        network(image, torch.tensor([0, 6]))
    assert TransReIDSie.structure(TransReID(trunk=PERSON).state_dict()) is None


@pytest.mark.parametrize("fusion", ["cat", "mean"])
def test_pass_reads_its_fusion_off_the_classifier(fusion: str) -> None:
    trunk = PERSON | {"placed": 0}
    network = PassReID(trunk=trunk, fusion=fusion).eval()
    width = 384 if fusion == "cat" else 192
    tensors = network.state_dict() | {"classifier.weight": torch.zeros(9, width), "bottleneck.weight": torch.zeros(192)}
    found = PassReID.structure(tensors)
    assert found is not None
    assert found.options["fusion"] == fusion
    assert PassReID(**found.options).eval()(torch.randn(1, 3, 256, 128)).shape == (1, width)


@pytest.mark.parametrize(("fusion", "necks"), [("cat", "one"), ("mean", "one"), ("cat", "each")])
def test_pass_with_clusters_reads_its_necks(fusion: str, necks: str) -> None:
    network = PassCluster(trunk=PERSON | {"placed": 0}, fusion=fusion, necks=necks)
    found = PassCluster.structure(network.state_dict())
    assert found is not None
    assert (found.options["fusion"], found.options["necks"]) == (fusion, necks)
    assert bool(found.notes) == (necks == "each")
    PassCluster(**found.options).load_state_dict(network.state_dict())


def test_necked_networks() -> None:
    cluster = ClusterVit(trunk=PERSON)
    found = ClusterVit.structure(cluster.state_dict())
    assert found is not None
    ClusterVit(**found.options).load_state_dict(cluster.state_dict())
    rope = TINY | {"grid": None, "rope": "computed", "registers": 4, "bias": "none", "layer_scale": True}
    layumi = LayumiVit(trunk=rope, features=20)
    found = LayumiVit.structure(layumi.state_dict())
    assert found is not None
    again = LayumiVit(**found.options).eval()
    again.load_state_dict(layumi.state_dict())
    assert again(torch.randn(1, 3, 64, 32)).shape == (1, 20)


def test_hap_joins_its_two_heads() -> None:
    network = HapLem(**PERSON).eval()
    found = HapLem.structure(network.state_dict())
    assert found is not None
    assert HapLem(**found.options).eval()(torch.randn(1, 3, 256, 128)).shape == (1, 3 * 192)
    assert HapLem.structure(VisionTransformer(**PERSON).state_dict()) is None


def test_relative_bias_counts_offsets_and_the_class_token() -> None:
    table = torch.arange(9.0 + 3).reshape(12, 1)
    bias = relative_bias(table, [2, 2])[0]
    assert bias.shape == (5, 5)
    assert (bias[0, 0], bias[0, 1], bias[1, 0], bias[1, 1]) == (11, 9, 10, 4)
    assert (bias[1, 4], bias[4, 1]) == (0, 8)


def test_rotations_keep_lengths_and_other_tokens() -> None:
    heads = torch.randn(1, 2, 1 + 6, 16)
    moved = rotated(heads, rope_turn(3, 2, rope_periods(16)))
    assert torch.equal(moved[:, :, 0], heads[:, :, 0])
    assert torch.allclose(moved.norm(dim=-1), heads.norm(dim=-1), atol=1e-5)


HOSTILE: dict[str, Callable[[dict[str, torch.Tensor]], object]] = {
    "nothing": dict.clear,
    "scalar patches": lambda tensors: tensors.update({"patch_embed.proj.weight": torch.zeros(())}),
    "absurd width": lambda tensors: tensors.update(
        {"patch_embed.proj.weight": torch.empty(10**9, 3, 16, 16, device="meta")}
    ),
    "absurd patch": lambda tensors: tensors.update(
        {"patch_embed.proj.weight": torch.empty(192, 3, 10**6, 10**6, device="meta")}
    ),
    "no colours": lambda tensors: tensors.update({"patch_embed.proj.weight": torch.zeros(192, 0, 16, 16)}),
    "a missing block": lambda tensors: tensors.update({"blocks.9999.norm1.weight": torch.zeros(192)}),
    "a huge block number": lambda tensors: tensors.update({f"blocks.{'9' * 5000}.norm1.weight": torch.zeros(192)}),
    "no perceptron": lambda tensors: tensors.pop("blocks.0.mlp.fc1.weight"),
    "a flat perceptron": lambda tensors: tensors.update({"blocks.0.mlp.fc1.weight": torch.zeros(96)}),
    "no last norm": lambda tensors: tensors.pop("norm.weight"),
    "two last norms": lambda tensors: tensors.update({"fc_norm.weight": torch.zeros(192)}),
    "flat positions": lambda tensors: tensors.update({"pos_embed": torch.zeros(17)}),
    "no grid": lambda tensors: tensors.update({"pos_embed": torch.zeros(1, 11, 192)}),
    "no positions": lambda tensors: tensors.pop("pos_embed"),
    "a scalar table": lambda tensors: (
        tensors.pop("pos_embed"),
        tensors.update({"blocks.0.attn.relative_position_bias_table": torch.zeros(())}),
    ),
    "an odd table": lambda tensors: (
        tensors.pop("pos_embed"),
        tensors.update({"rel_pos_bias.relative_position_bias_table": torch.zeros(5, 3)}),
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_other_tensors_are_of_no_vision_transformer(kind: str) -> None:
    tensors = dict(VisionTransformer(**TINY).state_dict())
    HOSTILE[kind](tensors)
    below = {f"base.{name}": value for name, value in tensors.items()}
    model = {f"model.{name}": value for name, value in tensors.items()}
    assert VisionTransformer.structure(tensors) is None or kind == "a huge block number"
    for reader in (TwelveHeads, DinoV2, HapLem):
        reader.structure(tensors)
    for outer in (TransReID, TransReIDSie, PassReID, PassCluster, ClusterVit):
        outer.structure(below)
    LayumiVit.structure(model)


def _moco_positions(side: int, dim: int) -> torch.Tensor:
    rates = 1e4 ** (-torch.arange(dim // 4) / (dim // 4))
    rows = [torch.zeros(dim)]
    for down, right in itertools.product(range(side), repeat=2):
        waves = [(place * rates).sin() if even else (place * rates).cos() for place in (down, right) for even in (1, 0)]
        rows.append(torch.cat(waves))
    return torch.stack(rows)[None]
