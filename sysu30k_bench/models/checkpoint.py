"""Reading a checkpoint file without running anything that is in it."""

from __future__ import annotations

import argparse
import pickle
import pickletools
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sysu30k_bench.errors import DataError, IntegrityError
from sysu30k_bench.files import sha256_of_file

WRAPPERS = ("state_dict", "model_state_dict", "model", "network", "net", "classy_state_dict", "base_model", "trunk",
            "online_backbone", "teacher", "student", "params")  # fmt: skip
"""Keys under which programs put the state dict, in the order of preference."""

_PREFIXES = ("module.", "_orig_mod.")
_CALLING = frozenset({"GLOBAL", "STACK_GLOBAL", "INST", "REDUCE", "OBJ", "NEWOBJ", "NEWOBJ_EX"})
_JAX = frozenset({"jax", "jaxlib", "haiku", "optax", "byol"})
# Plain containers that training scripts put beside the weights; none of them can run code when it is read.
_HARMLESS: list[Any] = [
    argparse.Namespace,
    np.dtype,
    np.ndarray,
    np.dtypes.Float32DType,
    np.dtypes.Float64DType,
    np.dtypes.Int64DType,
    np.float64(0).__reduce__()[0],  # numpy's scalar constructor, wherever this numpy keeps it
]


@dataclass(frozen=True)
class CheckpointFile:
    """A checkpoint as it lies on the disk.

    Attributes:
        path: The file.
        sha256: Digest of its bytes, in hex.
        content: What was read: nested mappings, tensors and plain values.
    """

    path: Path
    sha256: str
    content: Mapping[str, object]

    def names(self) -> Iterator[str]:
        """Yields the name of every entry at any depth, without those above it."""
        waiting: list[Mapping[str, object]] = [self.content]
        while waiting:
            for name, value in waiting.pop().items():
                yield str(name)
                if isinstance(value, Mapping):
                    waiting.append(value)

    def tensors(self, wrapper: str = "") -> tuple[dict[str, torch.Tensor], list[str]]:
        """Returns the state dict inside, freed of `module.` and `_orig_mod.`.

        Args:
            wrapper: Dotted path to it; where empty, the usual wrappers are opened until tensors show.

        Returns:
            Tensors by name, and the names of the other entries that stood at the file's top level, each with `@`
            before it. Both are empty where the wrapper is not there.
        """
        inner = _descend(self.content, wrapper) if wrapper else _unwrap(self.content)
        others = [f"@{name}" for name, value in self.content.items() if not isinstance(value, torch.Tensor)]
        if inner is None:
            return {}, others
        found = {str(name): value for name, value in inner.items() if isinstance(value, torch.Tensor)}
        return _strip_prefixes(found), others


def read_checkpoint(path: Path) -> CheckpointFile:
    """Reads a PyTorch file (zip or legacy) or a safetensors file.

    Args:
        path: The file.

    Returns:
        Its content, with a digest of its bytes.

    Raises:
        DataError: There is no such file.
        IntegrityError: The file is truncated, damaged, no checkpoint, or would run code when read.
    """
    if path.is_dir():
        raise DataError(
            f"{path} is a folder without config.json", hint="give a weights file, or a folder that transformers saved"
        )
    if not path.is_file():
        raise DataError(f"there is no file {path}", hint="give the path of a weights file")
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}", hint="check its permissions") from error
    if not head:
        raise IntegrityError(f"{path} is empty", hint="download or save it again")
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    if not isinstance(content, Mapping):
        raise IntegrityError(
            f"{path} holds a {type(content).__name__}, not a state dict",
            hint="save `model.state_dict()`, not the model or a bare tensor",
        )
    return CheckpointFile(path, sha256_of_file(path), content)


def digest_caution(checkpoint: CheckpointFile) -> str:
    """Says where a file's name carries the beginning of a SHA-256 and its bytes have another; else is empty.

    Torch's and OpenMMLab's programs name files `NAME-<8 or more hex digits>.pth` (torch.hub's `check_hash`).
    """
    found = re.search(r"-([0-9a-f]{8,64})(?:\.[a-z0-9]+)+$", checkpoint.path.name)
    if found is None or checkpoint.sha256.startswith(found[1]) or _is_date(found[1]):
        return ""
    return (
        f"the file's name says that its SHA-256 begins with {found[1]}, and it begins with {checkpoint.sha256[:8]}: "
        "it is damaged, or was changed after it was named"
    )


def _is_date(digits: str) -> bool:
    try:
        return bool(datetime.strptime(digits, "%Y%m%d"))
    except ValueError:
        return False


def _read_safetensors(path: Path) -> object:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise IntegrityError(f"{path} is not a whole safetensors file: {error}", hint=_AGAIN) from error


_AGAIN = "download or copy it again and compare its size with the source"


def _read_torch(path: Path) -> object:
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(_HARMLESS):
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refusal(path, error) from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:
        said = str(error).splitlines()[0] if str(error) else "unexpected end"
        raise IntegrityError(f"{path} is truncated or damaged: {said}", hint=_AGAIN) from error


def _refusal(path: Path, error: pickle.UnpicklingError) -> IntegrityError:
    if zipfile.is_zipfile(path):
        names = sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
        calls = bool(names)
    else:
        names, calls = _imports(path)
    if any(name.partition(".")[0] in _JAX for name in names):
        return IntegrityError(
            f"{path} is a pickle of JAX or Haiku parameters, as DeepMind's BYOL is published; reading it would run "
            "code, and its network pads its borders in another way than torch's; it was not loaded",
            details=names,
            hint="convert it to a torch state dict where you trust it, and evaluate that with "
            "--adapter byol --network-option padding=same",
        )
    if calls or "GLOBAL" in str(error):
        return IntegrityError(
            f"{path} is a pickle that would run code or build arbitrary objects when read; it was not loaded",
            details=names,
            hint="save only tensors (`torch.save(model.state_dict(), path)`), or convert it to safetensors",
        )
    return IntegrityError(f"{path} is not a checkpoint, or is damaged", hint=_AGAIN)


def _imports(path: Path) -> tuple[list[str], bool]:
    """Looks through a plain pickle without running it: what it imports, and whether it imports or calls at all."""
    names: set[str] = set()
    strings: list[str] = []
    calls = False
    try:
        with path.open("rb") as file:
            for code, argument, _ in pickletools.genops(file):
                calls = calls or code.name in _CALLING
                if code.name in {"GLOBAL", "INST"}:
                    names.add(str(argument).replace(" ", "."))
                elif code.name == "STACK_GLOBAL":
                    names.add(".".join(strings[-2:]))
                elif isinstance(argument, str):
                    strings = [*strings[-1:], argument]
    except (ValueError, UnicodeDecodeError, OSError):
        calls = calls and bool(names)
    return sorted(names), calls


def _unwrap(content: object) -> Mapping[str, object] | None:
    while isinstance(content, Mapping):
        if any(isinstance(value, torch.Tensor) and value.dim() > 0 for value in content.values()):
            return content
        content = next((content[name] for name in WRAPPERS if isinstance(content.get(name), Mapping)), None)
    return None


def _descend(content: object, wrapper: str) -> Mapping[str, object] | None:
    for name in wrapper.split("."):
        content = content.get(name) if isinstance(content, Mapping) else None
    return content if isinstance(content, Mapping) else None


def _strip_prefixes(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    stripped = True
    while stripped and tensors:
        stripped = False
        for prefix in _PREFIXES:
            if all(name.startswith(prefix) for name in tensors):
                tensors = {name[len(prefix) :]: value for name, value in tensors.items()}
                stripped = True
    return tensors
