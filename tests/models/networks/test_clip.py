"""What CLIP's towers read off a file's tensors."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sysu30k_bench.errors import DataError
from sysu30k_bench.models.networks.clip.clipreid import ClipReId
from sysu30k_bench.models.networks.clip.grid import cells, fitted_positions, person_grid, square_grid
from sysu30k_bench.models.networks.clip.huggingface import HuggingFaceClip
from sysu30k_bench.models.networks.clip.timm_tower import NOT_THE_TRUNK, TRUNKS, TimmTower
from sysu30k_bench.models.networks.clip.tower import ClipVision

TINY = {"width": 64, "layers": [2], "output": 24, "rows": 4, "columns": 4, "patch": 8, "stride": 8, "hidden": 96}
TINY_RESNET = {"kind": "resnet", "width": 8, "layers": [1, 2, 1, 1], "output": 12, "rows": 2, "columns": 2}


def filled(network: nn.Module) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.is_floating_point():
            tensor.data.copy_(torch.rand(tensor.shape, generator=generator) * 0.1 + 0.01)
    return dict(network.eval().state_dict())


@pytest.mark.parametrize(
    "options",
    [
        TINY,
        {**TINY, "scaled": True},
        {**TINY, "pre_norm": False},
        {**TINY, "queries": 3},
        {**TINY, "rows": 16, "columns": 8, "patch": 16, "stride": 16},
        {**TINY, "rows": 21, "columns": 10, "patch": 16, "stride": 12},
        TINY_RESNET,
        {**TINY_RESNET, "rows": 16, "columns": 8, "last_stride": 1},
        {**TINY_RESNET, "rows": 12, "columns": 4},
    ],
)
def test_structure_builds_the_network_that_the_file_holds(options: dict[str, object]) -> None:
    network = ClipVision(**options)  # type: ignore[arg-type]
    state = filled(network)
    found = ClipVision.structure(state)
    assert found is not None
    again = ClipVision(**found.options)  # type: ignore[arg-type]
    again.load_state_dict(state)
    images = torch.rand(2, 3, int(str(found.input["height"])), int(str(found.input["width"])))
    with torch.no_grad():
        torch.testing.assert_close(again.eval()(images), network(images))


def test_order_of_a_block_tells_whose_code_wrote_it() -> None:
    state = filled(ClipVision(**TINY))  # type: ignore[arg-type]
    attention = [name for name in state if ".attn.in_proj_weight" in name or ".attn.in_proj_bias" in name]
    ours = ClipVision.structure({name: state[name] for name in sorted(state, key=lambda name: ".ln_1." not in name)})
    theirs = ClipVision.structure({name: state[name] for name in (*attention, *state)})
    by_name = ClipVision.structure(dict(sorted(state.items())))
    assert ours is not None
    assert theirs is not None
    assert by_name is not None
    assert (ours.options["act"], theirs.options["act"], by_name.options["act"]) == ("gelu", "quick_gelu", "gelu")
    assert all(found.notes for found in (ours, theirs, by_name))


@pytest.mark.parametrize("network", [ClipVision, ClipReId, HuggingFaceClip, TimmTower])
def test_strange_files_are_of_no_clip(network: type[ClipVision]) -> None:
    meta = {"device": "meta"}
    assert network.structure({}) is None
    assert network.structure({"visual.class_embedding": torch.zeros(3)}) is None
    assert network.structure({"trunk.a": torch.empty(1 << 40, **meta)}) is None  # type: ignore[call-overload]
    state = filled(ClipVision(**TINY))  # type: ignore[arg-type]
    for name, tensor in (
        ("visual.conv1.weight", torch.empty(1 << 30, 3, 8, 8, **meta)),  # type: ignore[call-overload]
        ("visual.conv1.weight", torch.zeros(64, 3, 8, 4)),
        ("visual.positional_embedding", torch.zeros(0, 64)),
        ("visual.positional_embedding", torch.zeros(8, 64)),
        ("visual.proj", torch.zeros(7)),
    ):
        assert network.structure({**state, name: tensor}) is None


def test_clipreid_joins_two_features_and_adds_the_camera() -> None:
    tower = {**TINY, "rows": 16, "columns": 8, "patch": 16, "stride": 16}
    network = ClipReId(tower, cameras=3)
    state = filled(network)
    found = ClipReId.structure(state)
    assert found is not None
    assert found.options["cameras"] == 3
    assert network.takes_camera
    assert (found.input["height"], found.input["width"]) == (256, 128)
    images = torch.rand(2, 3, 256, 128)
    with torch.no_grad():
        one, other = network(images, torch.tensor([0, 2])), network(images, torch.tensor([1, 1]))
    assert one.shape == (2, 64 + 24)
    assert not torch.allclose(one, other)
    with pytest.raises(DataError):
        network(images, torch.tensor([0, 3]))


def test_clipreid_resnet_has_no_use_for_cameras() -> None:
    network = ClipReId({**TINY_RESNET, "rows": 16, "columns": 8, "last_stride": 1}, cameras=2)
    found = ClipReId.structure(filled(network))
    assert found is not None
    assert found.input["mean"] == [0.485, 0.456, 0.406]
    assert not network.takes_camera
    with torch.no_grad():
        assert network(torch.rand(1, 3, 256, 128)).shape == (1, 8 * 32 + 12)


def test_huggingface_names_give_the_same_embedding() -> None:
    network = HuggingFaceClip(width=64, depth=2, heads=1, hidden=96, output=24, patch=8, side=4, act="gelu")
    state = filled(network)
    found = HuggingFaceClip.structure(state)
    assert found is not None
    assert found.options["act"] == "gelu"
    assert found.notes
    assert found.input == {"height": 32, "width": 32}
    same = ClipVision(**TINY)  # type: ignore[arg-type]
    target = dict(same.state_dict())
    pairs = {"self_attn.out_proj": "attn.out_proj", "layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc",
             "mlp.fc2": "mlp.c_proj"}  # fmt: skip
    for number in (0, 1):
        theirs, ours = f"vision_model.encoder.layers.{number}.", f"visual.transformer.resblocks.{number}."
        for kind in ("weight", "bias"):
            joined = torch.cat([state[f"{theirs}self_attn.{part}_proj.{kind}"] for part in "qkv"])
            target[f"{ours}attn.in_proj_{kind}"] = joined
            target.update({f"{ours}{new}.{kind}": state[f"{theirs}{old}.{kind}"] for old, new in pairs.items()})
    for kind in ("weight", "bias"):
        target[f"visual.ln_pre.{kind}"] = state[f"vision_model.pre_layrnorm.{kind}"]
        target[f"visual.ln_post.{kind}"] = state[f"vision_model.post_layernorm.{kind}"]
    target["visual.class_embedding"] = state["vision_model.embeddings.class_embedding"]
    target["visual.conv1.weight"] = state["vision_model.embeddings.patch_embedding.weight"]
    target["visual.positional_embedding"] = state["vision_model.embeddings.position_embedding.weight"]
    target["visual.proj"] = state["visual_projection.weight"].T
    same.load_state_dict(target)
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(network(images), same.eval()(images))


@pytest.mark.parametrize("name", ["vit_pe_core_tiny_patch16_384", "fastvit_mci0", "vitamin_small_224"])
def test_timm_networks_are_found_by_their_number_of_values(name: str) -> None:
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        state = timm.create_model(name, num_classes=0).state_dict()
    count = sum(tensor.numel() for key, tensor in state.items() if not NOT_THE_TRUNK.fullmatch(key))
    assert TRUNKS[count].name == name
    tensors = {f"trunk.{key}": tensor for key, tensor in state.items()}
    found = TimmTower.structure({**tensors, "head.proj.weight": torch.zeros(5, 7)})
    assert found is not None
    assert (found.options["model"], found.options["project"], found.options["output"]) == (name, "linear", 5)


def test_grids() -> None:
    assert (square_grid(49), square_grid(50), square_grid(-1)) == (7, None, None)
    assert cells(256, 128, 16, 12) == (21, 10)
    assert person_grid(210, 16, (16, 12)) == (256, 128, 21, 10, 12)
    assert person_grid(7, 16, (16,)) is None
    embedding = torch.rand(1 + 6, 4)
    assert fitted_positions(embedding, (2, 3), (2, 3)) is embedding
    assert fitted_positions(embedding, (2, 3), (4, 3)).shape == (13, 4)
