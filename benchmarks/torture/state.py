"""What a command left, without what may differ between two runs of the same command."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import xxhash

OF_THE_MOMENT = {
    "created": "when the record was written",
    "seconds": "how long the last process worked",
    "embed_seconds": "the same",
    "search_seconds": "the same",
    "images_per_second": "its speed",
    "samples_per_second": "its speed",
    "peak_memory_bytes": "its memory",
    "images_embedded": "how many images were left for the last process",
    "sha256": "of the document that contains these; at its top, or in a record",
}
"""The keys of JSON documents, and the columns of tables, that may differ."""
OF_A_CHECKPOINT = {"weights_sha256", "stores"}
"""The keys that a validation in a training also has: digests of a checkpoint's file, which contains speeds."""
NO_NUMBERS = {"warnings", "not_official_because", "title", "paper", "licence"}
"""The keys by which a record says that something is unusual, and what a card's network is called; its numbers are
elsewhere."""
PASSED_OVER = re.compile(r"(^|/)(.*\.lock|events\.out\.tfevents\..*|validation/.*/embeddings/.*)$")
"""Locks, which are empty and remain; TensorBoard's log, whose name contains the time and the host; embeddings of a
validation in a training, which contain the digest of the checkpoint's file: the rankings from them are compared."""
_SEALED_BY = len(b"sysu30k-bench index xxh3-128 ") + 32
"""What stands behind an index: its own digest."""
_IN_CACHE = re.compile(r"^\.cache/sysu30k-bench/(.*\.tar)-[0-9a-f]{16}(?=\.index\.sqlite$)")
"""A tar's index lies in the user's cache where the tar's folder cannot be written: the same index."""
_TIMES = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\+00:00|Z| UTC)?)?|\d+(\.\d+)? (s|ms|images/s|images a second)\b"
)


def canonical(name: str, content: bytes, *, warnings: bool = True) -> bytes:
    """Returns a file's content without what may differ, and without its warnings where they are not wanted."""
    try:
        if name.endswith(".json"):
            more = OF_A_CHECKPOINT if "/validation/" in name else set()
            more = more | (set() if warnings else NO_NUMBERS)
            return json.dumps(_without(json.loads(content), more), sort_keys=True).encode()
        if name.endswith(".pt"):
            return _checkpoint(content)
        if name.endswith(".index.sqlite"):
            return _index(content)
        if name.endswith("epochs.csv"):
            rows = list(csv.DictReader(io.StringIO(content.decode())))
            return json.dumps(_without(rows), sort_keys=True).encode()
    except Exception:  # noqa: BLE001  a damaged file, whatever json, csv or torch say of it
        return content
    return content


def canonical_text(text: str) -> str:
    """Returns what a command printed without what may differ."""
    try:
        return json.dumps(_without(json.loads(text)), sort_keys=True)
    except ValueError:
        return _TIMES.sub("#", text)


def _without(value: object, more: set[str] | None = None, *, top: bool = True) -> object:
    if isinstance(value, dict):
        dropped = (OF_THE_MOMENT.keys() | (more or set())) - (set() if top or "schema_version" in value else {"sha256"})
        return {key: _without(one, more, top=False) for key, one in value.items() if key not in dropped}
    return [_without(one, more, top=False) for one in value] if isinstance(value, list) else value


def _index(content: bytes) -> bytes:
    """A tar's index: its rows. Bytes that SQLite does not use may differ, for no reader sees them."""
    body, seal = content[:-_SEALED_BY], content[-_SEALED_BY:]
    if not seal.endswith(xxhash.xxh3_128_hexdigest(body).encode()):
        return content
    with closing(sqlite3.connect(":memory:")) as index:
        index.deserialize(body)
        return "\n".join(index.iterdump()).encode()


def _checkpoint(content: bytes) -> bytes:
    """A training's checkpoint: every tensor, and its history without speeds."""
    import torch

    values = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    digest = hashlib.sha256()

    def add(value: object) -> None:
        if isinstance(value, dict):
            for key, one in value.items():
                digest.update(repr(key).encode())
                add(one)
        elif isinstance(value, torch.Tensor):
            digest.update(f"{value.dtype}{tuple(value.shape)}".encode())
            digest.update(value.numpy().tobytes())
        elif isinstance(value, str) and value.startswith("{"):
            digest.update(json.dumps(_without(json.loads(value)), sort_keys=True).encode())
        else:
            digest.update(repr(value).encode())

    add(values)
    return digest.hexdigest().encode()


def snapshot(folder: Path, *, warnings: bool = True) -> dict[str, str]:
    """Returns the digest of every file below a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = _IN_CACHE.sub(r".\1", str(path.relative_to(folder)))
        if path.is_file() and not PASSED_OVER.search(name):
            found[name] = hashlib.sha256(canonical(name, path.read_bytes(), warnings=warnings)).hexdigest()
    return found


def differences(wanted: dict[str, str], found: dict[str, str]) -> list[str]:
    """Returns a line for every file that is missing, left over or different."""
    lines = [f"missing: {name}" for name in sorted(wanted.keys() - found.keys())]
    lines += [f"left over: {name}" for name in sorted(found.keys() - wanted.keys())]
    return lines + [f"differs: {name}" for name in sorted(wanted.keys() & found.keys()) if wanted[name] != found[name]]


def reset(work: Path, base: Path) -> None:
    """Makes the working folder what it was before the command; times of change are kept."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(base, work, symlinks=True)
