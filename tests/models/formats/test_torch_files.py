"""torch's own files: what the reader gives is what torch gives."""

from __future__ import annotations

import io
import pickle
import tempfile
import zipfile
from collections import Counter, OrderedDict, defaultdict, deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sysu30k_bench.errors import IntegrityError
from sysu30k_bench.models.formats.read import read, read_content
from tests.models.formats.making import WEIGHTS, archive, same, torch_bytes

DTYPES = [
    *(torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.complex64, torch.complex128),
    *(torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64, torch.bool),
]
LATE_DTYPES = [torch.uint16, torch.uint32, torch.uint64, torch.float8_e4m3fn, torch.float8_e5m2]
KINDS = [("zip", 2), ("zip", 3), ("zip", 4), ("zip", 5), ("legacy", 2), ("legacy", 3), ("legacy", 4), ("legacy", 5)]


@st.composite
def random_tensors(draw: st.DrawFn) -> torch.Tensor:
    dtype = draw(st.sampled_from(DTYPES))
    shape = draw(st.lists(st.integers(0, 4), max_size=4))
    count = int(np.prod(shape)) + 3
    size = count * dtype.itemsize
    raw = torch.frombuffer(bytearray(draw(st.binary(min_size=size, max_size=size))), dtype=torch.uint8)
    if dtype == torch.bool:
        raw = raw % 2
    flat = raw.view(dtype)
    tensor = flat[draw(st.integers(0, 3)) :][: count - 3].reshape(shape)
    kind = draw(st.sampled_from(["plain", "transposed", "stepped", "expanded", "leaf", "parameter", "conjugate"]))
    if kind == "transposed" and tensor.dim() > 1:
        tensor = tensor.transpose(0, -1)
    elif kind == "stepped" and tensor.dim():
        tensor = tensor[::2]
    elif kind == "expanded" and tensor.dim() == 1 and len(tensor) == 1:
        tensor = tensor.expand(3)
    elif kind == "leaf" and tensor.is_floating_point():
        tensor = tensor.detach().requires_grad_()
    elif kind == "parameter" and tensor.is_floating_point():
        tensor = torch.nn.Parameter(tensor)
    elif kind == "conjugate" and tensor.is_complex():
        tensor = tensor.conj()
    return tensor


values: st.SearchStrategy[Any] = st.recursive(
    random_tensors() | st.none() | st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=6), inner, max_size=4)
        | st.dictionaries(st.integers(-5, 1 << 40), inner, max_size=3).map(OrderedDict)
    ),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(content=st.dictionaries(st.text(max_size=6), values, min_size=1, max_size=5), kind=st.sampled_from(KINDS))
def test_any_content_is_what_torch_reads(content: dict[str, object], kind: tuple[str, int]) -> None:
    first = next((value for value in content.values() if isinstance(value, torch.Tensor)), None)
    if first is not None:
        content["again"] = first
        content["part"] = first[:1] if first.dim() else first
    raw = torch_bytes(content, *kind)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "w.pth"
        path.write_bytes(raw)
        found: Any = read_content(path)
        assert same(found, torch.load(io.BytesIO(raw), weights_only=False))
        if first is not None and first.numel():
            name = next(name for name, value in content.items() if value is first)
            assert found["again"] is found[name]
            assert found["part"].data_ptr() == found[name].data_ptr()


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_empty_parts_of_empty_tensors_are_read_wherever_they_begin(tmp_path: Path, kind: str) -> None:
    content = {
        "columns": torch.empty(0, 3)[:, 2:],
        "rows": torch.empty(2, 0)[1:],
        "deep": torch.empty(3, 0, 2)[2, :, 1],
        "split": torch.empty(0, 8).split(2, 1)[3],
        "of some": torch.arange(4.0)[4:],
    }
    (tmp_path / "w.pth").write_bytes(torch_bytes(content, kind))
    assert same(read_content(tmp_path / "w.pth"), torch.load(tmp_path / "w.pth", weights_only=True))


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_numbers_begin_where_torch_may_read_them_wherever_the_file_has_them(tmp_path: Path, kind: str) -> None:
    """A complex number of 16 bytes at an address of 8 more than a multiple of 16 ended the process."""
    content = {"w": torch.arange(9.0).to(torch.complex128)[1:], "v": torch.arange(5.0)}
    for pad in range(0, 70, 3):
        raw = torch_bytes({"x" * pad: pad, **content}, kind)
        if kind == "zip":  # torch aligns its entries; other programs that pack an archive anew do not
            with zipfile.ZipFile(io.BytesIO(raw)) as old, zipfile.ZipFile(tmp_path / "w.pth", "w") as new:
                for name in old.namelist():
                    new.writestr(name, old.read(name))
        else:
            (tmp_path / "w.pth").write_bytes(raw)
        found: Any = read_content(tmp_path / "w.pth")
        assert all(found[name].untyped_storage().data_ptr() % 16 == 0 for name in content)
        assert same({name: found[name] for name in content}, content)


@pytest.mark.parametrize("dtype", LATE_DTYPES)
def test_late_dtypes(tmp_path: Path, dtype: torch.dtype) -> None:
    torch.save({"w": torch.arange(16, dtype=torch.uint8).view(dtype)}, tmp_path / "w.pth")
    assert same(read_content(tmp_path / "w.pth"), torch.load(tmp_path / "w.pth", weights_only=True))


@pytest.mark.parametrize("kind", KINDS)
def test_plain_containers_and_numpy(tmp_path: Path, kind: tuple[str, int]) -> None:
    content = {
        "ordered": OrderedDict(a=1),
        "default": defaultdict(list, x=[1]),
        "queue": deque([1, 2], maxlen=5),
        "counter": Counter("aab"),
        "set": {1, 2, "x"},
        "frozen": frozenset({"y"}),
        "complex": 1 + 2j,
        "bytes": b"\x00\xff\x80",
        "array": np.arange(6.0).reshape(2, 3).T,
        "big endian": np.arange(3, dtype=">i4"),
        "nothing": np.zeros((0, 3), np.float16),
        "scalar": np.float64(0.25),
        "truth": np.bool_(True),
        "text": np.array(["ab", "c"]),
        "size": torch.Size([2, 3]),
        "device": torch.device("cuda:1"),
        "state_dict": WEIGHTS,
    }
    (tmp_path / "w.pth").write_bytes(torch_bytes(content, *kind))
    found = dict(read_content(tmp_path / "w.pth"))
    assert found.pop("device") == "cuda:1"
    assert found.pop("set") == {1, 2, "x"}
    assert found.pop("frozen") == {"y"}
    del content["device"], content["set"], content["frozen"]
    plain = {name: dict(value) if isinstance(value, dict) else value for name, value in content.items()}
    plain["queue"] = [1, 2]
    assert same(found, plain)
    assert all(value.flags.writeable for value in found.values() if isinstance(value, np.ndarray))


def test_shared_arrays_stay_one(tmp_path: Path) -> None:
    array = np.arange(3)
    (tmp_path / "w.pkl").write_bytes(pickle.dumps({"a": array, "b": [array], "w": np.ones(2)}))
    found: Any = read_content(tmp_path / "w.pkl")
    assert found["a"] is found["b"][0]


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_pickles_of_arrays_and_of_tensors(tmp_path: Path, protocol: int) -> None:
    content = {"model": {"a.weight": np.arange(4, dtype=np.float32), "b": WEIGHTS["conv.weight"].T}, "step": 7}
    (tmp_path / "w.pkl").write_bytes(pickle.dumps(content, protocol=protocol))
    found = read(tmp_path / "w.pkl")
    assert found.format == "pickle"
    assert same(found.content, content)


def test_files_of_python_2(tmp_path: Path) -> None:
    """As Python 2 writes a dict of one float32 array in protocol 2 and 0: the bytes of the array are text there."""
    raw = np.array([1.0, -2.5], "<f4").tobytes()
    binary = (
        b"\x80\x02}q\x00U\x01wcnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b\x87R"
        b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89U\x08" + raw + b"tbs."
    )
    quoted = "".join(f"\\x{byte:02x}" for byte in raw).encode()
    text = (
        b"(dp0\nS'w'\np1\ncnumpy.core.multiarray\n_reconstruct\np2\n(cnumpy\nndarray\np3\n(I0\ntp4\nS'b'\np5\ntp6\nRp7\n"
        b"(I1\n(I2\ntp8\ncnumpy\ndtype\np9\n(S'f4'\np10\nI0\nI1\ntp11\nRp12\n(I3\nS'<'\np13\nNNNI-1\nI-1\nI0\ntp14\nb"
        b"I00\nS'" + quoted + b"'\np15\ntp16\nbs."
    )
    for content in (binary, text):
        (tmp_path / "w.pkl").write_bytes(content)
        found: Any = read_content(tmp_path / "w.pkl")
        assert found["w"].tolist() == [1.0, -2.5]
    names = torch_bytes(OrderedDict(WEIGHTS), "legacy").replace(b"X\x0b\x00\x00\x00conv.weight", b"U\x0bconv.weight")
    (tmp_path / "w.pth").write_bytes(names)
    assert same(read_content(tmp_path / "w.pth"), WEIGHTS)


def test_legacy_views_of_a_storage(tmp_path: Path) -> None:
    """As torch 0.4 wrote a part of a storage: the persistent id has the part's key, beginning and length."""
    raw = torch_bytes({"w": torch.arange(4.0)}, "legacy")
    at = raw.index(b"K\x04N")  # the storage's length, and no view
    (tmp_path / "w.pth").write_bytes(raw[:at] + b"K\x04(X\x01\x00\x00\x00vK\x01K\x03t" + raw[at + 3 :])
    with pytest.raises(IntegrityError, match="reaches beyond its storage"):
        read_content(tmp_path / "w.pth")
    sized = raw.replace(b"K\x00K\x04\x85", b"K\x00K\x03\x85")
    at = sized.index(b"K\x04N")
    (tmp_path / "w.pth").write_bytes(sized[:at] + b"K\x04(X\x01\x00\x00\x00vK\x01K\x03t" + sized[at + 3 :])
    found: Any = read_content(tmp_path / "w.pth")
    assert found["w"].tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("compressed", [False, True])
def test_other_byte_order_and_compression(tmp_path: Path, compressed: bool) -> None:
    torch.save({"w": torch.tensor([1.0, 2.0]), "c": torch.tensor([1 + 2j]), "n": torch.tensor([3])}, tmp_path / "w.pth")
    with zipfile.ZipFile(tmp_path / "w.pth") as file:
        parts = {name.partition("/")[2]: file.read(name) for name in file.namelist()}
    storages = {name[5:]: content for name, content in parts.items() if name.startswith("data/")}
    swapped = {
        key: np.frombuffer(content, dtype).byteswap().tobytes()
        for (key, content), dtype in zip(sorted(storages.items()), ("f4", "f4", "i8"), strict=True)
    }
    for order, numbers in (("little", storages), ("big", swapped)):
        path = archive(tmp_path / f"{order}.pth", parts["data.pkl"], numbers, order=order, compressed=compressed)
        assert same(read_content(path), torch.load(tmp_path / "w.pth", weights_only=True))
    with pytest.raises(IntegrityError, match="byte order"):
        read_content(archive(tmp_path / "x.pth", parts["data.pkl"], storages, order="middle"))


def test_files_without_checksums(tmp_path: Path) -> None:
    try:
        torch.serialization.set_crc32_options(False)
        torch.save(WEIGHTS, tmp_path / "w.pth")
    finally:
        torch.serialization.set_crc32_options(True)
    assert same(read_content(tmp_path / "w.pth"), WEIGHTS)


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_the_file_stays_as_it_is(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(torch_bytes({"w": torch.zeros(1000)}, kind))
    before = path.read_bytes()
    found: Any = read_content(path)
    found["w"].add_(1)
    assert path.read_bytes() == before


def test_kinds_of_tensors_that_are_not_read_are_named(tmp_path: Path) -> None:
    torch.save(
        {
            "quantised": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8),
            "sparse": torch.eye(3).to_sparse(),
            "meta": torch.empty(2, device="meta"),
            "w": torch.ones(2),
        },
        tmp_path / "w.pth",
    )
    found: Any = read_content(tmp_path / "w.pth")
    assert [found[name].is_tensor for name in ("quantised", "sparse", "meta")] == [True, True, True]
    assert found["w"].tolist() == [1.0, 1.0]
    assert str(found["sparse"]) == "torch._utils._rebuild_sparse_tensor"
