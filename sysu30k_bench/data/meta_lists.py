"""The published lists `query.txt` and `gallery.txt`, held against the files that are there."""

from __future__ import annotations

from pathlib import Path

_PLACES = ("../meta", "meta", "..", ".", "../..")
_MAX_BYTES = 1 << 30


def find_meta_list(root: Path, role: str) -> Path | None:
    """Finds a role's list beside the test set, where the published tree and its download put it."""
    for place in _PLACES:
        candidate = root / place / f"{role}.txt"
        if candidate.is_file() and candidate.stat().st_size <= _MAX_BYTES:
            return candidate
    return None


def compare_with_meta_list(root: Path, role: str, files: list[str]) -> list[str]:
    """Compares the files of a role with its published list, if that is there.

    A line is a relative path; how many folders it starts with is not documented, so that entries are compared by
    their last two parts (`<identity>/<file>`), with slashes of either kind.

    Args:
        root: The folder that holds `query/` and `gallery/`.
        role: `query` or `gallery`.
        files: Paths below the role's folder.

    Returns:
        A sentence for each difference; empty where there is no list or no difference.
    """
    path = find_meta_list(root, role)
    if path is None:
        return []
    lines = path.read_text("utf-8", errors="replace").splitlines()
    listed = {_last_two(line.strip().replace("\\", "/")) for line in lines if line.strip()}
    present = {_last_two(file) for file in files}
    differences = []
    if missing := sorted(listed - present):
        differences.append(f"{len(missing):,} images of {path.name} are not in {role}/ (first: {missing[0]})")
    if unlisted := sorted(present - listed):
        differences.append(f"{len(unlisted):,} images in {role}/ are not in {path.name} (first: {unlisted[0]})")
    return differences


def _last_two(path: str) -> str:
    return "/".join(path.split("/")[-2:])
