"""Reads a checkpoint of any kind without running anything that is in it, or says what else the file is."""

from __future__ import annotations

import gc
import re
import stat
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from sysu30k_bench.errors import BenchError, DataError, IntegrityError, UsageError
from sysu30k_bench.models.formats.faults import Damaged, Unusual
from sysu30k_bench.models.formats.foreign import Foreign, foreign, foreign_zip
from sysu30k_bench.models.formats.mapped import MappedFile
from sysu30k_bench.models.formats.pickles.extent import settle
from sysu30k_bench.models.formats.pickles.machine import PickleMachine
from sysu30k_bench.models.formats.pickles.standin import StandIn
from sysu30k_bench.models.formats.pickles.unfold import contents
from sysu30k_bench.models.formats.plain_pickle import read_pickle
from sysu30k_bench.models.formats.safetensors_file import is_safetensors, read_safetensors
from sysu30k_bench.models.formats.shards import index_of_folder, is_index, read_shards, shard_files, shard_of
from sysu30k_bench.models.formats.torch_zip import archive_folder, read_torch_zip

_AGAIN = "download or copy it again and compare its size with the source"
_ANEW = "if you trust it, load it where it was made, and save its weights anew: `torch.save(model.state_dict(), path)`"
_HEAD = 4096
_URL = re.compile(r"[a-z][a-z0-9+.-]{1,20}:/{1,2}\S", re.IGNORECASE)
_JAX = frozenset({"jax", "jaxlib", "haiku", "optax", "byol"})
_FIRST_OF_TEXT_PICKLES = b"(cdlIFLNSVp]}"


@dataclass(frozen=True)
class Content:
    """What a checkpoint file holds.

    Attributes:
        content: Nested dicts, lists, tuples, tensors, numpy arrays, plain values and stand-ins.
        format: The kind of file, in words.
        named: The classes and functions that the file names, sorted; none of them was imported.
        root: What the outermost object was, where it is no plain container: a module's class, for instance.
    """

    content: Mapping[str, object]
    format: str
    named: tuple[str, ...] = ()
    root: str = ""


def read_content(path: Path) -> Mapping[str, object]:
    """Reads a checkpoint: torch (zip or older), safetensors, a pickle of arrays, or shards with their index.

    Args:
        path: The file, or the folder of the shards.

    Returns:
        Nested dicts, lists, tuples, tensors, numpy arrays, plain values and stand-ins. Numbers are mapped from the
        file where they lie in it as they are.

    Raises:
        DataError: There is no such file, or it cannot be read.
        IntegrityError: It is cut off, damaged, hostile, or something else than a checkpoint.
        UsageError: The path is an address.
    """
    return read(path).content


def files_of(path: Path) -> list[Path]:
    """Returns the files that `read` would read: one, or an index and its shards."""
    index = index_of_folder(path) if path.is_dir() else path if is_index(path) else None
    return [index, *shard_files(index)] if index is not None else [path]


def read(path: Path) -> Content:
    """Reads a checkpoint, as `read_content`, and says more about it."""
    try:
        with _without_collection():
            return _read(path)
    except BenchError:
        raise
    except Damaged as error:
        raise _damaged(path, error) from error
    except PermissionError as error:
        raise DataError(f"cannot read {path}: {error.strerror}", hint="check its permissions") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except MemoryError as error:
        raise DataError(f"there is too little memory to read {path}") from error
    except Exception as error:
        raise IntegrityError(f"{path} is damaged: {str(error)[:200] or type(error).__name__}", hint=_AGAIN) from error


@contextmanager
def _without_collection() -> Iterator[None]:
    """Spares the search for unused circles, which takes half the time where a file has many thousand tensors."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _read(path: Path) -> Content:
    if _is_single(path):
        part = shard_of(path)
        if part is not None:
            raise UsageError(
                f"{path} is part {part[0]} of {part[1]} of a checkpoint",
                hint="give its index (`*.index.json`), or the folder with all parts and the index",
            )
        return _read_file(path)
    index = index_of_folder(path) if path.is_dir() else path
    if index is None:
        raise _folder(path)
    named: set[str] = set()

    def read_shard(shard: Path) -> Mapping[str, object]:
        try:
            _is_single(shard)
            content = _read_file(shard)
        except Damaged as error:
            raise _damaged(shard, error) from error
        named.update(content.named)
        return content.content

    return Content(read_shards(index, read_shard), "shards", tuple(sorted(named)))


def _damaged(path: Path, error: Damaged) -> IntegrityError:
    if isinstance(error, Unusual):
        return IntegrityError(f"{path} cannot be read: {error}", hint=_ANEW)
    said = f"is cut off: {error}" if error.cut else f"is damaged: {error}"
    return IntegrityError(f"{path} {said}", hint=_AGAIN)


def _is_single(path: Path) -> bool:
    """Says whether the path is a file to read by itself; False for a folder or an index of shards."""
    if _URL.match(str(path)):
        raise UsageError(f"{path} is an address, not a file", hint="download it, and give the file's path")
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        if path.is_symlink():
            raise DataError(
                f"{path} is a link to {path.readlink()}, which does not exist", hint="give the path of a weights file"
            ) from error
        raise DataError(f"there is no file {path}", hint="give the path of a weights file") from error
    except ValueError as error:
        raise DataError(f"{str(path)!r} is no path", hint="give the path of a weights file") from error
    if stat.S_ISDIR(status.st_mode):
        return False
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"{path} is a pipe or a device, not a file", hint="save it to a file, and give that")
    if status.st_size == 0:
        raise IntegrityError(f"{path} is empty", hint="download or save it again")
    return not is_index(path)


def _folder(path: Path) -> DataError:
    names = {entry.name for entry in path.iterdir()}
    if "data.pkl" in names:
        return DataError(
            f"{path} is a folder with the parts of a torch file, which a browser or a file manager has unpacked",
            hint=f"pack it again: cd {path.absolute().parent} && zip -0 -r {path.name}.pth {path.name}",
        )
    if ".metadata" in names and any(name.endswith(".distcp") for name in names):
        return DataError(
            f"{path} is a checkpoint of torch.distributed",
            hint=f"join it: python -m torch.distributed.checkpoint.format_utils dcp_to_torch {path} model.pth",
        )
    if "saved_model.pb" in names or "checkpoint" in names:
        return DataError(f"{path} is a model of TensorFlow", hint="convert it to a torch state dict")
    weights = sorted(name for name in names if re.search(r"\.(pth|pt|ckpt|safetensors|bin|tar|pkl|onnx)$", name))
    return DataError(
        f"{path} is a folder without config.json",
        details=weights,
        hint="give a weights file, or a folder that transformers saved",
    )


def _read_file(path: Path) -> Content:
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if is_safetensors(head):
        return Content(read_safetensors(path), "safetensors")
    if head.startswith(b"PK\x03\x04") or (head.startswith(b"PK\x05\x06") and zipfile.is_zipfile(path)):
        return _read_zip(path)
    if head[:1] == b"\x80" and head[1:2] <= b"\x05":
        return _read_pickle(path)
    if head[:1] in _FIRST_OF_TEXT_PICKLES and _ends_like_a_pickle(path):
        try:
            return _read_pickle(path)
        except Damaged:
            pass
    found = foreign(path, head)
    if found is not None:
        raise _not_a_checkpoint(path, found)
    raise IntegrityError(f"{path} is not a checkpoint of a known kind, or is damaged", hint=_AGAIN)


def _ends_like_a_pickle(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) == b"." or path.suffix in (".pth", ".pt", ".pkl", ".pickle", ".tar")


def _not_a_checkpoint(path: Path, found: Foreign) -> IntegrityError:
    return IntegrityError(f"{path} is {found.what}", details=found.details, hint=found.hint)


def _read_zip(path: Path) -> Content:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except zipfile.BadZipFile as error:
        raise Damaged("it begins as a zip file and has no directory at its end", cut=True) from error
    folder = archive_folder(entries)
    names = {entry.filename for entry in entries}
    if folder is None:
        raise _not_a_checkpoint(path, foreign_zip(entries))
    if f"{folder}constants.pkl" in names:
        raise _not_a_checkpoint(path, Foreign("a TorchScript archive", "load it as a TorchScript model"))
    content, machine = read_torch_zip(MappedFile(path), entries, folder)
    return _settled(path, content, machine, "torch")


def _read_pickle(path: Path) -> Content:
    content, machine, kind = read_pickle(MappedFile(path))
    return _settled(path, content, machine, kind)


def _settled(path: Path, content: object, machine: PickleMachine, kind: str) -> Content:
    named = tuple(sorted(str(name) for name in machine.named))
    if kind == "pickle" and any(name.module.partition(".")[0] in _JAX for name in machine.named):
        raise IntegrityError(
            f"{path} is a pickle of JAX or Haiku parameters, as DeepMind's BYOL is published; its network pads its "
            "borders in another way than torch's; it was not loaded",
            details=named,
            hint="convert it to a torch state dict where you trust it, and evaluate that with "
            "--adapter byol --network-option padding=same",
        )
    holder = [content]
    settle(holder, 10 * machine.opcodes + 1_000_000)
    return Content(_mapping(path, holder[0], named), kind, named, str(content) if isinstance(content, StandIn) else "")


def _mapping(path: Path, content: object, named: tuple[str, ...]) -> Mapping[str, object]:
    opened = contents(content) if isinstance(content, StandIn) else content
    if isinstance(opened, (list, tuple)):
        opened = {str(place): value for place, value in enumerate(opened)}
    if isinstance(opened, dict):
        found = {name if isinstance(name, str) else str(name): value for name, value in opened.items()}
        if len(found) < len(opened):
            raise Unusual("two of its entries have the same name")
        return found
    if isinstance(content, StandIn):
        raise IntegrityError(
            f"{path} is a pickle that would run code or build arbitrary objects when read, and holds no weights; "
            "none of it was run",
            details=named,
            hint="save only tensors: `torch.save(model.state_dict(), path)`",
        )
    what = "bare tensor" if isinstance(content, (torch.Tensor, np.ndarray)) else type(content).__name__
    raise IntegrityError(
        f"{path} holds a {what}, not a state dict", hint="save `model.state_dict()`, not the model or a bare tensor"
    )
