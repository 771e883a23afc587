"""The second step: embeddings to exact ranks."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path

from sysu30k_bench._version import __version__
from sysu30k_bench.data.protocol import relevance
from sysu30k_bench.embeddings.store import Store
from sysu30k_bench.errors import DataError, UsageError
from sysu30k_bench.evaluation.environment import peak_memory_bytes, this_machine
from sysu30k_bench.evaluation.request import SearchRequest
from sysu30k_bench.evaluation.run_folder import RunFolder
from sysu30k_bench.evaluation.step_notes import SEARCH_NOTES, SearchNotes, write_notes
from sysu30k_bench.files import remove_partials, remove_quietly, sha256_of_file, sha256_of_text, write_atomically
from sysu30k_bench.metrics.health import examine
from sysu30k_bench.processes import Ranks
from sysu30k_bench.progress import Progress
from sysu30k_bench.results.record import HealthRecord
from sysu30k_bench.search.engines.choose import choose_device, choose_engine
from sysu30k_bench.search.gallery import StoreGallery
from sysu30k_bench.search.graph.neighbours import GraphPlan, make_graph, part_rows_for
from sysu30k_bench.search.ranking import RANKING_NAME, TOP_NAME, make_ranking, top_table
from sysu30k_bench.search.search import UNIT_TOLERANCE, block_rows_for, search

_KEPT = "search-state"


def search_step(
    folder: RunFolder, request: SearchRequest, progress: Progress, ranks: Ranks | None = None
) -> SearchNotes:
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
    _require_same_model(query, gallery)
    ranks = ranks or Ranks()
    _tidy(folder, ranks)
    device = choose_device(request.device, ranks.local_rank)
    work = float(len(query)) * len(gallery) * query.dimension
    engine, reason = choose_engine(request.engine, device, request.filter, work)
    query_labels, gallery_labels = query.labels(), gallery.labels()
    relevant = relevance(
        query_labels.person_id, query_labels.camera_id, gallery_labels.person_id, gallery_labels.camera_id
    )
    if not len(relevant.match_query):
        raise DataError("no query has a match in the gallery", hint="look for damaged images, or export again")
    reach = request.top_k + int(relevant.match_counts.max()) + 1
    embeddings = query.embeddings()
    result = search(
        embeddings,
        StoreGallery(gallery, gallery_labels.key, ranks),
        relevant,
        engine,
        top_k=reach,
        block_rows=block_rows_for(request.memory, len(query), query.dimension),
        unit_tolerance=UNIT_TOLERANCE[gallery.identity.dtype],
        progress=progress,
        ranks=ranks,
        keep=_kept_name(folder, reach, ranks),
    )
    ranking = make_ranking(result, relevant, query_labels.key, gallery_labels.key, list(query_labels.damaged))
    path = folder.path / RANKING_NAME
    if ranks.first:
        ranking.write(folder.path)
        top = top_table(result, relevant, query_labels.key, gallery_labels.key, request.top_k)
        write_atomically(folder.path / TOP_NAME, top.to_csv(index=False, lineterminator="\n").encode())
    ranks.gather(None)
    health = examine(embeddings, result.top_position, result.top_score)
    notes = SearchNotes(
        health=HealthRecord(**asdict(health)),
        warnings=health.warnings,
        machine=this_machine(device),
        engine=engine.description,
        engine_reason=reason,
        gallery=len(gallery_labels.key),
        top_k=request.top_k,
        seconds=time.perf_counter() - started,
        peak_memory_bytes=peak_memory_bytes(),
        ranking_sha256=sha256_of_file(path),
        top_sha256=sha256_of_file(folder.path / TOP_NAME),
        stores=folder.stores(),
    )
    if ranks.first:
        write_notes(folder.path / SEARCH_NOTES, notes)
        for left in folder.path.glob(f"{_KEPT}-*.npz"):
            remove_quietly(left)
    return notes


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


def _require_same_model(query: Store, gallery: Store) -> None:
    apart = [line for line in query.identity.differences(gallery.identity) if not line.startswith(("role:", "split:"))]
    if apart or query.dimension != gallery.dimension:
        raise UsageError(
            "query and gallery were not embedded by the same model",
            details=apart,
            hint="export both with one command",
        )
