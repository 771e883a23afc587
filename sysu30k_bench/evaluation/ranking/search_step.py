"""The second step: embeddings to exact ranks."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from sysu30k_bench._version import __version__
from sysu30k_bench.embeddings.store import Store
from sysu30k_bench.errors import UsageError
from sysu30k_bench.evaluation.ranking.rank_gallery import rank_gallery
from sysu30k_bench.evaluation.request import SearchRequest
from sysu30k_bench.evaluation.run_folder import RunFolder
from sysu30k_bench.evaluation.step_notes import SEARCH_NOTES, SearchNotes, write_notes
from sysu30k_bench.files import remove_partials, remove_quietly, sha256_of_text
from sysu30k_bench.processes import Ranks
from sysu30k_bench.progress import Progress
from sysu30k_bench.search.engines.choose import choose_device, choose_engine
from sysu30k_bench.search.gallery import StoreGallery
from sysu30k_bench.search.graph.neighbours import GraphPlan, make_graph, part_rows_for
from sysu30k_bench.search.ranking import Ranking
from sysu30k_bench.words import count

_KEPT = "search-state"


@dataclass(frozen=True)
class Searched:
    """A searched run folder: the files' content as objects, so that the next step does not read them back.

    Attributes:
        notes: As `search.json` has them.
        ranking: As `ranking.csv` has it.
        top: As `top.csv` has it; None where a later command read the folder.
    """

    notes: SearchNotes
    ranking: Ranking
    top: pd.DataFrame | None


def search_step(folder: RunFolder, request: SearchRequest, progress: Progress, ranks: Ranks | None = None) -> Searched:
    """Ranks the gallery's store for the query store, and leaves `ranking.csv`, `top.csv` and `search.json`.

    Args:
        folder: The run folder, exported.
        request: How to search.
        progress: Told of gallery rows done.
        ranks: This process among those that share the gallery's shards; the first one writes.

    Raises:
        DataError: A store is missing or unfinished, or no query has a match.
        IntegrityError: A store is damaged, or holds NaN.
        UsageError: The two stores were made by different models.
    """
    started = time.perf_counter()
    query, gallery = (Store.open(folder.embeddings(role)) for role in ("query", "gallery"))
    require_same_model(query, gallery)
    ranks = ranks or Ranks()
    _tidy(folder, ranks)
    query_labels, gallery_labels = query.labels(), gallery.labels()
    ranked = rank_gallery(
        query.embeddings(),
        StoreGallery(gallery, gallery_labels.key, ranks),
        (query_labels, gallery_labels),
        request,
        storage=gallery.identity.dtype,
        progress=progress,
        ranks=ranks,
        keep=lambda reach: _kept_name(folder, reach, ranks),
    )
    if ranks.first:
        ranked.write(folder.path)
    ranks.gather(None)
    notes = replace(ranked, seconds=time.perf_counter() - started).notes(folder.stores())
    if ranks.first:
        write_notes(folder.path / SEARCH_NOTES, notes)
        for left in folder.path.glob(f"{_KEPT}-*.npz"):
            remove_quietly(left)
    return Searched(notes, ranked.ranking, ranked.top)


def neighbours_step(folder: RunFolder, request: SearchRequest, progress: Progress, ranks: Ranks | None = None) -> Path:
    """Finds the nearest other images of every gallery image, and leaves `neighbours.h5`.

    Args:
        folder: The run folder, exported.
        request: How to search; `top_k` neighbours of each.
        progress: Told of rows done.
        ranks: This process among those that share the work.

    Returns:
        The file.

    Raises:
        DataError: The store is missing or unfinished.
        IntegrityError: It is damaged.
    """
    ranks = ranks or Ranks()
    _tidy(folder, ranks)
    store = Store.open(folder.embeddings("gallery"))
    device = choose_device(request.device, ranks.local_rank)
    engine, _ = choose_engine(request.engine, device, request.filter, float(len(store)) ** 2 * store.dimension)
    others = len(store) - 1
    if request.top_k > others:
        said = f"each image has {count(others, 'other')}, not {request.top_k:,}: the places behind them hold -1"
        progress.say(f"neighbours: {said}")
    plan = GraphPlan(request.top_k, request.memory, part_rows_for(store.dimension))
    return make_graph(store, folder.path, engine, plan, progress, ranks)


def _tidy(folder: RunFolder, ranks: Ranks) -> None:
    """Removes what a killed search was writing, before any process writes again."""
    if ranks.first:
        remove_partials(folder.path)
    ranks.gather(None)


def _kept_name(folder: RunFolder, reach: int, ranks: Ranks) -> Path:
    """A name that stands for everything on which a half-finished search depends."""
    decisive = json.dumps([folder.stores(), reach, ranks.world, __version__], sort_keys=True)
    return folder.path / f"{_KEPT}-{sha256_of_text(decisive)[:16]}-{ranks.rank}.npz"


def require_same_model(query: Store, gallery: Store) -> None:
    """Refuses stores of two models.

    Raises:
        UsageError: They are.
    """
    apart = [line for line in query.identity.differences(gallery.identity) if not line.startswith(("role:", "split:"))]
    if apart or query.dimension != gallery.dimension:
        raise UsageError(
            "query and gallery were not embedded by the same model",
            details=apart,
            hint="export both with one command",
        )
