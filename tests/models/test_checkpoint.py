from __future__ import annotations

import argparse
import os
import pickle
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sysu30k_bench.errors import DataError, IntegrityError
from sysu30k_bench.models.formats.checkpoint import CheckpointFile, digest_caution, read_checkpoint

TENSORS = {"conv.weight": torch.arange(6.0).reshape(2, 3), "conv.bias": torch.ones(2)}


class Bomb:
    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.proof}",)


def write(path: Path, kind: str) -> Path:
    if kind == "safetensors":
        save_file(TENSORS, path.with_suffix(".safetensors"))
        return path.with_suffix(".safetensors")
    torch.save(TENSORS, path, _use_new_zipfile_serialization=kind == "zip")
    return path


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_formats(tmp_path: Path, kind: str) -> None:
    found = read_checkpoint(write(tmp_path / "w.pth", kind)).flat.tensors
    assert {name: value.tolist() for name, value in found.items()} == {
        name: value.tolist() for name, value in TENSORS.items()
    }


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.6, 0.97])
def test_truncated_anywhere(tmp_path: Path, kind: str, share: float) -> None:
    path = write(tmp_path / "w.pth", kind)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(IntegrityError) as caught:
        read_checkpoint(path)
    assert str(path) in str(caught.value)
    assert caught.value.hint


def written(path: Path, content: object, how: str) -> Path:
    if how.startswith("plain"):
        path.write_bytes(pickle.dumps(content, protocol=int(how[-1])))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=how == "torch zip")
    return path


HOW = ["torch zip", "torch legacy", "plain pickle 2", "plain pickle 4"]


@pytest.mark.parametrize("how", HOW)
def test_code_beside_the_weights_is_not_run(tmp_path: Path, how: str) -> None:
    proof = tmp_path / "proof"
    weights = {name: value.numpy() for name, value in TENSORS.items()} if how.startswith("plain") else TENSORS
    path = written(tmp_path / "evil.pth", {"state_dict": weights, "extra": Bomb(proof)}, how)
    found = read_checkpoint(path).flat.tensors
    assert {name.removeprefix("state_dict."): value.tolist() for name, value in found.items()} == {
        name: value.tolist() for name, value in TENSORS.items()
    }
    assert not proof.exists()


@pytest.mark.parametrize("how", HOW)
def test_code_in_the_place_of_a_tensor_is_not_run_and_is_told(tmp_path: Path, how: str) -> None:
    proof = tmp_path / "proof"
    path = written(tmp_path / "evil.pth", {"a.weight": np.ones(2), "conv.weight": Bomb(proof)}, how)
    (told,) = read_checkpoint(path).flat.unread.items()
    assert told[0] == "conv.weight"
    assert "system" in told[1]
    assert not proof.exists()


@pytest.mark.parametrize("how", HOW)
def test_a_file_of_nothing_but_code_is_refused_and_not_run(tmp_path: Path, how: str) -> None:
    proof = tmp_path / "proof"
    with pytest.raises(IntegrityError, match="would run code"):
        read_checkpoint(written(tmp_path / "evil.pth", Bomb(proof), how))
    assert not proof.exists()


def test_a_whole_pickled_module_is_read_as_its_state_dict(tmp_path: Path) -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4))
    torch.save(network, tmp_path / "model.pth")
    found = read_checkpoint(tmp_path / "model.pth").flat.tensors
    assert found.keys() == network.state_dict().keys()
    assert all(torch.equal(found[name], value) for name, value in network.state_dict().items())


def test_harmless_company_is_let_in(tmp_path: Path) -> None:
    torch.save({"args": argparse.Namespace(lr=0.1), "best": np.float64(0.5), "state_dict": TENSORS}, tmp_path / "w.pth")
    flat = read_checkpoint(tmp_path / "w.pth").flat
    assert set(flat.tensors) == {f"state_dict.{name}" for name in TENSORS}
    assert "args" in flat.entries


@pytest.mark.parametrize("content", [b"", b"hello", np.random.default_rng(0).bytes(5000), b"\x80\x02."], ids=range(4))
def test_no_checkpoint(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(IntegrityError):
        read_checkpoint(tmp_path / "w.pth")


def test_missing_file_and_bare_tensor(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file"):
        read_checkpoint(tmp_path / "w.pth")
    with pytest.raises(DataError, match=r"a folder without config\.json"):
        read_checkpoint(tmp_path)
    torch.save(torch.ones(3), tmp_path / "t.pth")
    with pytest.raises(IntegrityError, match="not a state dict"):
        read_checkpoint(tmp_path / "t.pth")


class FlatMapping(dict[str, np.ndarray]):
    """Stands for Haiku's container of parameters, whose module is not installed."""

    __module__ = "haiku._src.data_structures"


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_jax_pickles_are_refused_with_the_reason(
    tmp_path: Path, protocol: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = types.ModuleType("haiku._src.data_structures")
    module.FlatMapping = FlatMapping  # type: ignore[attr-defined]
    for name in ("haiku", "haiku._src"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    state = {"experiment_state": {"online_params": FlatMapping(w=np.ones(3))}, "step": 3}
    (tmp_path / "pretrain_res50x1.pkl").write_bytes(pickle.dumps(state, protocol=protocol))
    with pytest.raises(IntegrityError, match="JAX or Haiku") as caught:
        read_checkpoint(tmp_path / "pretrain_res50x1.pkl")
    assert "padding=same" in str(caught.value.hint)
    assert "haiku._src.data_structures.FlatMapping" in caught.value.details


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnet20-12fca82f.th", False),
        ("resnet20-12fca82f0bebc413.pth.tar", False),
        ("resnet20-12fca830.th", True),
        ("resnet20-20210831.pth", False),
        ("resnet20-20211399.pth", True),
        ("resnet20-epoch.pth", False),
        ("resnet-8xb32_20210831-12fca82f.pth", False),
        ("12fca830.pth", False),
    ],
)
def test_a_digest_in_the_name_is_compared(name: str, said: bool) -> None:
    file = CheckpointFile(Path(name), "12fca82f0bebc4135bf1f32f6e3710e61d5108578464b84fd6d7f5c1b04036c8", {})
    assert bool(digest_caution(file)) == said
