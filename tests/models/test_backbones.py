"""A method's checkpoint may hold any of the networks that its card allows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from sysu30k_bench.evaluation.model import ready_model
from sysu30k_bench.evaluation.request import ExportRequest
from sysu30k_bench.models.backbones import fills, resolve_network
from sysu30k_bench.models.card import Network
from sysu30k_bench.models.cards import find_card
from sysu30k_bench.models.checkpoint import CheckpointFile
from sysu30k_bench.models.detect import detect_card
from sysu30k_bench.models.load import load_embedder
from sysu30k_bench.models.sources import build_trunk
from tests.models.checkpoints import State, other, prefixed, projector, sequential

CPU = torch.device("cpu")


def as_file(content: dict[str, object]) -> CheckpointFile:
    return CheckpointFile(Path("model.pth"), "0" * 64, content)


def trunk_of(source: str, **options: str | float | bool) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(21)
        return build_trunk(Network(source=source, options=options))


def moco(state: State) -> dict[str, object]:
    keys = prefixed("module.encoder_q.", state) | prefixed("module.encoder_k.", other(state))
    return {"state_dict": keys | {"module.queue": torch.ones(4)}, "arch": "any"}


def moco_v3(state: State) -> dict[str, object]:
    keys = prefixed("base_encoder.", state | projector("head")) | prefixed("momentum_encoder.", other(state))
    return {"state_dict": prefixed("module.", keys | projector("predictor")), "epoch": 300}


def dino(state: State) -> dict[str, object]:
    return {
        "student": prefixed("module.backbone.", other(state)) | prefixed("module.", projector("head.mlp")),
        "teacher": prefixed("backbone.", state) | projector("head.mlp"),
        "epoch": 100,
        "dino_loss": {"center": torch.zeros(1, 8)},
    }


def lightly_dino(state: State) -> dict[str, object]:
    return {
        "state_dict": prefixed("teacher_backbone.", state)
        | prefixed("student_backbone.", other(state))
        | projector("teacher_head.layers")
    }


def lightly_dino_sequential(state: State) -> dict[str, object]:
    return {"state_dict": sequential("teacher_backbone.", state) | sequential("student_backbone.", other(state))}


def solo_learn(state: State) -> dict[str, object]:
    return {"state_dict": prefixed("backbone.", state) | prefixed("momentum_backbone.", other(state))}


def mmselfsup(state: State) -> dict[str, object]:
    names = {"patch_embed.proj.": "patch_embed.projection.", ".norm1.": ".ln1.", ".norm2.": ".ln2.",
             ".mlp.fc1.": ".ffn.layers.0.0.", ".mlp.fc2.": ".ffn.layers.1.", "blocks.": "layers."}  # fmt: skip
    renamed = {}
    for key, value in state.items():
        theirs = "ln1." + key.removeprefix("norm.") if key.startswith("norm.") else key
        for ours, new in names.items():
            theirs = theirs.replace(ours, new)
        renamed["backbone." + theirs] = value
    return {"state_dict": renamed | projector("neck")}


FOUND: list[tuple[str, str, str, Callable[[State], dict[str, object]]]] = [
    ("moco_v2", "torchvision:resnet18", "", moco),
    ("moco_v2", "torchvision:resnet101", "", moco),
    ("moco_v2", "timm:vit_tiny_patch16_224", "", moco),
    ("moco_v3", "timm:vit_small_patch16_224", "num_heads", moco_v3),
    ("moco_v3", "torchvision:resnet50", "", moco_v3),
    ("dino", "timm:vit_small_patch16_224", "", dino),
    ("dino", "timm:vit_tiny_patch16_224", "", dino),
    ("dino", "torchvision:resnet50", "", dino),
    ("dino", "timm:vit_tiny_patch16_224", "", lightly_dino),
    ("dino", "torchvision:resnet18", "", lightly_dino_sequential),
]
READ: list[tuple[str, str, Callable[[State], dict[str, object]]]] = [
    ("byol", "torchvision:resnet34", solo_learn),
    ("simclr", "torchvision:resnext50_32x4d", solo_learn),
    ("triplet", "torchvision:wide_resnet50_2", solo_learn),
    ("byol", "timm:vit_tiny_patch16_224", solo_learn),
    ("simclr", "timm:vit_tiny_patch16_224", mmselfsup),
    ("moco_v3", "timm:vit_small_patch16_224", mmselfsup),
]


def assert_same_features(card_name: str, trunk: nn.Module, content: dict[str, object]) -> None:
    file = as_file(content)
    card = resolve_network(find_card(card_name), file)
    embedder, coverage = load_embedder(card, file)
    assert coverage.complete
    pixels = torch.rand(1, 3, card.input.height, card.input.width)
    with torch.inference_mode():
        ours, theirs = (nn.functional.normalize(made(pixels).flatten(), dim=0) for made in (embedder.trunk, trunk))
    assert torch.allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize(("card", "source", "option", "write"), FOUND)
def test_a_training_checkpoint_of_another_backbone_is_found(
    card: str, source: str, option: str, write: Callable[[State], dict[str, object]]
) -> None:
    trunk = trunk_of(source, **({option: 12} if option else {}))
    content = write(trunk.state_dict())
    assert detect_card(as_file(content)).name == card
    assert_same_features(card, trunk, content)


@pytest.mark.parametrize(("card", "source", "write"), READ)
def test_a_toolbox_file_of_another_backbone_is_read(
    card: str, source: str, write: Callable[[State], dict[str, object]]
) -> None:
    trunk = trunk_of(source, **({"num_heads": 12} if card == "moco_v3" else {}))
    assert_same_features(card, trunk, write(trunk.state_dict()))


def test_transformers_keep_the_size_that_they_were_trained_at() -> None:
    state = trunk_of("timm:vit_tiny_patch16_224").state_dict()
    card = resolve_network(find_card("moco_v2"), as_file(moco(state)))
    assert (card.network.source, card.input.height, card.input.width) == ("timm:vit_tiny_patch16_224", 224, 224)
    assert card.network.alternatives == []
    resnet = resolve_network(find_card("moco_v2"), as_file(moco(trunk_of("torchvision:resnet18").state_dict())))
    assert (resnet.input.height, resnet.input.width) == (256, 128)


def test_where_nothing_fits_the_card_keeps_its_own_network() -> None:
    card = find_card("moco_v2")
    kept = resolve_network(card, as_file({"encoder_q.conv1.weight": torch.ones(3)}))
    assert kept.network.source == card.network.source
    assert not fills(kept, as_file({"encoder_q.conv1.weight": torch.ones(3)}))


def test_the_user_is_told_by_what_a_card_was_found(tmp_path: Path) -> None:
    path = tmp_path / "c.pth"
    torch.save(moco(trunk_of("torchvision:resnet18").state_dict()), path)
    ready = ready_model(ExportRequest(path), CPU)
    assert ready.found_by == (
        "recognised by encoder_q.conv1.weight, encoder_k.conv1.weight (facebookresearch/moco training checkpoint)"
    )
    assert ready.card.network.source == "torchvision:resnet18"


def test_ports_with_other_padding_are_warned_of(tmp_path: Path, resnet50_state: State) -> None:
    path = tmp_path / "resnet50_byol.pth"
    torch.save(resnet50_state, path)
    for adapter, said in (("byol", "padding=same"), ("simclr", "--adapter simclr_tf")):
        (caution,) = ready_model(ExportRequest(path, adapter=adapter), CPU).cautions
        assert said in caution
        settled = ExportRequest(path, adapter=adapter, network_options={"padding": "symmetric"})
        assert ready_model(settled, CPU).cautions == []
    assert ready_model(ExportRequest(path, adapter="simclr_tf"), CPU).cautions == []
    plain = ready_model(ExportRequest(path, adapter="byol"), CPU).embedder
    same = ready_model(ExportRequest(path, adapter="byol", network_options={"padding": "same"}), CPU).embedder
    images = torch.randint(0, 256, (1, 3, 256, 128), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))
    assert not torch.allclose(plain(images), same(images), atol=1e-3)
