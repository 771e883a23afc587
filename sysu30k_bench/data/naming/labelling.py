"""Labels for a list of files, or a message that names every file without one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sysu30k_bench.data.naming.names import Labels
from sysu30k_bench.errors import DataError


def label_files(folder: Path, files: list[str], parse: Callable[[str], Labels | None], example: str) -> list[Labels]:
    """Parses the base name of every file.

    Args:
        folder: Where the files are, for the message.
        files: Paths with forward slashes.
        parse: The benchmark's naming rule.
        example: A name that follows the rule, for the message.

    Returns:
        The labels, parallel to `files`.

    Raises:
        DataError: Some names do not parse; they are listed.
    """
    labels = [parse(file.rpartition("/")[2]) for file in files]
    unread = [file for file, label in zip(files, labels, strict=True) if label is None]
    if unread:
        raise DataError(
            f"{len(unread)} of {len(files)} image names in {folder} do not contain identity and camera",
            details=unread,
            hint=f"a name must look like {example}; rename or remove files that do not belong to the benchmark",
        )
    return [label for label in labels if label is not None]
