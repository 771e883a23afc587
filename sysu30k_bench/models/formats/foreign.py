"""Names the files that are no checkpoint, or hold one inside, for what they are."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import re
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from sysu30k_bench.data.trees.careful_tar import careful_tar
from sysu30k_bench.words import count

_SHOWN = 5
_MOST_LISTED = 10_000


@dataclass(frozen=True)
class Foreign:
    """What a file is.

    Attributes:
        what: Said after "FILE is".
        hint: What to do.
        details: What lies inside.
    """

    what: str
    hint: str
    details: tuple[str, ...] = ()


_CONVERT = "convert it with the program that wrote it to a torch state dict or to safetensors"
_AGAIN = "download the weights file itself"
_MAGIC: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras, Caffe2 or MATLAB 7.3 write it", _CONVERT),
    (0, b"\x93NUMPY", "a numpy array (.npy), without names", "give the file with the model's state dict"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it, and give the weights file inside"),
    (0, b"Rar!\x1a\x07", "a RAR archive", "unpack it, and give the weights file inside"),
    (0, b"\x28\xb5\x2f\xfd", "a file compressed by zstd", "unpack it (`zstd -d`)"),
    (0, b"\x04\x22\x4d\x18", "a file compressed by lz4", "unpack it (`lz4 -d`)"),
    (0, b"GGUF", "a GGUF file, as llama.cpp reads it", _CONVERT),
    (0, b"MATLAB 5.0 MAT-file", "a MATLAB file", _CONVERT),
    (4, b"TFL3", "a TensorFlow Lite model", _CONVERT),
    (0, b"ftrt", "a TensorRT engine", "give the checkpoint that it was built from"),
    (0, b"\x89PNG\r\n", "a PNG picture", _AGAIN),
    (0, b"\xff\xd8\xff", "a JPEG picture", _AGAIN),
    (0, b"%PDF-", "a PDF document", _AGAIN),
    (0, b"\x7fELF", "a program or library", _AGAIN),
    (0, b"SQLite format 3", "a SQLite database", _AGAIN),
    (0, b"PAR1", "a Parquet table", _AGAIN),
    (0, b"ARROW1", "an Arrow table", _AGAIN),
)
_TF_INDEX = bytes.fromhex("57fb808b247547db")
_SUFFIXES = {
    ".pb": "a TensorFlow graph",
    ".onnx": "an ONNX model, or a damaged one",
    ".tflite": "a TensorFlow Lite model",
    ".caffemodel": "a Caffe model",
    ".params": "an MXNet file of parameters",
    ".msgpack": "a Flax file of parameters",
    ".weights": "a Darknet file of weights",
    ".mlmodel": "a Core ML model",
    ".engine": "a TensorRT engine",
    ".h5": "a damaged HDF5 file",
}
_PARTIAL = (".part", ".crdownload", ".partial", ".download", ".tmp", ".aria2", ".incomplete")


def foreign(path: Path, head: bytes) -> Foreign | None:
    """Names a file that is not read here, by its content first and its suffix last.

    Args:
        path: The file.
        head: Its first bytes, 4096 or all of them.

    Returns:
        What it is; None where nothing fits.
    """
    found = _by_magic(path, head)
    if found is not None:
        return found
    text = _text(head)
    if text is not None:
        return _written(text)
    return _by_name(path, head)


def _by_magic(path: Path, head: bytes) -> Foreign | None:
    for offset, magic, what, hint in _MAGIC:
        if head[offset : offset + len(magic)] == magic:
            return Foreign(what, hint)
    if head[257:262] == b"ustar":
        return _tar(path)
    if head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00")):
        return _compressed(path, head)
    if head[:1] == b"\x08" and head[2:3] == b"\x12" and head[4:5].isalpha():
        return Foreign("an ONNX model", f"give it the suffix .onnx: {path.stem}.onnx")
    if _tail(path) == _TF_INDEX or re.search(r"\.data-\d{5}-of-\d{5}$", path.name):
        return Foreign("a part of a TensorFlow checkpoint", _CONVERT)
    return None


def _by_name(path: Path, head: bytes) -> Foreign | None:
    if path.suffix.lower() in _PARTIAL:
        return Foreign("a download that has not ended", "let it end, or start it again")
    if path.suffix.lower() in _SUFFIXES:
        return Foreign(_SUFFIXES[path.suffix.lower()], _CONVERT)
    if not head.strip(b"\0"):
        return Foreign("a file of zeros, as a broken download or a full disk leaves it", "download or copy it again")
    return None


def _tail(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 8))
        return file.read(8)


def _text(head: bytes) -> str | None:
    for encoding in ("utf-16",) if head.startswith((b"\xff\xfe", b"\xfe\xff")) else ("utf-8-sig",):
        for cut in range(4):  # the last letter may be cut in its middle
            try:
                text = head[: len(head) - cut].decode(encoding)
            except UnicodeDecodeError:
                continue
            strange = sum(letter < " " and letter not in "\t\r\n\f" for letter in text)
            return text if not strange else None
    return None


def _written(text: str) -> Foreign:
    start = text.lstrip()[:1000].lower()
    if start.startswith("version https://git-lfs.github.com/spec/"):
        size = re.search(r"size (\d+)", text)
        told = f" to a file of {int(size[1]):,} bytes" if size and len(size[1]) < 16 else ""
        return Foreign(f"a Git LFS pointer{told}, not the file itself", "run `git lfs pull` in its repository")
    if start.startswith(("<!doctype html", "<html", "<head")) or "<html" in start:
        return Foreign("a web page, not a weights file: the download returned HTML", _AGAIN)
    if start.startswith("<?xml") or (start.startswith("<") and start.rstrip().endswith(">")):
        return Foreign("an XML text", _AGAIN)
    if start.startswith(("{", "[")):
        return Foreign(f"a JSON text{_json_keys(text)}", _AGAIN)
    if start.startswith(("http://", "https://")):
        return Foreign("a text with an address", "download what the address leads to")
    if re.match(r"(---\s|[\w.-]+:(\s|$))", start):
        return Foreign("a YAML text, such as a configuration", _AGAIN)
    first = text.strip().splitlines()[0][:60] if text.strip() else ""
    return Foreign(f"a text file, which begins {first!r}", _AGAIN)


def _json_keys(text: str) -> str:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    keys = [str(key)[:30] for key in content][:_SHOWN] if isinstance(content, dict) else []
    return f" with {', '.join(keys)}" if keys else ""


def _tar(path: Path) -> Foreign:
    try:
        names: list[str] = []
        with path.open("rb") as file, careful_tar(file) as archive:
            while len(names) <= _MOST_LISTED and (member := archive.next()) is not None:
                names.append(member.name)
    except (tarfile.TarError, OSError, ValueError, EOFError):
        return Foreign("a tar archive that is cut off or damaged", "download it again, and unpack it")
    if {"sys_info", "pickle", "storages", "tensors"} <= set(names):
        return Foreign(
            "a checkpoint in torch's first format, the tar of version 0.1",
            "load it where you trust it (`torch.load(path, weights_only=False)`), and save its state dict again",
        )
    return archive_around("a tar archive", names)


def archive_around(kind: str, names: list[str]) -> Foreign:
    """Says what lies in an archive that is no checkpoint itself.

    Args:
        kind: The archive, as "a zip archive".
        names: Of its entries.
    """
    files = [name for name in names if name and not name.endswith("/") and "__MACOSX" not in name]
    weights = [
        name
        for name in files
        if re.search(r"\.(pth|pt|pkl|ckpt|safetensors|bin|th|t7|tar|onnx|npz|pyth)(-\d+)?$", name)
    ]
    shown = weights or files
    if not shown:
        return Foreign(f"{kind} with nothing in it", _AGAIN)
    few = ", ".join(name[-80:] for name in shown[:_SHOWN]) + (
        f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    )
    return Foreign(f"{kind} around other files; inside are {few}", "unpack it, and give one of the files inside")


def foreign_zip(entries: list[zipfile.ZipInfo]) -> Foreign:
    """Names a zip that is no torch archive."""
    names = [entry.filename for entry in entries]
    files = [name for name in names if not name.endswith("/")]
    if files and all(name.endswith(".npy") for name in files):
        return Foreign(
            f"a numpy archive (.npz) of {count(len(files), 'array')}",
            "convert it to a torch state dict by its project's own script",
            tuple(files[:_SHOWN]),
        )
    if "archive_format" in {name.rpartition("/")[2] for name in files}:
        return Foreign("a program of torch.export", "load it by torch.export")
    if any(re.search(r"(^|/)\.data/extern_modules$", name) for name in files):
        return Foreign("a torch.package archive", _CONVERT)
    if any(re.search(r"(^|/)code/.+\.py$", name) for name in files):
        return Foreign("a TorchScript archive of an old torch", _CONVERT)
    if "model.weights.h5" in files:
        return Foreign("a Keras model", _CONVERT)
    if any(name.startswith("MAR-INF/") for name in files):
        return Foreign("a TorchServe archive", "unpack it, and give the weights file inside")
    return archive_around("a zip archive", names)


def _compressed(path: Path, head: bytes) -> Foreign:
    kind, opener, command = (
        ("gzip", gzip.open, "gunzip")
        if head.startswith(b"\x1f\x8b")
        else ("bzip2", bz2.open, "bunzip2")
        if head.startswith(b"BZh")
        else ("xz", lzma.open, "unxz")
    )
    try:
        with opener(path, "rb") as file:
            inner = file.read(512)
    except (OSError, EOFError, lzma.LZMAError, ValueError):
        inner = b""
    if inner[257:262] == b"ustar":
        try:
            with tarfile.open(fileobj=io.BytesIO(inner), mode="r:") as archive:
                first = archive.next()
        except tarfile.TarError:
            first = None
        return Foreign(
            f"a tar archive compressed by {kind}" + (f"; inside is {first.name[-80:]}" if first else ""),
            f"unpack it (`tar xf {path.name}`), and give the weights file inside",
        )
    return Foreign(f"a file compressed by {kind}", f"unpack it (`{command} {path.name}`), and give what comes out")
