"""A checkpoint file as it lies on the disk; nothing that is in it runs when it is read."""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

from sysu30k_bench.files import sha256_of_file, sha256_of_text
from sysu30k_bench.models.formats.pickles.standin import StandIn
from sysu30k_bench.models.formats.read import files_of, read_content
from sysu30k_bench.models.matching.flat_tensors import FlatTensors, flatten

_LONGEST_NAME = 200


@dataclass(frozen=True)
class CheckpointFile:
    """A checkpoint as it lies on the disk.

    Attributes:
        path: The file.
        sha256: Digest of its bytes, in hex.
        content: What was read: nested mappings, tensors, plain values, and inert stand-ins for all other objects.
    """

    path: Path
    sha256: str
    content: Mapping[str, object]

    @cached_property
    def flat(self) -> FlatTensors:
        """All its tensors by their dotted paths."""
        return flatten(self.content)

    @cached_property
    def architecture(self) -> str:
        """The name that training programs put beside the weights, `arch` or `args.model`; empty where there is none."""
        args = self.content.get("args")
        held = args.attributes if isinstance(args, StandIn) else vars(args) if isinstance(args, Namespace) else args
        inner = held if isinstance(held, Mapping) else {}
        names = (self.content.get("arch"), inner.get("model"), inner.get("arch"))
        return next((name for name in names if isinstance(name, str) and len(name) <= _LONGEST_NAME), "")


def read_checkpoint(path: Path) -> CheckpointFile:
    """Reads a PyTorch file (zip or legacy), safetensors, or shards with their index.

    Args:
        path: The file, or the folder of the shards.

    Returns:
        Its content, with a digest of its bytes.

    Raises:
        DataError: There is no such file.
        IntegrityError: The file is truncated, damaged or no checkpoint.
    """
    content = read_content(path)
    return CheckpointFile(path, _digest(path), content)


def _digest(path: Path) -> str:
    """SHA-256 of a file; of the names and digests of all its parts where it is in shards."""
    files = files_of(path)
    if len(files) == 1:
        return sha256_of_file(files[0])
    return sha256_of_text("\n".join(f"{file.name} {sha256_of_file(file)}" for file in files))


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
