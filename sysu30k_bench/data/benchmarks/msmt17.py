"""MSMT17 (Wei et al., CVPR 2018), both releases: lists beside the images of train and test."""

from __future__ import annotations

from sysu30k_bench.data.benchmarks.benchmark import Benchmark, first_with
from sysu30k_bench.data.naming.names import Labels, parse_msmt17
from sysu30k_bench.data.split import Role, Split
from sysu30k_bench.data.trees.tree import Tree, read_list
from sysu30k_bench.errors import DataError

_FOLDERS = (("mask_train_v2", "mask_test_v2"), ("train", "test"))
_LISTS: dict[Role, tuple[str, ...]] = {
    "query": ("list_query.txt",),
    "gallery": ("list_gallery.txt",),
    "train": ("list_train.txt", "list_val.txt"),
}


class Msmt17(Benchmark):
    """A list's line is a path below the folder and an identity; the camera is the third part of the file's name.

    Identities of train and test are numbered apart from each other, each from 0.
    """

    name = "msmt17"
    needs = "list_query.txt, list_gallery.txt and test/ (V1) or mask_test_v2/ (V2)"

    def find(self, tree: Tree) -> str | None:
        """See `Benchmark`."""
        for place in ("", "MSMT17_V1", "MSMT17_V2", "MSMT17"):
            prefix = f"{place}/" if place else ""
            if tree.size(f"{prefix}list_query.txt") >= 0 and _folders(tree, prefix) is not None:
                return place
        return None

    def read(self, place: Tree, role: Role, split: int) -> Split:  # noqa: ARG002
        """See `Benchmark`."""
        train, test = _folders(place, "") or _FOLDERS[0]
        folder = train if role == "train" else test
        keys: list[str] = []
        labels: list[Labels] = []
        for name in _LISTS[role]:
            lines = read_list(place, name)
            if lines is None:
                raise DataError(f"there is no {place.path / name}", hint="unpack the archive whole")
            read = [_line(line) for line in lines if line.strip()]
            bad = [
                line for line, found in zip([line for line in lines if line.strip()], read, strict=True) if not found
            ]
            if bad:
                raise DataError(
                    f"{len(bad)} of {len(read)} lines of {place.path / name} do not contain path and identity",
                    details=bad,
                    hint="a line must look like 0000/0000_000_01_0303morning_0008_0.jpg 0",
                )
            keys += [f"{folder}/{found[0]}" for found in read if found]
            labels += [found[1] for found in read if found]
        if not keys:
            raise DataError(f"{place.path}: {' and '.join(_LISTS[role])} name no image")
        return Split.of(role, keys, labels)


def _folders(tree: Tree, prefix: str) -> tuple[str, str] | None:
    return next((pair for pair in _FOLDERS if first_with(tree, [prefix.rstrip("/")], pair[1]) is not None), None)


def _line(line: str) -> tuple[str, Labels] | None:
    path, _, person = line.strip().rpartition(" ")
    name = parse_msmt17(path.rpartition("/")[2])
    if name is None or not person.isascii() or not person.isdigit() or ".." in path.split("/") or path.startswith("/"):
        return None
    return path, Labels(int(person), name.camera_id)
