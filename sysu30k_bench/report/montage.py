"""The montage of a report: query, true match, impostors; images of real people, for this machine alone."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from sysu30k_bench.data.images import DamagedImageError, ImageSource, decode
from sysu30k_bench.data.naming.dataset_names import DATASETS
from sysu30k_bench.data.open_dataset import open_test_set
from sysu30k_bench.data.split import ROLES
from sysu30k_bench.errors import DataError, UsageError
from sysu30k_bench.results.record import EvaluationRecord

_HEIGHT, _WIDTH, _QUALITY = 192, 96, 85
_IMPOSTORS, _NAMED = 6, 20


@dataclass(frozen=True)
class Tile:
    """One image.

    Attributes:
        key: Its key.
        caption: Where it was found, and its score.
        address: A data URI; empty where it does not decode.
    """

    key: str
    caption: str
    address: str

    @property
    def name(self) -> str:
        """The last part of its key, as it is shown below the image."""
        return self.key.rpartition("/")[2]


@dataclass(frozen=True)
class Strip:
    """One query with what was found for it.

    Attributes:
        query: The probe.
        match: The true match that is found first.
        impostors: The best images of other people, best first.
    """

    query: Tile
    match: Tile
    impostors: list[Tile]

    @property
    def tiles(self) -> list[tuple[str, Tile]]:
        """All of them with what they are, in the order in which they are shown."""
        return [("query", self.query), ("match", self.match), *(("impostor", tile) for tile in self.impostors)]


def open_images(record: EvaluationRecord, root: Path | None, keys: Iterable[str]) -> ImageSource:
    """Opens the images of a run.

    Args:
        record: What the run says of its data.
        root: Where they are now; where the run found them if None.
        keys: Images that the run names.

    Raises:
        DataError: There is no test set.
        UsageError: It is another one than the run's, or the run is of no images.
    """
    if record.data.dataset not in DATASETS:
        raise UsageError(
            "this run is of a features file with its own labels: there are no images", hint="omit --images"
        )
    place = root or Path(record.data.root)
    if not place.exists():
        raise DataError(f"the images are no longer at {place}", hint="name their folder with --data")
    test_set = open_test_set(place, record.data.dataset, record.data.split)
    known = {key for role in ROLES for key in test_set.split(role).keys}
    missing = sorted(set(keys) - known)
    if missing:
        raise UsageError(
            f"{place} is not the data set of the run: {len(missing)} of its images are missing",
            details=missing[:_NAMED],
            hint="name the folder of its images with --data",
        )
    return test_set.images


def strips(source: ImageSource, table: pd.DataFrame, top: pd.DataFrame, queries: Sequence[str]) -> list[Strip]:
    """Lays out some queries.

    Args:
        source: Where the images are.
        table: The run's ranking.
        top: The best gallery images of every query.
        queries: Which queries.
    """
    matched = table[table["match"] != ""].sort_values("rank_high", kind="stable").drop_duplicates("query")
    first = {str(row["query"]): row for row in matched.to_dict("records")}
    found = []
    for query in queries:
        match = first[query]
        rank = f"rank {match['rank_high']:,} of {match['ranked']:,}, {match['score']:.3f}"
        others = top[(top["query"] == query) & (top["match"] == 0)].head(_IMPOSTORS)
        found.append(
            Strip(
                _tile(source, query, ""),
                _tile(source, str(match["match"]), rank),
                [
                    _tile(source, key, f"place {place}, {score:.3f}")
                    for key, place, score in zip(others["gallery"], others["place"], others["score"], strict=True)
                ],
            )
        )
    return found


def _tile(source: ImageSource, key: str, caption: str) -> Tile:
    try:
        pixels = decode(source.read(key), _HEIGHT, _WIDTH, "bicubic")
    except DamagedImageError:
        return Tile(key, caption, "")
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0))).save(out, "JPEG", quality=_QUALITY)
    return Tile(key, caption, "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode())
