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
from sysu30k_bench.models.checkpoint import CheckpointFile, digest_caution, read_checkpoint

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
    found, _ = read_checkpoint(write(tmp_path / "w.pth", kind)).tensors()
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


@pytest.mark.parametrize("how", ["torch zip", "torch legacy", "plain pickle 2", "plain pickle 4"])
def test_code_in_a_pickle_is_refused_and_not_run(tmp_path: Path, how: str) -> None:
    proof, path = tmp_path / "proof", tmp_path / "evil.pth"
    content = {"state_dict": TENSORS, "extra": Bomb(proof)}
    if how.startswith("plain"):
        path.write_bytes(pickle.dumps(content, protocol=int(how[-1])))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=how == "torch zip")
    with pytest.raises(IntegrityError, match="would run code"):
        read_checkpoint(path)
    assert not proof.exists()


def test_whole_models_are_refused_with_the_remedy(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "model.pth")
    with pytest.raises(IntegrityError, match="would run code or build arbitrary objects") as caught:
        read_checkpoint(tmp_path / "model.pth")
    assert "state_dict" in str(caught.value.hint)


def test_harmless_company_is_let_in(tmp_path: Path) -> None:
    torch.save({"args": argparse.Namespace(lr=0.1), "best": np.float64(0.5), "state_dict": TENSORS}, tmp_path / "w.pth")
    found, others = read_checkpoint(tmp_path / "w.pth").tensors()
    assert set(found) == set(TENSORS)
    assert "@args" in others


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_wrapping_prefixes_go_only_where_all_have_them(tmp_path: Path, prefix: str) -> None:
    torch.save({prefix + name: value for name, value in TENSORS.items()}, tmp_path / "w.pth")
    assert set(read_checkpoint(tmp_path / "w.pth").tensors()[0]) == set(TENSORS)
    torch.save({"module.a": torch.ones(2), "b": torch.ones(2)}, tmp_path / "w.pth")
    assert set(read_checkpoint(tmp_path / "w.pth").tensors()[0]) == {"module.a", "b"}


def test_wrapper_by_path(tmp_path: Path) -> None:
    torch.save({"a": {"b": TENSORS}, "state_dict": {"x": torch.ones(1)}}, tmp_path / "w.pth")
    file = read_checkpoint(tmp_path / "w.pth")
    assert set(file.tensors("a.b")[0]) == set(TENSORS)
    assert set(file.tensors()[0]) == {"x"}
    assert file.tensors("a.c") == ({}, ["@a", "@state_dict"])


@pytest.mark.parametrize("content", [b"", b"hello", os.urandom(5000), b"\x80\x02."])
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
