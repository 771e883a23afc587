"""What is written and read again carries its own SHA-256: a JSON document as `sha256`, any other file at its end.

A digest finds damage and slips of the hand. It is not a signature: anyone who changes a file on purpose can renew it.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

from sysu30k_bench.errors import IntegrityError
from sysu30k_bench.files import sha256_of_file, sha256_of_text, write_atomically

_MARK = b"sysu30k-sha256:"
_SEAL = len(_MARK) + 64
_CHUNK = 1 << 22
_MAX_BYTES = 64 << 20
_TELLING = ("search.json", "result.json")


class SealedDocument(BaseModel):
    """A JSON document of this package; unknown keys are refused.

    Attributes:
        sha256: Of the document's other values; None in memory, and in files of versions that knew no digest.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None

    def sealed(self) -> Self:
        """Returns the document with the digest of its values."""
        values = json.loads(self.model_dump_json(exclude={"sha256"}))
        return self.model_copy(update={"sha256": document_digest(values)})

    def write_to(self, path: Path) -> None:
        """Writes the document, sealed and whole."""
        write_atomically(path, (self.sealed().model_dump_json(indent=1) + "\n").encode())


def document_digest(values: Mapping[str, object]) -> str:
    """Returns the SHA-256 of a JSON object's values without its own digest, however they are laid out in the file."""
    return sha256_of_text(json.dumps({name: values[name] for name in values if name != "sha256"}, sort_keys=True))


def document_fault(raw: bytes, *, required: bool = False) -> str | None:
    """Says why a document's values are not to be believed.

    Args:
        raw: The file. That it is a document at all is for its reader to see.
        required: Refuse a document without a digest.

    Returns:
        The end of a sentence about the file; None where its digest fits, or where it needs none.
    """
    values = _values(raw)
    told = values.get("sha256")
    if told is None:
        missing = "carries no digest: an earlier version wrote it" if values else "is damaged: it is no JSON document"
        return missing if required else None
    return None if told == document_digest(values) else "was changed or damaged: its content does not fit its digest"


def require_told(path: Path) -> None:
    """Refuses a file of a run folder that is not the one that `search.json` and `result.json` beside it tell of.

    Args:
        path: `ranking.csv` or `top.csv`; a file with neither document beside it is taken as it is.

    Raises:
        IntegrityError: It is another file, or a document is damaged.
    """
    for name in _TELLING:
        document = path.with_name(name)
        if not document.is_file():
            continue
        raw = document.read_bytes() if document.stat().st_size <= _MAX_BYTES else b""
        values, fault = _values(raw), document_fault(raw)
        if fault or not values:
            raise IntegrityError(f"{document} {fault or 'is damaged'}", hint=_AGAIN)
        told = values.get(f"{path.stem}_sha256")
        if told is not None and told != sha256_of_file(path):
            raise IntegrityError(f"{path} is not the file that {name} records: one of them was changed", hint=_AGAIN)


_AGAIN = "run `eval` again, or `search` and `score`"


def seal_zip(archive: io.BytesIO) -> memoryview:
    """Seals a zip archive (`.pt`, `.npz`) by its comment, which every reader passes over.

    Args:
        archive: The archive, without a comment.

    Returns:
        Its bytes; they are valid until the buffer is closed.
    """
    archive.seek(-2, os.SEEK_END)
    archive.write(struct.pack("<H", _SEAL))
    digest = hashlib.sha256(archive.getbuffer()).hexdigest()
    archive.write(_MARK + digest.encode("ascii"))
    return archive.getbuffer()


def seal_file(path: Path) -> None:
    """Appends the seal to a file whose readers pass over what follows its end, as HDF5 does.

    Raises:
        OSError: The file cannot be written.
    """
    digest = sha256_of_file(path)
    with path.open("ab") as file:
        file.write(_MARK + digest.encode("ascii"))


def is_sealed(path: Path) -> bool:
    """Says whether a file ends with a seal that fits all that stands before it; False where it cannot be read."""
    try:
        left = path.stat().st_size - _SEAL
        if not path.is_file() or left < 0:
            return False
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while left and (chunk := file.read(min(_CHUNK, left))):
                digest.update(chunk)
                left -= len(chunk)
            return file.read() == _MARK + digest.hexdigest().encode("ascii")
    except OSError:
        return False


def _values(raw: bytes) -> dict[str, Any]:
    """The top of a JSON object; nothing where the file is none."""
    try:
        values = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}
