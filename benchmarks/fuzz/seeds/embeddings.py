"""Features files, shards and stores."""

from __future__ import annotations

import io
import struct
import tempfile
import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from scipy.io import savemat

from benchmarks.fuzz.seeds.trees import deflated
from benchmarks.fuzz.target import packed
from sysu30k_bench.embeddings.shard import Shard, encode_shard

ROWS = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
KEYS = np.array([f"query/{number}.jpg" for number in range(6)])
NAMES = [f"{role}_{what}" for role in ("query", "gallery") for what in ("f", "label", "cam")]
MAT = {name: ROWS if name.endswith("_f") else np.ones(6) for name in NAMES}


def hdf5(**data: object) -> bytes:
    """An HDF5 file in memory."""
    made = io.BytesIO()
    with h5py.File(made, "w") as file:
        for name, value in data.items():
            if isinstance(value, dict):
                file.create_dataset(name, **value)
            else:
                file[name] = value
    return made.getvalue()


def _files() -> dict[str, bytes]:
    virtual = h5py.VirtualLayout((6, 4), "f4")
    virtual[:] = h5py.VirtualSource("/etc/passwd", "x", (6, 4))
    keys = KEYS.astype("S")
    made = io.BytesIO()
    with h5py.File(made, "w") as file:
        file.create_virtual_dataset("embedding", virtual)
        file["key"] = keys
    long = np.array([b"x" * 20_000], object)
    outside = {"shape": (6, 4), "dtype": "f4", "external": [("../secret.txt", 0, h5py.h5f.UNLIMITED)]}
    return {
        "valid": hdf5(embedding=ROWS, key=keys),
        "texts": hdf5(embedding=ROWS, key=KEYS.astype(object)),
        "gzip": hdf5(embedding={"data": ROWS, "compression": "gzip", "chunks": (2, 4)}, key=keys),
        "shuffled": hdf5(embedding={"data": ROWS, "compression": "lzf", "shuffle": True, "fletcher32": True}, key=keys),
        "link": hdf5(embedding=h5py.SoftLink("/other"), other=ROWS, key=keys),
        "external-link": hdf5(embedding=h5py.ExternalLink("../secret.txt", "/x"), key=keys),
        "external": hdf5(embedding=outside, key=keys),
        "virtual": made.getvalue(),
        "huge": hdf5(embedding={"shape": (1 << 40, 1 << 20), "dtype": "f4", "chunks": (1, 4)}, key=keys),
        "compound": hdf5(embedding=np.zeros(6, [("a", "f4"), ("b", "O")][:1]), key=keys),
        "reference": hdf5(embedding=ROWS, key={"data": long, "dtype": h5py.string_dtype()}),
        "scalar": hdf5(embedding=np.float32(1), key=keys),
        "control": hdf5(embedding=ROWS, **{"\x1b[2J": ROWS}),
    }


def _written(name: str, write: object) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write(path)  # type: ignore[operator]
        return path.read_bytes()


def _npy(array: np.ndarray) -> bytes:
    made = io.BytesIO()
    np.save(made, array, allow_pickle=True)
    return made.getvalue()


def _header(text: bytes, *, version: int = 1) -> bytes:
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(text)) + text


def _npz(**members: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in members.items():
            archive.writestr(f"{name}.npy", body)
    return made.getvalue()


LIES = {
    "shape": _header(b"{'descr':'<f4','fortran_order':False,'shape':(1099511627776,1048576)}\n") + b"\0" * 96,
    "negative": _header(b"{'descr':'<f4','fortran_order':False,'shape':(-1,4)}\n"),
    "overflow": _header(b"{'descr':'<f4','fortran_order':False,'shape':(4294967296,4294967296)}\n"),
    "code": _header(b"{'descr':__import__('fuzz_canary'),'fortran_order':False,'shape':(6,4)}\n"),
    "deep": _header(b"{'descr':" + b"(" * 5000 + b"\n"),
    "long": b"\x93NUMPY\x02\0\xff\xff\xff\xff" + b" " * 100,
    "fields": _header(b"{'descr':[('a','<f4',(1000000,1000000))],'fortran_order':False,'shape':(6,)}\n"),
    "empty": _header(b"{'descr':'|S0','fortran_order':False,'shape':(1099511627776,)}\n"),
    "object": _npy(np.array([{"a": 1}], object)),
}


def _mats() -> dict[str, bytes]:
    plain = _written("a.mat", lambda path: savemat(path, MAT))
    small = _written("a.mat", lambda path: savemat(path, MAT, do_compression=True))
    turned = {name: np.atleast_2d(value).T.astype("f4") for name, value in MAT.items()}
    v73 = _written("a.mat", lambda path: path.write_bytes(hdf5(**turned)))
    bomb = b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IX" + struct.pack("<II", 15, len(deflated(1 << 20)) + 6)
    return {
        "v5": plain,
        "v5-packed": small,
        "v4": _written("a.mat", lambda path: savemat(path, MAT, format="4")),
        "v7.3": v73,
        "cells": _written("a.mat", lambda path: savemat(path, MAT | {"query_f": np.array([["a", {"b": 1}]], object)})),
        "between": bomb + zlib.compress(struct.pack("<II", 14, 1 << 30) + b"\0" * (1 << 24), 9),
        "between-plain": plain[:126] + b"IX" + plain[128:],
        "v4-lies": struct.pack("<5I", 0, 1 << 30, 1 << 30, 0, 8) + b"query_f\0",
        "v4-name": struct.pack("<5I", 0, 1, 1, 0, 0xFFFFFFF0) + b"query_f\0",
    }


def _parquets() -> dict[str, bytes]:
    table = pd.DataFrame({"key": KEYS, "embedding": list(ROWS)})
    same = pd.DataFrame({"key": ["x" * 100_000] * 20_000, "embedding": [[1.0]] * 20_000})
    return {
        "valid": _written("a.parquet", lambda path: table.to_parquet(path)),
        "gzip": _written("a.parquet", lambda path: table.to_parquet(path, compression="gzip")),
        "one-long-key": _written("a.parquet", lambda path: same.to_parquet(path, compression=None)),
        "nulls": _written("a.parquet", lambda path: table.assign(embedding=[None, *ROWS[1:]]).to_parquet(path)),
        "texts": _written("a.parquet", lambda path: table.assign(embedding="x").to_parquet(path)),
        "nested": _written("a.parquet", lambda path: table.assign(embedding=[[[1.0]]] * 6).to_parquet(path)),
    }


def make() -> dict[str, dict[str, bytes]]:
    """Returns seeds by target and name."""
    shard = Shard(0, 6, ROWS, list(KEYS), np.arange(6), np.ones(6, np.int64), {}, "")
    table = b"key\n" + "\n".join(KEYS).encode() + b"\n"
    npys = {"valid": _npy(ROWS), "columns": _npy(np.asfortranarray(ROWS))} | LIES
    npzs = {
        "valid": _npz(embedding=_npy(ROWS), key=_npy(KEYS)),
        "columns": _npz(embedding=npys["columns"], key=_npy(KEYS)),
    }
    npzs |= {name: _npz(embedding=body, key=_npy(KEYS)) for name, body in LIES.items()}
    npzs["keys"] = _npz(embedding=_npy(ROWS), key=LIES["empty"])
    npzs["objects"] = _npz(embedding=_npy(ROWS), key=LIES["object"])
    return {
        "hdf5": _files(),
        "mat": _mats(),
        "npz": npzs,
        "npy": {name: packed({"features.npy": body, "features.csv": table}) for name, body in npys.items()},
        "parquet": _parquets(),
        "shard": {"valid": bytes(encode_shard(shard, "0" * 64)), "other": _files()["valid"]},
        "keys": {"valid": table, "semicolon": table.replace(b"key", b"a;key").replace(b"query", b"1;query"),
                 "said": b"sep=;\n" + table, "wide": b"key" + b",x" * 20_000 + b"\n", "quotes": b'key\n"' + b"x" * 9999,
                 "nul": b"key\n\0\n", "control": b"\x1b[2J,b\n1,2\n"},
    }  # fmt: skip
