"""The published lists `query.txt` and `gallery.txt`, held against the files."""

from __future__ import annotations

from sysu30k_bench.data.trees.tree import Tree, read_list
from sysu30k_bench.words import count

_PLACES = ("../meta", "meta", "..", ".", "../..")


def find_meta_list(place: Tree, role: str) -> str | None:
    """Finds a role's list beside the test set, where the published tree and its download put it."""
    return next((key for folder in _PLACES if place.size(key := f"{folder}/{role}.txt") >= 0), None)


def compare_with_meta_list(place: Tree, role: str, files: list[str]) -> list[str]:
    """Compares the files of a role with its published list, if it exists.

    A line is a relative path; how many folders it starts with is not documented, so that entries are compared by
    their last two parts (`<identity>/<file>`), with slashes of either kind.

    Args:
        place: What holds `query/` and `gallery/`.
        role: `query` or `gallery`.
        files: Paths below the role's folder.

    Returns:
        A sentence for each difference; empty where there is no list or no difference.
    """
    key = find_meta_list(place, role)
    lines = None if key is None else read_list(place, key)
    if lines is None:
        return []
    name = f"{role}.txt"
    listed = {_last_two(line.strip().replace("\\", "/")) for line in lines if line.strip()}
    present = {_last_two(file) for file in files}
    differences = []
    if missing := sorted(listed - present):
        said = count(len(missing), f"image of {name} is", f"images of {name} are")
        differences.append(f"{said} not in {role}/ (first: {missing[0]})")
    if unlisted := sorted(present - listed):
        said = count(len(unlisted), f"image in {role}/ is", f"images in {role}/ are")
        differences.append(f"{said} not in {name} (first: {unlisted[0]})")
    return differences


def _last_two(path: str) -> str:
    return "/".join(path.split("/")[-2:])
