"""From a path to the training set: its images, its list, its bags; whichever of them exist."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sysu30k_bench.data.benchmarks.sysu30k import find_training, is_training_tar
from sysu30k_bench.data.trees.open_tree import archives_in, check_root, open_archives, open_folder
from sysu30k_bench.data.trees.tree import Subtree, Tree
from sysu30k_bench.data.weak.bag_file import BagFile, OffsetReport, compare_offsets, fitting_offset, read_bag_file
from sysu30k_bench.data.weak.bags import Bags, bags_by_rule
from sysu30k_bench.data.weak.training_list import TrainingList, list_training_images, read_train_txt
from sysu30k_bench.errors import DataError, IntegrityError, UsageError
from sysu30k_bench.progress import Progress
from sysu30k_bench.words import count

_RELEASED = "SYSU-30k-released"
_BESIDE = ("", "meta", f"{_RELEASED}/meta", f"{_RELEASED}/{_RELEASED}/meta", "../meta", "..")
_MOST_IDENTITIES = 1_000_000
_BAG_NAMES = ("bag_level_label.json", "bag_level_label.txt")


class NoTrainingSetError(DataError):
    """There is nothing of the training set."""


@dataclass(frozen=True)
class TrainingSet:
    """What is on this disk.

    Attributes:
        root: The path that was named.
        images: Where the images are, by key; None where only lists exist.
        listed: The images, by `train.txt` where there is one, else as they are.
        bags: Which folders make a bag.
        id_offset: Folder number less label, as given or found.
        bag_file: The authors' file, where it exists.
        offsets: How both readings of its labels fit.
        notes: What the user should know.
    """

    root: Path
    images: Tree | None
    listed: TrainingList
    bags: Bags
    id_offset: int
    bag_file: BagFile | None
    offsets: list[OffsetReport]
    notes: list[str]


def open_training_set(root: Path, id_offset: int | None = None, progress: Progress | None = None) -> TrainingSet:
    """Reads the training set below a folder, or in tars.

    Args:
        root: The folder that holds `sysu_train_set_all/`, the ten-digit folders, the tars, or `train.txt`.
        id_offset: Folder number less label of a bag; found by the folders that exist where None.
        progress: Told of tars being indexed.

    Raises:
        DataError: There is nothing of it.
        IntegrityError: The lists are damaged.
        UsageError: Both readings of the bags' labels fit as well.
    """
    check_root(root)
    images = _images(root, progress)
    folder = root if root.is_dir() else root.parent
    list_path = _first(folder, ("train.txt",))
    notes: list[str] = []
    if list_path is not None:
        listed = read_train_txt(list_path)
    elif images is not None:
        listed = list_training_images(images, "")
        notes.append("there is no train.txt: the images are listed as they are")
    else:
        raise NoTrainingSetError(
            f"{root} holds no training set: no sysu_train_set_all/, no ten-digit folders or tars of them, no train.txt",
            hint="name the folder that holds the ten tars, or what they unpack to, and meta/train.txt beside it",
        )
    bag_path = _first(folder, _BAG_NAMES)
    if bag_path is None:
        notes.append("there is no bag_level_label.json: the bags are made by its rule")
        offset = 1 if id_offset is None else id_offset
        identities = int(listed.folders.max()) + 1 - offset
        if identities > _MOST_IDENTITIES:
            raise IntegrityError(f"a folder of {root} is called {listed.folders.max():010d}, and there are 28,310")
        bags = bags_by_rule(identities, offset)
        return TrainingSet(root, images, listed, bags, offset, None, [], [*notes, *listed.notes])
    bag_file = read_bag_file(bag_path)
    offsets = compare_offsets(bag_file, listed.folders)
    chosen = fitting_offset(offsets) if id_offset is None else id_offset
    if chosen is None:
        raise UsageError(
            f"the labels of {bag_path.name} fit the folders as well from 0 as from 1", hint="choose with --id-offset"
        )
    bags = bag_file.bags(chosen)
    report = offsets[chosen]
    if report.missing:
        named = count(len(report.missing), "folder that bags name has", "folders that bags name have")
        notes.append(f"{named} no images (first: {report.missing[0]:010d})")
    return TrainingSet(root, images, listed, bags, chosen, bag_file, offsets, [*notes, *bags.notes, *listed.notes])


def _images(root: Path, progress: Progress | None) -> Tree | None:
    if root.is_dir():
        tree = open_folder(root)
        place = find_training(tree)
        if place is not None:
            return Subtree(tree, place)
        if not archives_in(root):
            return None
    archives = open_archives(root, is_training_tar, progress)
    place = find_training(archives)
    return None if place is None else Subtree(archives, place)


def _first(folder: Path, names: tuple[str, ...]) -> Path | None:
    for beside in _BESIDE:
        for name in names:
            path = folder / beside / name
            if path.is_file():
                return path
    return None
