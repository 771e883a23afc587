"""One HDF5 shard: rows of embeddings with their labels, a digest of all of it, and no way out of the file."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

import h5py
import numpy as np
import xxhash

from sysu30k_bench.errors import IntegrityError

FORMAT_VERSION = 2
_MAX_KEY_BYTES = 4096
_MAX_ATTRIBUTE_BYTES = 256
_INTEGER_COLUMNS = ("person_id", "camera_id")


class _Digest(Protocol):
    def update(self, data: bytes | memoryview, /) -> None: ...

    def hexdigest(self) -> str: ...


@dataclass(frozen=True)
class Shard:
    """Some consecutive rows of a split, embedded.

    Attributes:
        first: Position in the split of the first row that the shard covers.
        span: How many rows of the split it covers, damaged ones included.
        embedding: (n, D) float32 or float16.
        key: n keys.
        person_id: (n,) int64.
        camera_id: (n,) int64.
        damaged: Keys of covered rows that could not be decoded and have no embedding, each with the reason.
        images: Digest of the images that the rows were made of (see `data.probe`).
    """

    first: int
    span: int
    embedding: np.ndarray
    key: list[str]
    person_id: np.ndarray
    camera_id: np.ndarray
    damaged: dict[str, str] = field(default_factory=dict)
    images: str = ""

    @cached_property
    def content_digest(self) -> str:
        """SHA-256 over place, shape, type, numbers, keys and labels, in hex."""
        return self._over_all(hashlib.sha256())

    @cached_property
    def checksum(self) -> str:
        """XXH3-128 over the same, in hex: finds damage at the speed of memory, where SHA-256 would hold up a search."""
        return self._over_all(xxhash.xxh3_128())

    def _over_all(self, digest: _Digest) -> str:
        shape = [self.first, self.span, *self.embedding.shape, str(self.embedding.dtype)]
        digest.update(json.dumps([shape, self.key, self.damaged, self.images]).encode())
        for column in (self.embedding, self.person_id, self.camera_id):
            digest.update(np.ascontiguousarray(column).data)
        return digest.hexdigest()


@dataclass(frozen=True)
class Labels:
    """Keys and labels of rows, without their embeddings.

    Attributes:
        key: N keys, in order.
        person_id: (N,) int64.
        camera_id: (N,) int64.
        damaged: Keys of the images that have no embedding, each with the reason.
    """

    key: list[str]
    person_id: np.ndarray
    camera_id: np.ndarray
    damaged: dict[str, str]


def shard_name(index: int) -> str:
    """Returns the file name of a store's shard number `index`."""
    return f"shard-{index:05d}.h5"


def encode_shard(shard: Shard, identity: str) -> bytes:
    """Returns the bytes of a shard's HDF5 file; equal shards give equal bytes.

    The file is made in memory, so that a full disk is met by a plain write. Data sets are contiguous and unfiltered:
    that is what reads at the speed of the disk, and the digest does what a filter's checksum would.

    Args:
        shard: The rows.
        identity: Digest of the store's identity.
    """
    encoded = [key.encode("utf-8") for key in shard.key]
    width = max((len(key) for key in encoded), default=1)
    image = io.BytesIO()  # HDF5's own files in memory have a wrong checksum up to h5py 3.15
    with h5py.File(image, "w", libver="latest") as file:
        file.create_dataset("embedding", data=shard.embedding)
        file.create_dataset("key", data=np.array(encoded, f"S{width}").astype(h5py.string_dtype("utf-8", width)))
        file.create_dataset("person_id", data=shard.person_id.astype(np.int64))
        file.create_dataset("camera_id", data=shard.camera_id.astype(np.int64))
        file.create_dataset("damaged", data=np.frombuffer(json.dumps(shard.damaged).encode(), np.uint8))
        file.attrs["format_version"] = FORMAT_VERSION
        # fixed-length strings: those of variable length lie in a heap, on which damage can make HDF5 loop for ever
        file.attrs["identity"] = np.bytes_(identity)
        file.attrs["first"] = shard.first
        file.attrs["span"] = shard.span
        file.attrs["images"] = np.bytes_(shard.images or "-")
        file.attrs["content_sha256"] = np.bytes_(shard.content_digest)
        file.attrs["checksum"] = np.bytes_(shard.checksum)
    return image.getvalue()


def read_shard(
    path: Path, *, identity: str | None = None, content: str | None = None, into: np.ndarray | None = None
) -> Shard:
    """Reads a shard, checks its content, and refuses anything that a shard of this package would not have.

    The file is treated as hostile: links, external storage, virtual data sets, filters and shapes that the file does
    not really hold are refused before a byte of data is read.

    Args:
        path: The file.
        identity: Digest of the store's identity that the shard must carry, where known.
        content: The SHA-256 that a manifest lists. The shard must carry it, and its content is then compared with the
            fast checksum; where None, with the SHA-256 itself.
        into: Memory (n or more, D) of the stored type that the embeddings may be read into.

    Returns:
        The rows.

    Raises:
        IntegrityError: The file is damaged, truncated, hostile, or of another store.
    """
    with _opened(path) as file:
        shard = _read_checked(file, path, identity, into)
        stored, checksum = _text(file, "content_sha256"), _text(file, "checksum")
    if content is not None and content != stored:
        raise IntegrityError(f"{path} is not the shard that the manifest lists", hint=_REMEDY)
    if shard.content_digest != stored if content is None else shard.checksum != checksum:
        raise IntegrityError(f"{path} was changed or damaged: its content does not fit its digest", hint=_REMEDY)
    return shard


def read_labels(path: Path, rows: int, damaged: int) -> Labels:
    """Reads a shard's labels and leaves its embeddings alone; the digest is checked when those are read.

    Args:
        path: The file.
        rows: Rows that it must have.
        damaged: Damaged images that it must name.

    Raises:
        IntegrityError: The file is damaged, hostile, or has other rows.
    """
    with _opened(path) as file:
        labels = _read_labels(file, path)
    if (len(labels.key), len(labels.damaged)) != (rows, damaged):
        raise IntegrityError(f"{path} has {len(labels.key)} rows where {rows} were written", hint=_REMEDY)
    return labels


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    try:
        with h5py.File(path, "r") as file:
            version = _integer(file, "format_version")
            if version != FORMAT_VERSION:
                raise IntegrityError(f"{path} has shard format {version}; this version reads {FORMAT_VERSION}")
            yield file
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise IntegrityError(f"{path} is damaged or no shard: {error}", hint=_REMEDY) from error


_REMEDY = "run `eval` or `export` again: only this shard is computed again"


def _read_checked(file: h5py.File, path: Path, identity: str | None, into: np.ndarray | None) -> Shard:
    if identity is not None and _text(file, "identity") != identity:
        raise IntegrityError(f"{path} belongs to another store", hint=_REMEDY)
    embedding = _plain_dataset(file, path, "embedding", ("float32", "float16"), dims=2)
    labels = _read_labels(file, path)
    if len(labels.key) != embedding.shape[0]:
        raise IntegrityError(f"{path}: its columns have different lengths", hint=_REMEDY)
    return Shard(
        first=_integer(file, "first"),
        span=_integer(file, "span"),
        embedding=_read(embedding, into),
        key=labels.key,
        person_id=labels.person_id,
        camera_id=labels.camera_id,
        damaged=labels.damaged,
        images=_text(file, "images").removeprefix("-"),
    )


def _read(dataset: h5py.Dataset, into: np.ndarray | None) -> np.ndarray:
    rows, width = dataset.shape
    fits = into is not None and into.dtype == dataset.dtype and into.shape[1] == width and into.shape[0] >= rows > 0
    if into is None or not fits:
        whole: np.ndarray = dataset[:]
        return whole
    dataset.read_direct(into[:rows])
    return into[:rows]


def _read_labels(file: h5py.File, path: Path) -> Labels:
    key = _plain_dataset(file, path, "key", None)
    if key.dtype.kind != "S" or key.dtype.itemsize > _MAX_KEY_BYTES:
        raise IntegrityError(f"{path}: `key` is not a data set of short strings")
    person, camera = (_plain_dataset(file, path, name, ("int64",)) for name in _INTEGER_COLUMNS)
    damaged = _plain_dataset(file, path, "damaged", ("uint8",))
    if len({len(key), len(person), len(camera)}) != 1:
        raise IntegrityError(f"{path}: its columns have different lengths", hint=_REMEDY)
    keys = [raw.decode("utf-8") for raw in key[:].tolist()]
    return Labels(keys, person[:], camera[:], _damaged(damaged[:].tobytes(), path))


def _integer(file: h5py.File, name: str) -> int:
    attribute = h5py.h5a.open(file.id, name.encode())
    if attribute.dtype.kind not in "iu" or attribute.shape != ():
        raise ValueError(f"attribute {name} is not a whole number")
    return int(file.attrs[name])


def _text(file: h5py.File, name: str) -> str:
    attribute = h5py.h5a.open(file.id, name.encode())
    if attribute.dtype.kind != "S" or attribute.shape != () or attribute.dtype.itemsize > _MAX_ATTRIBUTE_BYTES:
        raise ValueError(f"attribute {name} is not a short string of fixed length")
    return bytes(file.attrs[name]).decode("ascii")


def _damaged(raw: bytes, path: Path) -> dict[str, str]:
    value = json.loads(raw)
    if not isinstance(value, dict) or not all(isinstance(reason, str) for reason in value.values()):
        raise IntegrityError(f"{path}: `damaged` is not a table of keys and reasons")
    return value


def _plain_dataset(
    file: h5py.File, path: Path, name: str, dtypes: tuple[str, ...] | None, dims: int = 1
) -> h5py.Dataset:
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise IntegrityError(f"{path}: `{name}` is missing or a link; links are refused")
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset) or dataset.is_virtual or dataset.external or dataset.chunks is not None:
        raise IntegrityError(f"{path}: `{name}` is not stored plainly in this file")
    if dataset.ndim != dims or (dtypes is not None and str(dataset.dtype) not in dtypes):
        raise IntegrityError(f"{path}: `{name}` has type {dataset.dtype} and shape {dataset.shape}")
    if dataset.id.get_storage_size() != dataset.size * dataset.dtype.itemsize or dataset.nbytes > path.stat().st_size:
        raise IntegrityError(f"{path}: `{name}` claims more data than the file holds")
    return dataset
