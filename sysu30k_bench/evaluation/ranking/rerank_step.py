"""Re-ranking of a run by k-reciprocal neighbours: a ranking beside the protocol's, never in its place."""

from __future__ import annotations

import json
from pathlib import Path

from sysu30k_bench._version import __version__
from sysu30k_bench.data.protocol import relevance
from sysu30k_bench.embeddings.store import Store
from sysu30k_bench.evaluation.ranking.search_step import require_same_model
from sysu30k_bench.evaluation.request import SearchRequest
from sysu30k_bench.evaluation.run_folder import RunFolder
from sysu30k_bench.evaluation.step_notes import SEARCH_NOTES
from sysu30k_bench.files import remove_partials, remove_quietly, sha256_of_file, sha256_of_text
from sysu30k_bench.progress import Progress
from sysu30k_bench.sealed import SealedDocument
from sysu30k_bench.search.engines.choose import choose_device, choose_engine
from sysu30k_bench.search.gallery import StoreGallery
from sysu30k_bench.search.graph.reciprocal import RerankSettings
from sysu30k_bench.search.graph.rerank import rerank
from sysu30k_bench.search.norms import UNIT_TOLERANCE
from sysu30k_bench.search.ranking import make_ranking

RERANKED = "reranked"


class RerankNotes(SealedDocument):
    """The notes beside a re-ranking.

    Attributes:
        k1: As in `RerankSettings`.
        k2: As in `RerankSettings`.
        weight: As in `RerankSettings`.
        stores: SHA-256 of each role's `manifest.json`, by role.
        ranking_sha256: Digest of `ranking.csv`.
    """

    k1: int
    k2: int
    weight: float
    stores: dict[str, str]
    ranking_sha256: str


def notes_beside(path: Path) -> RerankNotes | None:
    """Reads the notes of a re-ranking beside a `ranking.csv`, or in its folder; None of any other ranking."""
    folder = path if path.is_dir() else path.parent
    try:
        return RerankNotes.model_validate_json((folder / SEARCH_NOTES).read_bytes())
    except (OSError, ValueError):
        return None


def rerank_step(folder: RunFolder, request: SearchRequest, settings: RerankSettings, progress: Progress) -> Path:
    """Re-ranks the gallery, and writes `reranked/ranking.csv`, which `score` reads, and notes of the settings.

    An interrupted run resumes from the neighbours that it had found.

    Args:
        folder: The run folder, exported.
        request: How to search for neighbours.
        settings: Of the re-ranking.
        progress: Told of rows that were compared.

    Raises:
        DataError: A store is missing or unfinished.
        UsageError: There are fewer images than neighbours are asked for, or the stores are of two models.
    """
    query, gallery = (Store.open(folder.embeddings(role)) for role in ("query", "gallery"))
    require_same_model(query, gallery)
    ours, theirs = query.labels(), gallery.labels()
    relevant = relevance(ours.person_id, ours.camera_id, theirs.person_id, theirs.camera_id)
    count = float(len(query) + len(gallery))
    reranked = folder.path / RERANKED
    decisive = [folder.stores(), max(settings.k1 + 1, settings.k2), __version__]
    keep = reranked / f"neighbours-{sha256_of_text(json.dumps(decisive))[:16]}.npz"
    engine, _ = choose_engine(request.engine, choose_device(request.device), request.filter, count**2 * query.dimension)
    result = rerank(
        query.embeddings(),
        StoreGallery(gallery, theirs.key),
        relevant,
        engine,
        settings,
        top_k=request.top_k + int(relevant.match_counts.max(initial=0)) + 1,
        memory=request.memory,
        progress=progress,
        keep=keep,
        unit_tolerance=UNIT_TOLERANCE[gallery.identity.dtype],
    )
    remove_partials(reranked)
    path = make_ranking(result, relevant, ours.key, theirs.key, list(ours.damaged)).write(reranked)
    numbers = {"k1": settings.k1, "k2": settings.k2, "weight": settings.weight}
    notes = RerankNotes(**numbers, stores=folder.stores(), ranking_sha256=sha256_of_file(path))
    notes.write_to(reranked / SEARCH_NOTES)
    for path_of_state in reranked.glob("neighbours-*.npz"):
        remove_quietly(path_of_state)
    return path
