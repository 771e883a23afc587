"""Everything else that people point at is named for what it is, and never called damaged."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import re
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from sysu30k_bench.errors import BenchError, DataError, IntegrityError, UsageError
from sysu30k_bench.models.formats.read import read_content
from tests.models.formats.making import WEIGHTS, forget, made_up, torch_bytes


def tar(names: list[str], mode: str = "w") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:  # type: ignore[call-overload]
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size = 3
            archive.addfile(entry, io.BytesIO(b"abc"))
    return file.getvalue()


def zipped(names: list[str]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, b"abc")
    return file.getvalue()


def npz() -> bytes:
    file = io.BytesIO()
    np.savez(file, a=np.ones(2), b=np.ones(3))
    return file.getvalue()


def npy() -> bytes:
    file = io.BytesIO()
    np.save(file, np.ones(3))
    return file.getvalue()


def hdf5() -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w") as content:
        content["model_weights/a"] = np.ones(3)
    return file.getvalue()


def scripted() -> bytes:
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), file)
    return file.getvalue()


TORCH = torch_bytes(WEIGHTS)
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 102502400\n"
FILES: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "torch 0.1": (lambda: tar(["sys_info", "pickle", "tensors", "storages"]), "first format", "save its state dict"),
    "tar around": (lambda: tar(["run/model_best.pth", "run/log.txt"]), r"tar archive.*run/model_best\.pth\n", "unpack"),
    "empty tar": (lambda: tar([]) + b"", "tar archive with nothing|file of zeros", ""),
    "tar.gz": (lambda: tar(["run/model.pth"], "w:gz"), r"tar archive compressed by gzip.*run/model\.pth", "unpack"),
    "gzip": (lambda: gzip.compress(TORCH), "compressed by gzip", "gunzip"),
    "bzip2": (lambda: bz2.compress(TORCH), "compressed by bzip2", "bunzip2"),
    "xz": (lambda: lzma.compress(TORCH), "compressed by xz", "unxz"),
    "broken gzip": (lambda: gzip.compress(TORCH)[:30], "compressed by gzip", "gunzip"),
    "7z": (lambda: b"7z\xbc\xaf\x27\x1c" + bytes(50), "7z archive", "unpack"),
    "rar": (lambda: b"Rar!\x1a\x07\x01\x00" + bytes(50), "RAR archive", "unpack"),
    "zstd": (lambda: b"\x28\xb5\x2f\xfd" + bytes(50), "zstd", "unpack"),
    "zip around": (lambda: zipped(["a/readme.md", "a/model.pth"]), r"zip archive.*a/model\.pth\n", "unpack"),
    "empty zip": (lambda: zipped([]), "zip archive with nothing", ""),
    "npz": (npz, r"\.npz\) of 2 arrays", "convert"),
    "npy": (npy, r"numpy array \(\.npy\)", ""),
    "keras": (hdf5, "HDF5", "convert"),
    "keras 3": (lambda: zipped(["config.json", "model.weights.h5"]), "Keras", "convert"),
    "torchserve": (lambda: zipped(["MAR-INF/MANIFEST.json", "w.pth"]), "TorchServe", "unpack"),
    "torchscript": (scripted, "TorchScript", "TorchScript"),
    "web page": (lambda: b"\n<!DOCTYPE html>\n<html><title>Google Drive</title>", "web page", "download"),
    "web page without a type": (lambda: b"<HTML><body>404</body></HTML>", "web page", "download"),
    "lfs": (LFS.encode, r"Git LFS pointer to a file of 102,502,400 bytes", "git lfs pull"),
    "json": (lambda: json.dumps({"model_type": "vit", "x": 1}).encode(), "JSON text with model_type, x", ""),
    "long json": (lambda: json.dumps({"a": "b" * 9000}).encode(), "JSON text", ""),
    "yaml": (lambda: b"MODEL:\n  NAME: resnet50\n", "YAML", ""),
    "xml": (lambda: b"<?xml version='1.0'?><a/>", "XML", ""),
    "text": (lambda: b"hello, this is a log\n", "text file, which begins 'hello", ""),
    "text with a full stop": (lambda: b"(see below).", "text file", ""),
    "umlauts": (lambda: "Gewichte für später\n".encode() * 300, "text file", ""),
    "utf-16": (lambda: "hello".encode("utf-16"), "text file", ""),
    "address": (lambda: b"https://drive.google.com/file/d/1\n", "text with an address", "download"),
    "matlab": (lambda: b"MATLAB 5.0 MAT-file, Platform: GLNXA64" + bytes(90), "MATLAB", "convert"),
    "png": (lambda: b"\x89PNG\r\n\x1a\n" + bytes(50), "PNG", ""),
    "gguf": (lambda: b"GGUF\x03\0\0\0" + bytes(50), "GGUF", ""),
    "zeros": (lambda: bytes(5000), "file of zeros", "again"),
    "onnx": (lambda: b"\x08\x07\x12\x07pytorch\x1a\x031.9:\x80" + bytes(50), "ONNX", r"\.onnx"),
    "tensorflow index": (lambda: bytes(range(200, 250)) + bytes.fromhex("57fb808b247547db"), "TensorFlow", "convert"),
}


@pytest.mark.parametrize("name", FILES)
def test_named(tmp_path: Path, name: str) -> None:
    make, what, hint = FILES[name]
    (tmp_path / "w.pth").write_bytes(make())
    with pytest.raises(IntegrityError, match=what) as caught:
        read_content(tmp_path / "w.pth")
    assert "damaged" not in str(caught.value)
    assert caught.value.hint
    assert not hint or re.search(hint, caught.value.hint)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("w.pth.crdownload", "download that has not ended"),
        ("graph.pb", "TensorFlow graph"),
        ("model.ckpt.data-00000-of-00001", "TensorFlow checkpoint"),
        ("r50.caffemodel", "Caffe"),
        ("yolo.weights", "Darknet"),
    ],
)
def test_named_by_the_suffix_where_the_content_says_nothing(tmp_path: Path, name: str, what: str) -> None:
    (tmp_path / name).write_bytes(bytes(range(160, 250)))
    with pytest.raises(IntegrityError, match=what):
        read_content(tmp_path / name)


def test_the_content_counts_and_not_the_suffix(tmp_path: Path) -> None:
    for name in ("w.safetensors", "w.onnx", "w.txt", "w", "w.pth.tar", "w.npz"):
        (tmp_path / name).write_bytes(TORCH)
        assert set(read_content(tmp_path / name)) == set(WEIGHTS)
    (tmp_path / "pointer.safetensors").write_text(LFS)
    with pytest.raises(IntegrityError, match="LFS"):
        read_content(tmp_path / "pointer.safetensors")


@pytest.mark.parametrize("address", ["https://x.org/w.pth", "http://x.org/w", "hf://a/b/w.bin", "s3://bucket/key"])
def test_addresses(address: str) -> None:
    with pytest.raises(UsageError, match="is an address") as caught:
        read_content(Path(address))
    assert "download" in str(caught.value.hint)


def test_things_that_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to("nowhere.pth")
    (tmp_path / "loop").symlink_to("loop")
    for path, said in (
        (tmp_path / "pipe", "is a pipe or a device"),
        (Path("/dev/zero"), "is a pipe or a device"),
        (tmp_path / "dangling", r"link to nowhere\.pth"),
        (tmp_path / "loop", r"cannot read|link to"),
        (tmp_path / ("x" * 300), r"cannot read|there is no file"),
        (Path("a\0b"), "no path"),
    ):
        with pytest.raises(DataError, match=said):
            read_content(path)
    (tmp_path / "w.pth").write_bytes(TORCH)
    (tmp_path / "link.pth").symlink_to("w.pth")
    assert set(read_content(tmp_path / "link.pth")) == set(WEIGHTS)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_permissions(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(TORCH)
    (tmp_path / "w.pth").chmod(0)
    with pytest.raises(DataError, match="cannot read"):
        read_content(tmp_path / "w.pth")


def test_permissions_as_the_system_says_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "w.pth").write_bytes(TORCH)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"cannot read .*Permission denied"):
        read_content(tmp_path / "w.pth")


@pytest.mark.parametrize(
    ("names", "said", "hint"),
    [
        ([], r"folder without config\.json", "weights file"),
        (["a.pth", "b.txt"], r"folder without config\.json", "weights file"),
        (["data.pkl", "version"], "parts of a torch file", "zip -0 -r"),
        ([".metadata", "__0_0.distcp"], r"torch\.distributed", "dcp_to_torch"),
        (["saved_model.pb"], "TensorFlow", "convert"),
    ],
)
def test_folders(tmp_path: Path, names: list[str], said: str, hint: str) -> None:
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=said) as caught:
        read_content(tmp_path)
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_jax_pickles_are_refused_with_the_reason(tmp_path: Path, protocol: int) -> None:
    flat = made_up("haiku._src.data_structures.FlatMapping", dict)
    state = {"experiment_state": {"online_params": flat(w=np.ones(3))}, "step": 3}
    (tmp_path / "pretrain_res50x1.pkl").write_bytes(pickle.dumps(state, protocol=protocol))
    forget("haiku")
    with pytest.raises(IntegrityError, match="JAX or Haiku") as caught:
        read_content(tmp_path / "pretrain_res50x1.pkl")
    assert "padding=same" in str(caught.value.hint)
    assert "haiku._src.data_structures.FlatMapping" in caught.value.details


@pytest.mark.parametrize("content", [torch.ones(3), 3, "text", None, {1, 2}])
def test_what_is_no_state_dict(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(IntegrityError, match="not a state dict"):
        read_content(tmp_path / "w.pth")


def test_errors_are_short(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(b"x" * 100_000)
    with pytest.raises(BenchError) as caught:
        read_content(tmp_path / "w.pth")
    assert len(str(caught.value)) < 600
