"""From a path to the benchmark that it holds."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from sysu30k_bench.data.benchmarks.benchmark import Benchmark, inside
from sysu30k_bench.data.benchmarks.published import published_counts
from sysu30k_bench.data.benchmarks.registry import ASKED_FOR, BENCHMARKS
from sysu30k_bench.data.benchmarks.sysu30k import DRAWN, is_drawn, is_test_tar
from sysu30k_bench.data.split import TestSet
from sysu30k_bench.data.trees.open_tree import archives_in, check_root, open_archives, open_folder
from sysu30k_bench.data.trees.tree import Subtree, Tree
from sysu30k_bench.errors import DataError, UsageError
from sysu30k_bench.progress import Progress

_FOLDERS_LOOKED_INTO = 200
_DEPTH = 3
_SEEN = ("query", "gallery", "bounding_box_test")


def open_test_set(
    root: Path, dataset: str | None = None, split: int | None = None, progress: Progress | None = None
) -> TestSet:
    """Reads the test set below a folder, or in an archive, or in the archives in a folder; nothing is unpacked.

    Args:
        root: The folder or archive.
        dataset: The benchmark's name; found from the layout where it is None.
        split: Which of the standard splits, from 1, for benchmarks with several; the first where None.
        progress: Told of tars being indexed.

    Returns:
        Query and gallery, with what is unusual about them.

    Raises:
        DataError: There is nothing there, or nothing that fits a layout.
        UsageError: More than one layout fits, or there is no such benchmark or split.
    """
    benchmark, place = find_benchmark(root, dataset, progress)
    if split is not None and not 1 <= split <= benchmark.splits:
        raise UsageError(
            f"{benchmark.name} has no split {split}",
            hint=f"1 to {benchmark.splits}" if benchmark.splits > 1 else "its lists are fixed: omit --split",
        )
    query, gallery = (benchmark.read(place, role, split or 1) for role in ("query", "gallery"))
    warnings, reasons = benchmark.remarks(place, query, gallery)
    if is_drawn(place):
        reasons.append(DRAWN)
    notes, count_reasons = published_counts()[benchmark.name].compare(len(query), len(gallery))
    if benchmark.splits > 1:
        notes.append(f"split {split or 1} of {benchmark.splits}; publications average over all (--split all)")
    return TestSet(
        benchmark.name,
        place.path,
        benchmark.images(place),
        query,
        gallery,
        [*([benchmark.note] if benchmark.note else []), *place.notes, *warnings, *notes],
        [*place.faults, *reasons, *count_reasons],
        is_drawn(place),
        (split or 1) if benchmark.splits > 1 else None,
    )


def find_benchmark(root: Path, dataset: str | None, progress: Progress | None = None) -> tuple[Benchmark, Tree]:
    """Finds which benchmark lies at a path, and where its layout begins.

    A folder is looked into before the archives that lie in it; tars of training images are passed over.

    Args:
        root: A folder or archive.
        dataset: The benchmark's name, if it is known.
        progress: Told of tars being indexed.

    Raises:
        DataError: There is nothing there, or nothing that fits a layout.
        UsageError: More than one layout fits, or there is no such benchmark.
    """
    if dataset is not None and dataset not in BENCHMARKS:
        raise UsageError(f"there is no data set {dataset!r}", hint=f"one of {', '.join(BENCHMARKS)}")
    check_root(root)
    tree = open_folder(root) if root.is_dir() else open_archives(root, is_test_tar, progress)
    fitting = _fitting(tree, dataset)
    if not fitting and not root.is_dir():
        fitting = _deeper(tree, dataset)
    elif not fitting and archives_in(root):
        archives = open_archives(root, is_test_tar, progress)
        fitting = _fitting(archives, dataset) or _deeper(archives, dataset)
        tree = archives if fitting else tree
    if not fitting:
        raise DataError(_nothing_fits(root, tree, dataset), hint=_remedy(root, tree, dataset))
    if len(fitting) > 1:
        names = ", ".join(benchmark.name for benchmark, _ in fitting)
        places = [f"{benchmark.name} in {place}/" for benchmark, place in fitting if place]
        raise UsageError(f"{root} fits more than one data set: {names}", details=places, hint="name one with --dataset")
    benchmark, below = fitting[0]
    return benchmark, Subtree(tree, below)


def _fitting(tree: Tree, dataset: str | None) -> list[tuple[Benchmark, str]]:
    wanted = [dataset] if dataset else [name for name in BENCHMARKS if name not in ASKED_FOR]
    found = []
    for name in wanted:
        benchmark = BENCHMARKS[name]
        try:
            place = benchmark.find(tree)
            if place is not None and (dataset or benchmark.fits(tree, place)):
                found.append((benchmark, place))
        except OSError:  # a folder that this user may not look into
            continue
    return found


def _deeper(tree: Tree, dataset: str | None) -> list[tuple[Benchmark, str]]:
    """Looks into the folders of an archive, into which nobody can point: the data sets nearest to its root."""
    level = [""]
    for _ in range(_DEPTH):
        level = [inside(above, name[:-1]) for above in level for name in tree.entries(above) if name.endswith("/")]
        level = level[:_FOLDERS_LOOKED_INTO]
        found = [
            (benchmark, inside(folder, place))
            for folder in level
            for benchmark, place in _fitting(Subtree(tree, folder), dataset)
        ]
        if found:
            return found
    return []


def _nothing_fits(root: Path, tree: Tree, dataset: str | None) -> str:
    wanted = (
        {dataset: BENCHMARKS[dataset]} if dataset else {name: BENCHMARKS[name] for name in ("sysu30k", "market1501")}
    )
    needs = "; ".join(f"{name} needs {benchmark.needs}" for name, benchmark in wanted.items())
    inside = tree.entries()
    shown = ", ".join(inside[:8]) + (", ..." if len(inside) > 8 else "") if inside else "nothing"
    names = next((keys[0] for folder in _SEEN if tree.has_folder(folder) and (keys := tree.images(folder))), None)
    example = f", with images such as {names.rpartition('/')[2]}" if names else ""
    return f"{root} is not the root of a known test set: {needs}; it holds {shown}{example}"


def _remedy(root: Path, tree: Tree, dataset: str | None) -> str:
    if dataset and (found := _fitting(tree, None)):
        names = " or ".join(benchmark.name for benchmark, _ in found)
        return f"it looks like {names}: name that with --dataset, or omit --dataset"
    if root.is_dir():
        below = sorted(entry for entry in root.iterdir() if entry.name[0] != "." and entry.is_dir())
        for folder in (root.parent, *below[:_FOLDERS_LOOKED_INTO]):
            with suppress(DataError):  # names that cannot be printed, in a folder that nobody asked for
                for benchmark, _ in _fitting(open_folder(folder), None):
                    return f"--data {folder} looks like {benchmark.name}"
        if archives_in(root):
            return (
                "the archives there contain something else; `sysu30k-bench data verify` shows what is wrong with them"
            )
    return "point --data at the folder above query/ and gallery/, or at the archive; unpacking is not needed"
