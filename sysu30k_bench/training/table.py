"""The images to train on, from whatever is on the disk, and those held back for validation."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from sysu30k_bench.data.benchmarks.benchmark import Benchmark
from sysu30k_bench.data.benchmarks.sysu30k import SYNTHETIC_MARK, Sysu30k, is_drawn
from sysu30k_bench.data.images import ImageSource
from sysu30k_bench.data.naming.names import parse_sysu30k
from sysu30k_bench.data.open_dataset import find_benchmark
from sysu30k_bench.data.split import Split, TestSet
from sysu30k_bench.data.trees.tree import Tree
from sysu30k_bench.data.weak.open_training_set import TrainingSet, open_training_set
from sysu30k_bench.errors import DataError, UsageError
from sysu30k_bench.progress import Progress
from sysu30k_bench.training.plans import IdentityBags, Plan, PublishedBags, WindowBags
from sysu30k_bench.training.recipe import Recipe
from sysu30k_bench.words import count


@dataclass(frozen=True)
class TrainingTable:
    """What is trained on.

    Attributes:
        source: Where the images are.
        keys: From rows to keys.
        classes: How many classes the classifiers have.
        plan: Which images, in which bags, make each batch.
        truth: (N,) int64, the true class of each image, for counting right pseudo-labels; None where nobody knows.
            No loss ever sees it.
        validation: Images held back, as a test set.
        fingerprint: Of images, bags and classes; a run resumes only with the same.
    """

    source: ImageSource
    keys: Callable[[Sequence[int]], list[str]]
    classes: int
    plan: Plan
    truth: np.ndarray | None
    validation: TestSet | None
    fingerprint: str


def open_table(root: Path, recipe: Recipe, dataset: str | None, progress: Progress) -> TrainingTable:
    """Opens what a recipe trains on.

    Args:
        root: Folder or archive of the data set.
        recipe: Says where bags come from.
        dataset: The benchmark's name, if it is known.
        progress: Told of tars being indexed.

    Raises:
        DataError: There is no such training set.
        UsageError: The recipe does not fit it.
    """
    if recipe.bags.kind == "published":
        return _published(open_training_set(root, progress=progress), recipe)
    return _strong(_labelled(root, dataset, progress), recipe)


def open_labelled(root: Path, dataset: str | None, progress: Progress) -> tuple[ImageSource, Split]:
    """Opens a benchmark's training part.

    Args:
        root: Folder or archive of the data set.
        dataset: The benchmark's name, if it is known.
        progress: Told of archives being indexed.

    Returns:
        Where the images are, and which they are.

    Raises:
        DataError: It has none.
    """
    found = _labelled(root, dataset, progress)
    return found.source, found.split


@dataclass(frozen=True)
class _Labelled:
    dataset: str
    root: Path
    source: ImageSource
    split: Split


def _published(found: TrainingSet, recipe: Recipe) -> TrainingTable:
    if found.images is None:
        raise DataError(f"{found.root} holds the lists of the training set and none of its images")
    bags = recipe.bags
    plan = PublishedBags(found.bags, found.listed, bags.bags_per_batch, bags.images_per_bag, seed=recipe.run.seed)
    if recipe.run.validation_identities:
        raise UsageError(
            "no image of this training set has a label, so none can be held out",
            hint="set run.validation_identities = 0; evaluate checkpoints on a data set with labels",
        )
    listed = found.listed
    digest = hashlib.sha256(found.bags.folder.tobytes() + found.bags.start.tobytes() + listed.counts.tobytes())
    return TrainingTable(found.images, listed.keys, len(plan.identities), plan, None, None, digest.hexdigest())


def _labelled(root: Path, dataset: str | None, progress: Progress) -> _Labelled:
    """Strong labels: a benchmark's training part, or the training folders of a drawn twin."""
    if root.is_dir() and (root / SYNTHETIC_MARK).is_file() and (root / "sysu_train_set_all").is_dir():
        found = open_training_set(root, progress=progress)
        if found.images is None:
            raise DataError(f"{root} holds no training images")
        keys = found.listed.keys(range(len(found.listed)))
        labels = [parse_sysu30k(key.rpartition("/")[2]) for key in keys]
        strange = [key for key, label in zip(keys, labels, strict=True) if label is None]
        if strange:
            named = count(len(strange), "name is", "names are")
            raise DataError(
                f"{named} not of drawn people in {root}/meta/train.txt", details=strange, hint="draw it again"
            )
        split = Split.of("train", keys, [label for label in labels if label is not None])
        return _Labelled("drawn-training", found.images.path, found.images, split)
    benchmark, place = find_benchmark(root, dataset, progress)
    try:
        split = benchmark.read(place, "train", 1)
    except DataError as error:
        raise _test_part_alone(root, benchmark, place, error) from error
    return _Labelled(benchmark.name, place.path, benchmark.images(place), split)


def _test_part_alone(root: Path, benchmark: Benchmark, place: Tree, error: DataError) -> DataError:
    """Says that a root is one to evaluate on, and what would be one to train on."""
    said = f"{root} holds the test part of {benchmark.name} and nothing that this recipe can train on"
    if not isinstance(benchmark, Sysu30k):
        hint = f"name a root that holds the training images of {benchmark.name}, too"
        return DataError(said, details=[error.message], hint=hint)
    if is_drawn(place):
        return DataError(said, hint="draw training images, too: sysu30k-bench data synth ROOT --training 40")
    return DataError(
        said, hint="its training images have labels of bags: name their ten tars, and a recipe such as sysu30k_unary"
    )


def _keys_at(keys: Sequence[str], rows: Sequence[int]) -> list[str]:
    return [keys[row] for row in rows]


_WITH_DISTRACTORS = ("market1501", "market1501-500k")
"""Where 0 and -1 are nobody; elsewhere 0 is a person."""


def _strong(data: _Labelled, recipe: Recipe) -> TrainingTable:
    split = data.split
    if data.dataset in _WITH_DISTRACTORS:
        split = split.take(np.flatnonzero(split.person_ids > 0))
    people = np.unique(split.person_ids)
    held = np.empty(0, np.int64)
    wanted = recipe.run.validation_identities
    if wanted:
        if wanted * 2 > len(people):
            raise UsageError(
                f"{wanted} of {count(len(people), 'identity', 'identities')} cannot be held out for validation",
                hint=f"at most half of them: --set run.validation_identities={len(people) // 2}",
            )
        held = np.sort(np.random.default_rng([recipe.run.seed, 9]).permutation(people)[:wanted])
    validation = _validation(data, split, held) if wanted else None
    train = split.take(np.flatnonzero(~np.isin(split.person_ids, held)))
    classes, truth = np.unique(train.person_ids, return_inverse=True)
    keys = train.keys
    bags, seed = recipe.bags, recipe.run.seed
    plan: Plan
    if bags.kind == "identities":
        plan = IdentityBags(
            truth,
            bags.identities_per_batch,
            bags.identities_per_bag,
            bags.images_per_identity,
            redraw=bags.redraw,
            seed=seed,
        )
    else:
        plan = WindowBags(truth, bags.bags_per_batch, bags.images_per_bag, draw=bags.draw, seed=seed)
    return TrainingTable(
        data.source,
        partial(_keys_at, keys),
        len(classes),
        plan,
        truth,
        validation,
        train.fingerprint,
    )


def _validation(data: _Labelled, split: Split, held: np.ndarray) -> TestSet:
    """Queries are the first image of each held identity by each camera, where each has more; else by one camera."""
    part = split.take(np.flatnonzero(np.isin(split.person_ids, held)))
    table = part.table.assign(row=np.arange(len(part)))
    several = table.groupby("person_id")["camera_id"].transform("nunique") > 1
    groups = table[several].groupby(["person_id", "camera_id"])["row"].agg(["min", "size"]).reset_index()
    enough = groups.groupby("person_id")["size"].transform("min") > 1
    first = groups[enough | ~groups.duplicated("person_id")]["min"].to_numpy()
    is_query = np.zeros(len(part), bool)
    is_query[first] = True
    query = Split("query", part.take(np.flatnonzero(is_query)).table.assign(role="query"))
    gallery = Split("gallery", part.take(np.flatnonzero(~is_query)).table.assign(role="gallery"))
    if not len(query):
        raise UsageError("no held-out identity was seen by two cameras", hint="run.validation_identities = 0")
    reason = "identities held out from training"
    return TestSet(data.dataset, data.root, data.source, query, gallery, [], [reason])
