"""Archives of a folder, and hostile ones, for tests."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path


def tar_of(folder: Path, path: Path, inside: str = "") -> Path:
    """Packs a folder as `tar cf` would."""
    with tarfile.open(path, "w") as tar:
        for file in sorted(folder.rglob("*")):
            tar.add(file, f"{inside}{file.relative_to(folder).as_posix()}", recursive=False)
    return path


def tar_with(path: Path, *members: tarfile.TarInfo | tuple[str, bytes]) -> Path:
    """Packs members as they are, however they are called."""
    with tarfile.open(path, "w") as tar:
        for member in members:
            info, content = (
                (member, b"") if isinstance(member, tarfile.TarInfo) else (tarfile.TarInfo(member[0]), member[1])
            )
            if content:
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def zip_of(folder: Path, path: Path, inside: str = "") -> Path:
    """Packs a folder."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, f"{inside}{file.relative_to(folder).as_posix()}")
    return path


def link(name: str, target: str, kind: bytes) -> tarfile.TarInfo:
    """A member that is a link."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info
