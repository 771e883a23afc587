"""The SYSU-30k test set as its archive unpacks: `query/`, `gallery/` and in it `0000others/`."""

from __future__ import annotations

from pathlib import Path

from sysu30k_bench.data.labelling import label_files
from sysu30k_bench.data.listing import image_files
from sysu30k_bench.data.meta_lists import compare_with_meta_list
from sysu30k_bench.data.names import parse_sysu30k
from sysu30k_bench.data.published import published_counts
from sysu30k_bench.data.split import ROLES, Role, Split, TestSet
from sysu30k_bench.errors import DataError

NAME = "sysu30k"
SYNTHETIC_MARK = "SYNTHETIC.json"
"""The file by which `data synth` marks what it drew."""

_BELOW = ("", "sysu_test_set_all", "SYSU-30k-released", "SYSU-30k-released/sysu_test_set_all",
          "SYSU-30k-released/SYSU-30k-released/sysu_test_set_all", "test/sysu_test_set_all")  # fmt: skip


def find_root(root: Path) -> Path | None:
    """Finds the folder that holds `query/` and `gallery/`, at `root` or where the published tree puts it below."""
    for below in _BELOW:
        candidate = root / below
        if (candidate / "query").is_dir() and (candidate / "gallery").is_dir():
            return candidate
    return None


def read(root: Path) -> TestSet:
    """Reads the test set from an unpacked folder.

    Identities and cameras come from the file names, as in the reference script; folder names only order the files.
    Where the published lists (`meta/query.txt`, `meta/gallery.txt`) are beside the images, the two are compared.

    Args:
        root: The folder that holds `query/` and `gallery/`, or one of the folders above it in the published tree.

    Returns:
        The test set; its keys start with `query/` or `gallery/`.

    Raises:
        DataError: A folder is missing or empty, or names do not parse.
    """
    place = find_root(root)
    if place is None:
        raise DataError(f"{root} does not hold query/ and gallery/")
    warnings: list[str] = []
    reasons: list[str] = []
    splits: dict[Role, Split] = {}
    for role in ROLES:
        files = image_files(place / role)
        if not files:
            raise DataError(
                f"there is no image in {place / role}",
                hint="unpack sysu_test_set_all.tar whole (`tar xvf`); --data is the folder above query/ and gallery/",
            )
        labels = label_files(place / role, files, parse_sysu30k, "000028311_c1_1.jpg or 0000others_c1_17.jpg")
        splits[role] = Split.of(role, [f"{role}/{file}" for file in files], labels)
        strays = _in_folder_of_another(files)
        if strays:
            warnings.append(
                f"{len(strays)} {role} images lie in the folder of another identity; the file name decides, "
                f"as in the reference (first: {strays[0]})"
            )
        reasons += compare_with_meta_list(place, role, files)
    notes, count_reasons = published_counts()[NAME].compare(len(splits["query"]), len(splits["gallery"]))
    drawn = any((folder / SYNTHETIC_MARK).is_file() for folder in (place, place.parent))
    if drawn:
        reasons.append("the images were drawn by `data synth`")
    return TestSet(NAME, place, splits["query"], splits["gallery"], warnings + notes, reasons + count_reasons, drawn)


def _in_folder_of_another(files: list[str]) -> list[str]:
    strays = []
    for file in files:
        folder, _, name = file.rpartition("/")
        if folder and not name.startswith(folder.rpartition("/")[2]):
            strays.append(file)
    return strays
