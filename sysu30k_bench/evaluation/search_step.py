"""The second step: embeddings to exact ranks."""

from __future__ import annotations

import time
from dataclasses import asdict

from sysu30k_bench.data.protocol import relevance
from sysu30k_bench.embeddings.store import Store
from sysu30k_bench.errors import DataError, UsageError
from sysu30k_bench.evaluation.environment import peak_memory_bytes, this_machine
from sysu30k_bench.evaluation.notes import SEARCH_NOTES, SearchNotes, write_notes
from sysu30k_bench.evaluation.request import SearchRequest
from sysu30k_bench.evaluation.run_folder import RunFolder
from sysu30k_bench.files import sha256_of_file, write_atomically
from sysu30k_bench.metrics.health import examine
from sysu30k_bench.progress import Progress
from sysu30k_bench.results.record import HealthRecord
from sysu30k_bench.search.choose import choose_device, choose_engine
from sysu30k_bench.search.gallery import StoreGallery
from sysu30k_bench.search.ranking import TOP_NAME, make_ranking, top_table
from sysu30k_bench.search.search import UNIT_TOLERANCE, block_rows_for, search


def search_step(folder: RunFolder, request: SearchRequest, progress: Progress) -> SearchNotes:
    """Ranks the gallery's store for the query store, and leaves `ranking.csv`, `top.csv` and `search.json`.

    Args:
        folder: The run folder, exported.
        request: How to search.
        progress: Told of gallery rows done.

    Raises:
        DataError: A store is missing or unfinished, or no query has a match.
        IntegrityError: A store is damaged, or holds NaN.
        UsageError: The two stores were made by different models.
    """
    started = time.perf_counter()
    query, gallery = (Store.open(folder.embeddings(role)) for role in ("query", "gallery"))
    _require_same_model(query, gallery)
    device = choose_device(request.device)
    engine, reason = choose_engine(request.engine, device)
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
        StoreGallery(gallery, gallery_labels.key),
        relevant,
        engine,
        top_k=reach,
        block_rows=block_rows_for(request.memory, len(query), query.dimension),
        unit_tolerance=UNIT_TOLERANCE[gallery.identity.dtype],
        progress=progress,
    )
    ranking = make_ranking(result, relevant, query_labels.key, gallery_labels.key, list(query_labels.damaged))
    path = ranking.write(folder.path)
    top = top_table(result, relevant, query_labels.key, gallery_labels.key, request.top_k)
    write_atomically(folder.path / TOP_NAME, top.to_csv(index=False, lineterminator="\n").encode())
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
        stores=folder.stores(),
    )
    write_notes(folder.path / SEARCH_NOTES, notes)
    return notes


def _require_same_model(query: Store, gallery: Store) -> None:
    apart = [line for line in query.identity.differences(gallery.identity) if not line.startswith(("role:", "split:"))]
    if apart or query.dimension != gallery.dimension:
        raise UsageError(
            "query and gallery were not embedded by the same model",
            details=apart,
            hint="export both with one command",
        )
