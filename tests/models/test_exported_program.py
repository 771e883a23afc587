"""torch.export archives: what is read, and what would run code and is refused."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from sysu30k_bench.errors import IntegrityError, UsageError
from sysu30k_bench.models.formats.exported import exported_kind, load_exported

CPU = torch.device("cpu")


class Tiny(nn.Module):
    """A convolution and a pooled mean."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3, stride=2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.conv(images).mean(dim=(2, 3))  # type: ignore[no-any-return]


class Bomb:
    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.proof}",)


def save(path: Path, *, batch: bool, network: nn.Module | None = None) -> nn.Module:
    network = (network or Tiny()).eval()
    shapes = {"images": {0: torch.export.Dim("batch", min=1, max=512)}} if batch else None
    program = torch.export.export(network, (torch.rand(2, 3, 32, 16),), dynamic_shapes=shapes)
    torch.export.save(program, path)
    return network


def rewritten(path: Path, changes: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    top = next(iter(members)).partition("/")[0]
    members |= {f"{top}/{name}": content for name, content in changes.items()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as new:
        for name, content in members.items():
            new.writestr(name, content)
    return path


@pytest.mark.parametrize("batch", [True, False])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_programs_run_any_number_of_images(tmp_path: Path, batch: bool, count: int) -> None:
    network = save(tmp_path / "m.pt2", batch=batch)
    assert exported_kind(tmp_path / "m.pt2") == "torchexport"
    loaded = load_exported(tmp_path / "m.pt2", "torchexport", CPU)
    assert loaded.size == (32, 16)
    images = torch.rand(count, 3, 32, 16)
    with torch.inference_mode():
        assert torch.allclose(loaded(images), network(images), atol=1e-6)


def test_a_program_of_two_inputs_is_refused(tmp_path: Path) -> None:
    class Two(nn.Module):
        def forward(self, images: torch.Tensor, more: torch.Tensor) -> torch.Tensor:
            return images + more

    torch.export.save(torch.export.export(Two(), (torch.rand(2, 3), torch.rand(2, 3))), tmp_path / "m.pt2")
    with pytest.raises(UsageError, match="not one batch"):
        load_exported(tmp_path / "m.pt2", "torchexport", CPU)


@pytest.mark.parametrize("where", ["weights", "constants", "custom object", "sample inputs"])
def test_pickles_in_a_program_are_refused_and_not_run(tmp_path: Path, where: str) -> None:
    path, proof = tmp_path / "m.pt2", tmp_path / "proof"
    save(path, batch=True)
    torch.save(Bomb(proof), tmp_path / "bomb")
    bomb = (tmp_path / "bomb").read_bytes()
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("m/data/weights/model_weights_config.json"))
    entry = dict(config["config"]["conv.weight"])
    changes = {
        "weights": {
            "data/weights/weight_9": bomb,
            "data/weights/model_weights_config.json": {
                "conv.weight": entry | {"use_pickle": True, "path_name": "weight_9"}
            },
        },
        "constants": {
            "data/constants/tensor_9": bomb,
            "data/constants/model_constants_config.json": {"c": entry | {"use_pickle": True, "path_name": "tensor_9"}},
        },
        "custom object": {
            "data/constants/opaque_obj_0": pickle.dumps(Bomb(proof)),
            "data/constants/model_constants_config.json": {
                "c": entry | {"use_pickle": False, "path_name": "opaque_obj_0"}
            },
        },
        "sample inputs": {"data/sample_inputs/model.pt": bomb},
    }[where]
    rewritten(
        path,
        {
            name: value if isinstance(value, bytes) else json.dumps({"config": value}).encode()
            for name, value in changes.items()
        },
    )
    with pytest.raises(IntegrityError, match="pickled objects"):
        load_exported(path, "torchexport", CPU)
    assert not proof.exists()


def test_torch_itself_would_run_such_a_pickle(tmp_path: Path) -> None:
    """The reason for the refusal; when this fails, torch has become safe."""
    path, proof = tmp_path / "m.pt2", tmp_path / "proof"
    save(path, batch=True)
    torch.save(Bomb(proof), tmp_path / "bomb")
    rewritten(path, {"data/sample_inputs/model.pt": (tmp_path / "bomb").read_bytes()})
    with pytest.raises(Exception):  # noqa: B017, PT011  whatever torch makes of it
        torch.export.load(path)
    assert proof.exists()


@pytest.mark.parametrize(
    ("member", "said"),
    [
        ("serialized_exported_program.json", "before 2.8"),
        ("data/aotinductor/model/x.so", "machine code"),
    ],
)
def test_other_archives_are_named(tmp_path: Path, member: str, said: str) -> None:
    save(tmp_path / "m.pt2", batch=True)
    rewritten(tmp_path / "m.pt2", {member: b"{}"})
    with pytest.raises(IntegrityError, match=said):
        load_exported(tmp_path / "m.pt2", "torchexport", CPU)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.pt2"
    save(path, batch=True)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("other/models/model.json", b"{}")
    with pytest.raises(IntegrityError, match="two members"):
        load_exported(path, "torchexport", CPU)


def test_truncated(tmp_path: Path) -> None:
    path = tmp_path / "m.pt2"
    save(path, batch=True)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(IntegrityError):
        load_exported(path, "torchexport", CPU)
