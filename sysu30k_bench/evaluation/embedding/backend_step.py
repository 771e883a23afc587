"""Which backend runs the network of an export: the one named, the one recorded, or the one that a trial finds."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from sysu30k_bench.data.split import ROLES, TestSet
from sysu30k_bench.embeddings.manifest import read_manifest
from sysu30k_bench.errors import UsageError
from sysu30k_bench.evaluation.embedding.trial_images import filled_up, trial_images
from sysu30k_bench.evaluation.run_folder import RunFolder
from sysu30k_bench.models.backends.agreement import Reference
from sysu30k_bench.models.backends.choose import choose_backend
from sysu30k_bench.models.backends.contract import Backend, BackendRefusal
from sysu30k_bench.models.backends.registry import BackendChoice, BackendName, known, refusal_of, use_backend
from sysu30k_bench.models.embedder import Embedder, probe_dimension
from sysu30k_bench.processes import Ranks
from sysu30k_bench.progress import Progress

FEWEST_IMAGES = 1000
"""A smaller export runs in eager, without a trial."""
WORTH_SECONDS = 600.0
"""So does one that eager ends sooner than this: what is small stays the same to the last bit."""
SHARE = 0.03
MOST_SECONDS = 300.0
_TRIAL_BATCHES = 2
_CHECKED = 8


@dataclass(frozen=True)
class Chosen:
    """What runs the network.

    Attributes:
        name: The backend.
        said: Why, in a line; empty where nothing had to be chosen.
    """

    name: BackendName = "eager"
    said: str = ""


def settle_backend(
    asked: BackendChoice,
    embedder: Embedder,
    test_set: TestSet,
    batch: int,
    folder: Path | None,
    ranks: Ranks,
    progress: Progress,
    *,
    backends: Mapping[str, Backend] | None = None,
) -> Chosen:
    """Makes the embedder run by the backend that was asked for, or for `auto` by one that is settled here.

    `auto` keeps what a run folder was begun with. Otherwise it stays with eager where the whole export takes less than
    `WORTH_SECONDS`; and where it takes longer, the first process tries the backends for 3 % of that time, and all take
    what it found.

    Args:
        asked: `auto`, or a name.
        embedder: The network, on its device.
        test_set: The lists, with the source of the images.
        batch: Images in one forward pass.
        folder: The run folder, whether it exists or not; None where it has no name yet and so holds nothing.
        ranks: This process among those that share the work.
        progress: Told what happens.
        backends: In place of the real ones.

    Raises:
        UsageError: A backend that was named cannot take this network, or gives other embeddings.
        DataError: It is not installed.
    """
    if asked != "auto":
        _take(asked, embedder, test_set, batch, backends, progress)
        return Chosen(asked, f"backend {asked}, as asked" if asked != "eager" else "")
    recorded = _recorded(folder)
    if recorded is not None:
        _take(recorded, embedder, test_set, batch, backends, progress)
        return Chosen(recorded, f"backend {recorded}, as the run folder has it" if recorded != "eager" else "")
    tried = Chosen()
    if ranks.first:
        tried = _tried(embedder, test_set, batch, ranks.world, progress, backends)
    chosen = ranks.gather(tried)[0]
    if not ranks.first:
        _take(chosen.name, embedder, test_set, batch, backends, progress)
    return chosen


def _recorded(folder: Path | None) -> BackendName | None:
    if folder is None:
        return None
    for role in ROLES:
        manifest = read_manifest(RunFolder(folder).embeddings(role))
        if manifest is not None:
            return known(manifest.identity.backend)
    return None


def _take(
    name: str,
    embedder: Embedder,
    test_set: TestSet,
    batch: int,
    backends: Mapping[str, Backend] | None,
    progress: Progress,
) -> None:
    if name == "eager":
        embedder.use(None)
        return
    progress.say(f"preparing backend {name}")
    probe_dimension(embedder, embedder.mean.device)
    try:
        use_backend(embedder, name, batch, backends)
    except BackendRefusal as refusal:
        raise refusal_of(name, refusal) from refusal
    images = trial_images(test_set, embedder.input, _CHECKED).images
    if not len(images):
        return
    reference = Reference(embedder, images.to(embedder.mean.device), batch)
    distance = reference.distance(embedder)
    if not distance <= reference.limit:
        raise UsageError(
            f"--backend {name} gives embeddings different from the network's own: cosine distance {distance:.0e} on "
            f"{len(images)} images, over {reference.limit:.0e}",
            hint="omit --backend, or use --backend eager",
        )


def _tried(
    embedder: Embedder,
    test_set: TestSet,
    batch: int,
    processes: int,
    progress: Progress,
    backends: Mapping[str, Backend] | None,
) -> Chosen:
    total = sum(len(test_set.split(role)) for role in ROLES)
    if total < FEWEST_IMAGES or embedder.takes_camera:
        return Chosen()
    probe_dimension(embedder, embedder.mean.device)
    few = trial_images(test_set, embedder.input, _CHECKED).images
    if not len(few):
        return Chosen()
    predicted = _seconds(embedder, few) * total / processes
    if predicted < WORTH_SECONDS:
        return Chosen()
    decoded = trial_images(test_set, embedder.input, _TRIAL_BATCHES * batch).images
    budget = min(MOST_SECONDS, SHARE * predicted)
    progress.say(f"trying which backend is fastest, for about {budget:,.0f} s")
    images = filled_up(decoded, _TRIAL_BATCHES * batch).to(embedder.mean.device)
    choice = choose_backend(embedder, images, batch, budget, backends=backends)
    return Chosen(known(choice.name), choice.said)


def _seconds(embedder: Embedder, few: torch.Tensor) -> float:
    images = few.to(embedder.mean.device)
    embedder(images).cpu()
    started = time.perf_counter()
    embedder(images).cpu()
    return (time.perf_counter() - started) / len(images)
