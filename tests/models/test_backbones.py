"""A method's checkpoint may hold any of the networks that its card allows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from sysu30k_bench.errors import IntegrityError
from sysu30k_bench.evaluation.embedding.model import ready_model
from sysu30k_bench.evaluation.request import ExportRequest
from sysu30k_bench.models.card import Network
from sysu30k_bench.models.cards import find_card
from sysu30k_bench.models.load import load_embedder, require_fit
from sysu30k_bench.models.matching.detect import detect_card
from sysu30k_bench.models.matching.fit import Fit
from sysu30k_bench.models.sources import build_trunk
from tests.models.checkpoints import State, as_file, hollow, other, prefixed, projector, sequential, small_resnet, trunk

CPU = torch.device("cpu")
Writer = Callable[[State], dict[str, object]]


def trunk_of(source: str, **options: str | float | bool) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(21)
        return build_trunk(Network(source=source, options=options))


def moco(state: State) -> dict[str, object]:
    keys = prefixed("module.encoder_q.", state) | prefixed("module.encoder_k.", other(state))
    return {"state_dict": keys | {"module.queue": torch.ones(4)}, "arch": "any"}


def moco_v3(state: State) -> dict[str, object]:
    head = "fc" if "conv1.weight" in state else "head"
    keys = prefixed("base_encoder.", state | projector(head)) | prefixed("momentum_encoder.", other(state))
    return {"state_dict": prefixed("module.", keys | projector("predictor")), "epoch": 300}


def dino(state: State) -> dict[str, object]:
    return {
        "student": prefixed("module.backbone.", other(state)) | prefixed("module.", projector("head.mlp")),
        "teacher": prefixed("backbone.", state) | projector("head.mlp") | {"head.last_layer.weight": torch.ones(4, 4)},
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
    return {"state_dict": renamed}


RESNETS: list[tuple[str, str, Writer]] = [
    ("moco_v2", "torchvision:resnet18", moco),
    ("moco_v2", "torchvision:resnet101", moco),
    ("moco_v3", "torchvision:resnet50", moco_v3),
    ("dino", "torchvision:resnet50", dino),
    ("resnet_trunk", "torchvision:resnet18", lightly_dino_sequential),
    ("resnet_trunk", "torchvision:resnext50_32x4d", solo_learn),
]
TRANSFORMERS: list[tuple[str, str, Writer]] = [
    ("moco_v3", "timm:vit_small_patch16_224", moco_v3),
    ("dino", "timm:vit_small_patch16_224", dino),
    ("dino", "timm:vit_tiny_patch16_224", dino),
    ("dino", "timm:vit_tiny_patch16_224", lightly_dino),
]
READ: list[tuple[str, str, Writer]] = [
    ("byol", "torchvision:resnet34", solo_learn),
    ("simclr", "torchvision:resnext50_32x4d", solo_learn),
    ("triplet", "torchvision:wide_resnet50_2", solo_learn),
    ("moco_v3", "timm:vit_small_patch16_224", mmselfsup),
]


def assert_same_features(fit: Fit, trunk: nn.Module, content: dict[str, object]) -> None:
    embedder, coverage = load_embedder(fit, as_file(content))
    assert coverage.complete
    pixels = torch.rand(1, 3, fit.card.input.height, fit.card.input.width)
    with torch.inference_mode():
        ours, theirs = (nn.functional.normalize(made(pixels).flatten(), dim=0) for made in (embedder.trunk, trunk))
    assert torch.allclose(ours, theirs, atol=1e-5)


def options_of(card: str) -> dict[str, int]:
    return {"num_heads": 12} if card == "moco_v3" else {}


@pytest.mark.parametrize(("card", "source", "write"), [*RESNETS, *TRANSFORMERS])
def test_a_training_checkpoint_of_any_backbone_is_found(card: str, source: str, write: Writer) -> None:
    network = trunk_of(source, **options_of(card if "vit" in source else ""))
    content = write(network.state_dict())
    detected = detect_card(as_file(content))
    assert detected.card.name == card
    assert detected.card.feature.flip == "sequential"
    assert_same_features(detected.fit, network, content)


@pytest.mark.parametrize(("card", "source", "write"), READ)
def test_a_toolbox_file_of_another_backbone_is_read_by_the_card_that_is_named(
    card: str, source: str, write: Writer
) -> None:
    network = trunk_of(source, **options_of(card))
    content = write(network.state_dict())
    assert_same_features(require_fit(find_card(card), as_file(content)), network, content)


def test_transformers_keep_the_size_that_they_were_trained_at() -> None:
    state = trunk_of("timm:vit_tiny_patch16_224").state_dict()
    seen = detect_card(as_file(dino(state))).fit.card.input
    assert (seen.height, seen.width) == (224, 224)
    resnet = require_fit(find_card("moco_v2"), as_file(moco(trunk(small_resnet())))).card.input
    assert (resnet.height, resnet.width) == (256, 128)


def test_a_card_settles_on_the_first_of_its_networks_that_the_file_fills() -> None:
    card = find_card("colour_stripes").model_copy(
        update={
            "network": Network.model_validate(
                {
                    "source": "torchvision:resnet18",
                    "alternatives": [{"source": "torchvision:resnet34"}, {"source": "timm:vit_tiny_patch16_224"}],
                }
            ),
            "checkpoint": find_card("colour_stripes").checkpoint.model_copy(
                update={"layouts": ["plain"], "layout": []}
            ),
        }
    )
    with torch.device("meta"):
        found = [
            require_fit(card, as_file({"net": hollow(build_trunk(Network(source=source)).state_dict())})).card
            for source in ("torchvision:resnet18", "torchvision:resnet34", "timm:vit_tiny_patch16_224")
        ]
    assert [settled.network.source for settled in found] == [
        "torchvision:resnet18",
        "torchvision:resnet34",
        "timm:vit_tiny_patch16_224",
    ]
    assert all(settled.network.alternatives == [] for settled in found)
    assert (found[2].input.height, found[2].input.width) == (224, 224)


def test_where_nothing_fits_the_run_stops() -> None:
    with pytest.raises(IntegrityError, match="does not fill the network of adapter 'moco_v2'"):
        require_fit(find_card("moco_v2"), as_file({"encoder_q.conv1.weight": torch.ones(3)}))


def test_the_user_is_told_by_what_a_card_was_found(tmp_path: Path) -> None:
    path = tmp_path / "c.pth"
    torch.save(moco(trunk(small_resnet()) | projector("fc")), path)
    ready = ready_model(ExportRequest(path), CPU)
    assert ready.found_by == (
        "recognised by encoder_q.conv1.weight, encoder_k.conv1.weight (facebookresearch/moco training checkpoint)"
    )
    assert ready.card.network.options["blocks"] == [1, 1, 1, 1]


def test_ports_with_other_padding_are_warned_of(tmp_path: Path) -> None:
    path = tmp_path / "resnet50_byol.pth"
    torch.save(small_resnet(), path)
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
