"""Checkpoints: what torch, pickle and safetensors write, and pickles by hand."""

# ruff: noqa: E501  data: one file of a stranger a line

from __future__ import annotations

import gzip
import io
import pickle
import struct
import zipfile
from collections import OrderedDict

import numpy as np
import torch
from safetensors.torch import save

from benchmarks.fuzz.seeds.trees import tars
from benchmarks.fuzz.target import packed

STATE = OrderedDict(
    {"module.conv1.weight": torch.arange(54, dtype=torch.float32).reshape(2, 3, 3, 3), "fc.bias": torch.zeros(3).half()}
)
NESTED = {"state_dict": STATE, "epoch": 3, "arch": "resnet50", "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}}}
_TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpu"


def _saved(content: object, *, new: bool) -> bytes:
    made = io.BytesIO()
    torch.save(content, made, _use_new_zipfile_serialization=new)
    return made.getvalue()


def _zip(data: bytes, **more: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("m/data.pkl", data)
        archive.writestr("m/data/0", struct.pack("<8f", *range(8)))
        archive.writestr("m/version", b"3\n")
        for name, body in more.items():
            archive.writestr(f"m/{name}", body)
    return made.getvalue()


def _tensor(count: bytes, offset: bytes, size: bytes, stride: bytes) -> bytes:
    return b"\x80\x02}X\x01\0\0\0a" + _TENSOR + count + b"tQ" + offset + size + stride + b"\x89NtRs."


def _twice(name: str) -> bytes:
    content = bytearray(_zip(_tensor(b"K\x08", b"K\0", b"K\x08\x85", b"K\x01\x85"), xata=b"x"))
    return bytes(content).replace(b"m/xata", f"m/{name}".encode())


def _laughs(depth: int) -> bytes:
    """Each list holds the one before it ten times."""
    steps = b"".join(b"(" + b"h%c" % (number & 0xFF) * 10 + b"lq%c" % (number + 1) for number in range(depth))
    return b"\x80\x02]q\0" + steps + b"."


HUGE = b"\x8a\x09\0\0\0\0\0\0\0\x80\0"
PICKLES = {
    "os-system": b"cos\nsystem\n(X\x05\0\0\0touchtR.",
    "exec": b"\x80\x04\x8c\x08builtins\x8c\x04exec\x93\x8c\x10import fuzz_canary\x85R.",
    "canary": b"\x80\x02}X\x01\0\0\0acfuzz_canary\nboom\n)Rs.",
    "inst": b"(X\x01\0\0\0aifuzz_canary\nboom\n.",
    "laughs": _laughs(60),
    "itself": b"\x80\x02]q\0h\0a.",
    "deep": b"\x80\x02" + b"(" * 5000 + b"t" * 5000 + b".",
    "deep-tuples": b"\x80\x02N" + b"\x85" * 50_000 + b".",
    "big-long": b"\x80\x02\x8b\xff\xff\xff\x7f\x01.",
    "big-bytes": b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
    "big-text": b"\x80\x02X\xff\xff\xff\xffabc.",
    "many-digits": b"L" + b"9" * 40_000 + b"L\n.",
    "memo": b"\x80\x02]r\xff\xff\xff\xffj\xff\xff\xff\xff0.",
    "empty-of-nothing": b"\x80\x03}X\x01\0\0\0acnumpy._core.numeric\n_frombuffer\n(C\0cnumpy\ndtype\n(X\x02\0\0\0S0tR"
    b"\x8a\x05\0\0\0\0\x02\x85X\x01\0\0\0CtRs.",
    "empty-of-much": b"\x80\x03}X\x01\0\0\0acnumpy._core.numeric\n_frombuffer\n(C\0cnumpy\ndtype\n(X\x02\0\0\0f8tR"
    b"\x8a\x05\0\0\0\0\x02K\0\x86X\x01\0\0\0CtRs.",
    "escape": b"\x80\x02}X\x0b\0\0\0\x1b]0;x\x07\x1b[2Jcos\nsystem\n)Rs.",
    "escape-class": b"\x80\x02cos\n\x1b[2Jsystem\n)R.",
    "getattr": b"cbuiltins\ngetattr\n(cos\nsystem\nX\x01\0\0\0atRX\x02\0\0\0id\x85R.",
    "setstate": b"ccollections\nOrderedDict\n)R(X\x01\0\0\0aK\x01db.",
}


def make() -> dict[str, dict[str, bytes]]:
    """Returns seeds by target and name."""
    unit = (b"K\x08", b"K\0", b"K\x08\x85", b"K\x01\x85")
    zips = {"state": _saved(STATE, new=True), "nested": _saved(NESTED, new=True), "by-hand": _zip(_tensor(*unit))}
    zips |= {
        "offset": _zip(_tensor(unit[0], HUGE, unit[2], unit[3])),
        "stride": _zip(_tensor(unit[0], unit[1], unit[2], HUGE + b"\x85")),
        "count": _zip(_tensor(HUGE, unit[1], unit[2], unit[3])),
        "repeated": _zip(_tensor(unit[0], unit[1], b"J\xff\xff\xff\x7f\x85", b"K\0\x85")),
        "byteorder": _zip(_tensor(*unit), byteorder=b"\x1b[2J"),
        "twice": _twice("data"),
        "tree": _zip(PICKLES["laughs"]),
        "torchscript": _zip(_tensor(*unit), **{"constants.pkl": b"\x80\x02).", "code/a.py": b"import fuzz_canary"}),
    }
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": [1.5, None, True, b"x", {"c": {1, 2}}]}
    pickles = {f"protocol-{number}": pickle.dumps(arrays, number) for number in range(6)} | PICKLES
    tensors = save({"a.weight": torch.ones(2, 3), "b": torch.zeros(0)})
    header = b'{"a":{"dtype":"F32","shape":[%s],"data_offsets":[%s]}}'
    lies = {
        "shape": header % (b"4294967296,4294967296", b"0,4"),
        "offsets": header % (b"1", b"4,0"),
        "far": header % (b"1", b"0,18446744073709551615"),
        "negative": header % (b"-1", b"0,4"),
        "none": b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[]}}',
        "list": b"[" * 3000 + b"]" * 3000,
        "control": header.replace(b'"a"', b'"\\u001b[2J\\n::error::x"') % (b"3", b"0,4"),
        "twice": b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
    }
    safe = {"valid": tensors} | {name: struct.pack("<Q", len(text)) + text + b"\0" * 4 for name, text in lies.items()}
    index = b'{"weight_map":{"a.weight":"%s","b":"m-1.safetensors"}}'
    shards = {
        "valid": {"m.safetensors.index.json": index % b"m-1.safetensors", "m-1.safetensors": tensors},
        "climbs": {"m.safetensors.index.json": index % b"../secret.txt", "m-1.safetensors": tensors},
        "itself": {"m.safetensors.index.json": index % b"m.safetensors.index.json", "m-1.safetensors": tensors},
        "not-json": {"m.safetensors.index.json": b"[" * 9999},
        "unpacked": {"data.pkl": b"x", "\x1b[2J.pth": b"x"},
    }  # fmt: skip
    foreign = {"onnx": b"\x08\x08\x12\x07pytorch" + b"\0" * 50, "html": b"<!doctype html>\x1b[2J", "text": b"\xff\xfeh\0i\0",
               "json": b'{"\\u001b[2J":1}', "plain": "\u202e\u0085 text".encode(), "lfs": b"version https://git-lfs.github.com/spec/v1\nsize 9",
               "zip": _zip(b"x").replace(b"data.pkl", b"dat\x1bpkl2"), "chain": tars()["chain"], "digits": tars()["digits"],
               "much": tars()["much-pax"], "back": tars()["back-1024"], "gzip": gzip.compress(tars()["much-name"], mtime=0),
               "directory": _zip(b"x").replace(b"PK\1\2", b"PK\1\3", 1)}  # fmt: skip
    return {
        "foreign": foreign,
        "torch_zip": zips,
        "torch_legacy": {"state": _saved(STATE, new=False), "nested": _saved(NESTED, new=False)},
        "pickle": pickles,
        "safetensors": safe,
        "shards": {name: packed(files) for name, files in shards.items()},
    }
