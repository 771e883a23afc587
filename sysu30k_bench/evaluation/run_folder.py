"""The folder of one run: its name, its parts, and the lock that keeps a second run out."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from sysu30k_bench.data.split import ROLES
from sysu30k_bench.embeddings.manifest import MANIFEST_NAME
from sysu30k_bench.errors import DataError
from sysu30k_bench.evaluation.step_notes import EXPORT_NOTES, SEARCH_NOTES
from sysu30k_bench.files import sha256_of_file, unwritable
from sysu30k_bench.results.record import RESULT_NAME
from sysu30k_bench.search.graph.graph_file import GRAPH_NAME
from sysu30k_bench.search.ranking import RANKING_NAME, TOP_NAME

_FILES = frozenset({EXPORT_NOTES, SEARCH_NOTES, RANKING_NAME, TOP_NAME, RESULT_NAME, GRAPH_NAME, MANIFEST_NAME})
_FOLDERS = {"embeddings": ROLES, "control": ("embeddings",), "reranked": ()}
"""And the folders inside each."""


@dataclass(frozen=True)
class RunFolder:
    """Paths inside a run folder.

    Attributes:
        path: The folder.
    """

    path: Path

    def embeddings(self, role: str) -> Path:
        """Returns the folder of a role's store."""
        return self.path / "embeddings" / role

    def stores(self) -> dict[str, str]:
        """Returns the SHA-256 of each role's manifest, which holds the digest of every shard."""
        return {role: sha256_of_file(self.embeddings(role) / MANIFEST_NAME) for role in ROLES}

    @property
    def control(self) -> RunFolder:
        """The run folder of the random control."""
        return RunFolder(self.path / "control")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the folder for this process.

        Raises:
            DataError: Another run holds it, it cannot be written, or something stands where one of its parts goes.
        """
        lock = FileLock(self.path / ".lock", timeout=0)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout as error:
            raise DataError(
                f"another run is using {self.path}", hint="wait for it, or choose another --output"
            ) from error
        except OSError as error:
            raise unwritable(self.path, error) from error
        try:
            _refuse_obstacles(self.path)
            yield
        finally:
            lock.release()


def _refuse_obstacles(folder: Path, folders: Iterable[str] = _FOLDERS) -> None:
    """Finds a folder that has the name of a run's file, or the reverse, now rather than after hours of work."""
    for part in sorted(folder.iterdir()):
        if part.name in _FILES and part.is_dir():
            raise _obstacle(part, errno.EISDIR)
        if part.name in folders:
            if not part.is_dir():
                raise _obstacle(part, errno.ENOTDIR)
            _refuse_obstacles(part, _FOLDERS.get(part.name, ()))


def _obstacle(path: Path, code: int) -> DataError:
    return unwritable(path, OSError(code, os.strerror(code)))


def default_run_folder(checkpoint: Path, digest: str, above: Path = Path("runs")) -> Path:
    """Names a run folder after the checkpoint and what makes its embeddings: the same command finds it again.

    Args:
        checkpoint: The weights file.
        digest: Digest of the gallery store's identity.
        above: The folder above it.
    """
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", checkpoint.stem).strip("-.")[:60] or "model"
    return above / f"{stem}-{digest[:8]}"
