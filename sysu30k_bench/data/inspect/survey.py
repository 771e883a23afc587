"""What there is at a path: the test set, the training set, or both."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sysu30k_bench.data.benchmarks.benchmark import Benchmark
from sysu30k_bench.data.images import ImageSource
from sysu30k_bench.data.inspect.contact_sheet import Row, draw_evenly, pack
from sysu30k_bench.data.inspect.stats import Part, Stats, assemble, bag_stats, part_of, part_of_training
from sysu30k_bench.data.open_dataset import find_benchmark
from sysu30k_bench.data.split import Split
from sysu30k_bench.data.trees.tree import Tree
from sysu30k_bench.data.weak.open_training_set import NoTrainingSetError, TrainingSet, open_training_set
from sysu30k_bench.errors import DataError
from sysu30k_bench.progress import Progress


@dataclass(frozen=True)
class Survey:
    """Everything that was found.

    Attributes:
        root: Where.
        benchmark: The test's reader, if there is a test.
        place: Where its layout begins.
        split: Which of its standard splits.
        training: The weakly labelled training set, if it exists.
        untested: Why there is no test, beside a training set.
    """

    root: Path
    benchmark: Benchmark | None
    place: Tree | None
    split: int
    training: TrainingSet | None
    untested: str = ""

    def parts(self) -> list[Split]:
        """Reads every part of the benchmark that exists."""
        found = []
        if self.benchmark is not None and self.place is not None:
            for role in ("train", "query", "gallery"):
                try:
                    found.append(self.benchmark.read(self.place, role, self.split))
                except DataError:
                    if role != "train":
                        raise
        return found

    def images(self) -> ImageSource | None:
        """Where the images of the benchmark are."""
        return None if self.benchmark is None or self.place is None else self.benchmark.images(self.place)


def survey(
    root: Path,
    dataset: str | None = None,
    split: int | None = None,
    id_offset: int | None = None,
    progress: Progress | None = None,
) -> Survey:
    """Looks for a benchmark and for the training set of SYSU-30k at a path.

    A training set alone is enough, unless a benchmark is named; why there is no test is then said in `untested`.

    Args:
        root: A folder or archive.
        dataset: The benchmark's name, if it is known.
        split: Which of its standard splits.
        id_offset: Folder number less label of a bag.
        progress: Told of tars being indexed.

    Raises:
        DataError: There is neither, or not the benchmark that was named.
    """
    training: TrainingSet | None = None
    with suppress(NoTrainingSetError):
        training = open_training_set(root, id_offset, progress)
    try:
        benchmark, place = find_benchmark(root, dataset, progress)
    except DataError as error:
        if training is None or dataset is not None:
            raise
        return Survey(root, None, None, 1, training, error.message)
    return Survey(root, benchmark, place, split or 1, training)


def stats_of(found: Survey) -> Stats:
    """Counts everything that was found."""
    parts: list[Part] = [part_of(split) for split in found.parts()]
    notes: list[str] = []
    bags = None
    if found.training is not None:
        parts.insert(0, part_of_training(found.training.listed))
        bags = bag_stats(found.training.bags, found.training.listed)
        notes += found.training.notes
    if found.untested:
        notes.append(f"no test set: {found.untested}")
    if found.benchmark is not None and found.benchmark.note:
        notes.append(found.benchmark.note)
    return assemble(found.benchmark.name if found.benchmark else "sysu30k", str(found.root), parts, notes, bags)


def sheet_of_bags(found: TrainingSet, rows: int, columns: int, seed: int) -> list[Row]:
    """Draws bags, and images of each.

    Args:
        found: The training set.
        rows: Bags wanted.
        columns: Images of each.
        seed: Of the drawing.
    """
    rng = np.random.default_rng(seed)
    drawn = []
    for bag in draw_evenly(len(found.bags), rows, rng):
        images = found.bags.rows_of(bag, found.listed)
        keys = found.listed.keys(images[draw_evenly(len(images), columns, rng)].tolist())
        people = ", ".join(str(folder) for folder in found.bags.folders_of(bag))
        drawn.append(Row(f"bag {found.bags.number[bag]}: folders {people}; {len(images)} images", keys))
    return drawn


def sheet_of_people(parts: list[Split], rows: int, columns: int, seed: int) -> list[Row]:
    """Draws identities of the test, and images of each, the query first, until they fill the rows.

    Args:
        parts: Query and gallery.
        rows: Lines of the sheet wanted; identities with few images share one.
        columns: Images in a line, and of an identity at most.
        seed: Of the drawing.
    """
    rng = np.random.default_rng(seed)
    tested = [part for part in parts if part.role != "train"]
    people = np.unique(tested[0].person_ids)
    drawn: list[Row] = []
    for place in rng.permutation(len(people)):
        held = [part.take(np.flatnonzero(part.person_ids == people[place])).keys for part in tested]
        keys = [key for some in held for key in some]
        number = f"{people[place]}, {len(keys)} image{'s' if len(keys) != 1 else ''}"
        drawn.append(Row(number, keys[:columns], queries=min(len(held[0]), columns)))
        if len(pack(drawn, columns)) > rows:
            return drawn[:-1]
    return drawn
