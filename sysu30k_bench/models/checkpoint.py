"""Reading a checkpoint file without running anything that is in it."""

from __future__ import annotations

import argparse
import pickle
import pickletools
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
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
    names: list[str] = []
    if zipfile.is_zipfile(path):
        names = sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    if names or "GLOBAL" in str(error) or _builds_objects(path):
        return IntegrityError(
            f"{path} is a pickle that would run code or build arbitrary objects when read; it was not loaded",
            details=names,
            hint="save only tensors (`torch.save(model.state_dict(), path)`), or convert it to safetensors",
        )
    return IntegrityError(f"{path} is not a checkpoint, or is damaged", hint=_AGAIN)


def _builds_objects(path: Path) -> bool:
    """Looks through a plain pickle, without running it, for instructions that import or call."""
    try:
        with path.open("rb") as file:
            return any(code.name in _CALLING for code, _, _ in pickletools.genops(file))
    except (ValueError, UnicodeDecodeError, OSError):
        return False


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
