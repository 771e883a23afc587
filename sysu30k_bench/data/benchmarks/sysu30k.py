"""The SYSU-30k test set as its archive unpacks: `query/`, `gallery/` and in it `0000others/`."""

from __future__ import annotations

import re

from sysu30k_bench.data.benchmarks.benchmark import Benchmark, inside, places_with, read_folder
from sysu30k_bench.data.naming.meta_lists import compare_with_meta_list
from sysu30k_bench.data.naming.names import SYSU30K_DISTRACTOR, parse_sysu30k
from sysu30k_bench.data.naming.recognise import count_others, namings_of
from sysu30k_bench.data.split import ROLES, Role, Split
from sysu30k_bench.data.trees.tree import Tree
from sysu30k_bench.errors import DataError
from sysu30k_bench.words import count

SYNTHETIC_MARK = "SYNTHETIC.json"
"""The file by which `data synth` marks what it drew."""

DRAWN = "the images were drawn by `data synth`"
"""Why a run on a twin is not official."""

_RELEASED = "SYSU-30k-released"
_ABOVE = ("", _RELEASED, f"{_RELEASED}/{_RELEASED}")
_TEST = [*(f"{above}/sysu_test_set_all".strip("/") for above in _ABOVE), *_ABOVE, "test/sysu_test_set_all"]
_TRAIN = [f"{above}/sysu_train_set_all".strip("/") for above in _ABOVE]
_TRAIN_FOLDER = re.compile(r"(?:^|/)[0-9]{10}/[^/]+$")


class Sysu30k(Benchmark):
    """Identities and cameras come from the file names, as in the reference script; folder names only order the files.

    Where the published lists (`meta/query.txt`, `meta/gallery.txt`) are beside the images, the two are compared.
    """

    name = "sysu30k"
    needs = "query/ and gallery/ with names such as 000028311_c1_1.jpg"
    distractors = frozenset({SYSU30K_DISTRACTOR})

    def find(self, tree: Tree) -> str | None:
        """See `Benchmark`; a place whose queries have the names of another benchmark is passed over."""
        for place in places_with(tree, ["", *_TEST], "query", "gallery"):
            namings = namings_of(tree.images(inside(place, "query")))
            if self.name in namings or not namings:
                return place
        return None

    def fits(self, tree: Tree, place: str) -> bool:
        """See `Benchmark`; other data sets, too, are sorted into `query/` and `gallery/`."""
        return self.name in namings_of(tree.images(inside(place, "query")))

    def read(self, place: Tree, role: Role, split: int) -> Split:  # noqa: ARG002
        """See `Benchmark`; the training set has no labels of images, and is read by `data.training`."""
        if role == "train":
            raise DataError("the training set of SYSU-30k has only labels of bags", hint="see `data stats` and `train`")
        example = "000028311_c1_1.jpg or 0000others_c1_17.jpg"
        return read_folder(place, role, role, parse_sysu30k, example, self.distractors)

    def remarks(self, place: Tree, query: Split, gallery: Split) -> tuple[list[str], list[str]]:
        """See `Benchmark`."""
        warnings: list[str] = []
        reasons: list[str] = []
        for role, split in zip(ROLES, (query, gallery), strict=True):
            files = [key[len(role) + 1 :] for key in split.keys]
            strays = _in_folder_of_another(files)
            if strays:
                lying = count(len(strays), f"{role} image lies", f"{role} images lie")
                warnings.append(
                    f"{lying} in the folder of another identity; the file name decides, as in the reference "
                    f"(first: {strays[0]})"
                )
            if others := count_others(files, self.name):
                named = count(others, f"{role} image is", f"{role} images are")
                reasons.append(f"{named} not named as SYSU-30k's (such as 000028311_c1_1.jpg)")
            reasons += compare_with_meta_list(place, role, files)
        return warnings, reasons


def is_drawn(place: Tree) -> bool:
    """Whether `data synth` drew the images."""
    return place.size(SYNTHETIC_MARK) >= 0 or place.size(f"../{SYNTHETIC_MARK}") >= 0


def find_training(tree: Tree) -> str | None:
    """Returns the folder whose sub-folders are the ten-digit ones of the training set, or None."""
    for place in _TRAIN:
        if tree.has_folder(place):
            return place
    names = tree.entries()
    return "" if any(re.fullmatch(r"[0-9]{10}/", name) for name in names) else None


def is_training_tar(names: list[str]) -> bool:
    """Whether a tar that begins with these members holds training images."""
    return any(_TRAIN_FOLDER.search(name) for name in names)


def is_test_tar(names: list[str]) -> bool:
    """Whether a tar that begins with these members may belong to the test set."""
    return bool(names) and not is_training_tar(names)


def _in_folder_of_another(files: list[str]) -> list[str]:
    strays = []
    for file in files:
        folder, _, name = file.rpartition("/")
        if folder and not name.startswith(folder.rpartition("/")[2]):
            strays.append(file)
    return strays
