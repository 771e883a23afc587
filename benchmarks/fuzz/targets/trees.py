"""Folders, tars and zips of images, as `eval` and `data verify` open them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from benchmarks.fuzz.mutate import bytewise, linewise, tarwise, zipwise
from benchmarks.fuzz.target import Target, Violation, as_file, as_folder
from sysu30k_bench.data.images import DamagedImageError
from sysu30k_bench.data.open_dataset import open_test_set
from sysu30k_bench.data.trees.open_tree import open_archives, open_folder
from sysu30k_bench.data.trees.tar_scan import first_names
from sysu30k_bench.data.trees.tree import Tree, read_list
from sysu30k_bench.errors import BenchError

_READ = 200


def _walk(tree: Tree) -> object:
    tree.entries()
    keys = tree.images("")
    for key in keys[:_READ]:
        if key.startswith("/") or ".." in key.split("/") or not key.isprintable():
            raise Violation(f"the key {key!r} leads out of the tree")
        with suppress(DamagedImageError):
            if len(tree.read(key)) != tree.size(key):
                raise Violation(f"{key!r} has another size than the index says")
    tree.expect(keys[:_READ])
    read_list(tree, "meta/test.txt")
    return [*tree.notes, *tree.faults]


def _archive(path: Path) -> object:
    first_names(path, 32)
    return _walk(open_archives(path))


def _benchmark(root: Path) -> object:
    _walk(open_folder(root))
    for dataset in (None, "sysu30k", "market1501", "msmt17", "cuhk03"):
        with suppress(BenchError):
            open_test_set(root, dataset)
    return open_test_set(root)


TARGETS = (
    Target("tar", _archive, as_file("images.tar"), tarwise),
    Target("zip", _archive, as_file("images.zip"), zipwise(bytewise)),
    Target("folder", _benchmark, as_folder, linewise),
)
