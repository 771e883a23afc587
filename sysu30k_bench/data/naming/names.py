"""Identity and camera, as the file names of each benchmark give them.

Labels below 0 are nobody's, in every benchmark; no naming rule gives a person one. From 0 on a label is a person's, but
where a benchmark says that it is a distractor's (`Benchmark.distractors`).
"""

from __future__ import annotations

import re
from typing import NamedTuple

SYSU30K_DISTRACTOR = -1000
"""Label of SYSU-30k's `0000others`: ranked, and nobody's match."""

MARKET1501_DISTRACTOR = 0
"""Label of Market-1501's `0000` images: ranked, and nobody's match."""

JUNK = -1
"""Label of images that are taken out of every ranking."""

NOT_ASKED_FOR = -2
"""Label of a query that shows nobody, where the benchmark's own label for that would be a person's elsewhere."""

_SYSU30K = re.compile(r"(?P<person>[^_]+)_c(?P<camera>[0-9]{1,9})(?![0-9])")
_MARKET1501 = re.compile(r"(?P<person>-1|[0-9]{1,18})_c(?P<camera>[0-9]{1,9})(?![0-9])")
_IDENTITY = re.compile(r"[0-9]{1,18}")
_DUKEMTMC = re.compile(r"(?P<person>[0-9]{1,18})_c(?P<camera>[0-9]{1,9})_f[0-9]+")
_CUHK03_NP = re.compile(r"(?P<person>[0-9]{1,18})_c(?P<camera>[0-9]{1,9})_[0-9]+\.")
_MSMT17 = re.compile(r"(?P<person>[0-9]{1,18})_[0-9]+_(?P<camera>[0-9]{1,9})_")
_CAM_FOLDER = re.compile(r"(?P<person>[0-9]{1,18})_[0-9]+\.")
_PRID2011 = re.compile(r"person_(?P<person>[0-9]{1,18})\.")
_FOUR_AND_THREE = re.compile(r"(?P<person>[0-9]{4})(?P<number>[0-9]{3})\.")


class Labels(NamedTuple):
    """What a file name says."""

    person_id: int
    camera_id: int


def parse_sysu30k(name: str) -> Labels | None:
    """Reads a SYSU-30k test name such as `000028311_c1_1.jpg` or `0000others_c1_17.jpg`.

    The identity is the part before the first underscore; one that begins with `0000others` is a distractor. The camera
    is the whole number after `_c`: the authors' script took the one character after the first `c` of the name, which
    is the same on every published name and wrong for camera 12.

    Args:
        name: The file's base name.

    Returns:
        The labels, or None where the name does not follow the rule.
    """
    match = _SYSU30K.match(name)
    if match is None:
        return None
    person = match["person"]
    if person.startswith("0000others"):
        return Labels(SYSU30K_DISTRACTOR, int(match["camera"]))
    if _IDENTITY.fullmatch(person) is None:
        return None
    return Labels(int(person), int(match["camera"]))


def parse_market1501(name: str) -> Labels | None:
    """Reads a Market-1501 name such as `0002_c1s1_000451_03.jpg`; `0000` is a distractor and `-1` is junk.

    Args:
        name: The file's base name.

    Returns:
        The labels, or None where the name does not follow the rule.
    """
    return _labels(_MARKET1501.match(name))


def parse_dukemtmc(name: str) -> Labels | None:
    """Reads a DukeMTMC-reID name such as `0005_c2_f0046985.jpg`."""
    return _labels(_DUKEMTMC.match(name))


def parse_cuhk03_np(name: str) -> Labels | None:
    """Reads a name of CUHK03's new-protocol folders such as `0003_c1_21.png`."""
    return _labels(_CUHK03_NP.match(name))


def parse_msmt17(name: str) -> Labels | None:
    """Reads an MSMT17 name such as `0000_000_01_0303morning_0008_0.jpg`; the camera is the third part."""
    return _labels(_MSMT17.match(name))


def parse_cam_folder(name: str) -> Labels | None:
    """Reads a VIPeR name such as `000_45.bmp`; the folder says which camera."""
    match = _CAM_FOLDER.match(name)
    return None if match is None else Labels(int(match["person"]), 0)


def parse_prid2011(name: str) -> Labels | None:
    """Reads a PRID-2011 name such as `person_0001.png`; the folder says which camera."""
    match = _PRID2011.match(name)
    return None if match is None else Labels(int(match["person"]), 0)


def parse_cuhk01(name: str) -> Labels | None:
    """Reads a CUHK01 name such as `0001003.png`: images 1 and 2 are camera 1's, 3 and 4 camera 2's."""
    return _numbered(name, 2)


def parse_caviar(name: str) -> Labels | None:
    """Reads a CAVIAR4REID name such as `0001011.jpg`: images 1 to 10 are one camera's, 11 to 20 the other's."""
    return _numbered(name, 10)


def _numbered(name: str, of_first_camera: int) -> Labels | None:
    match = _FOUR_AND_THREE.match(name)
    return None if match is None else Labels(int(match["person"]), 1 if int(match["number"]) <= of_first_camera else 2)


def _labels(match: re.Match[str] | None) -> Labels | None:
    return None if match is None else Labels(int(match["person"]), int(match["camera"]))
