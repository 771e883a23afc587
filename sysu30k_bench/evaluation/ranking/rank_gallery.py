"""From embeddings and labels to exact ranks: what a run folder, arrays in memory and a network in memory share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from sysu30k_bench.data.protocol import relevance
from sysu30k_bench.embeddings.shard import Labels
from sysu30k_bench.errors import DataError
from sysu30k_bench.evaluation.environment import peak_memory_bytes, this_machine
from sysu30k_bench.evaluation.request import SearchRequest
from sysu30k_bench.evaluation.step_notes import SearchNotes
from sysu30k_bench.files import sha256_of_bytes, write_atomically
from sysu30k_bench.metrics.health import Health, examine
from sysu30k_bench.processes import Ranks
from sysu30k_bench.progress import Progress
from sysu30k_bench.results.record import HealthRecord
from sysu30k_bench.search.engines.choose import choose_device, choose_engine
from sysu30k_bench.search.gallery import Gallery
from sysu30k_bench.search.norms import UNIT_TOLERANCE
from sysu30k_bench.search.ranking import RANKING_NAME, TOP_NAME, Ranking, make_ranking, top_table
from sysu30k_bench.search.search import block_rows_for, search


@dataclass(frozen=True)
class RankedGallery:
    """What a search found, in memory.

    Attributes:
        ranking: The exact ranks of all matches.
        top: The best gallery images of every query, as `top.csv` has them.
        health: Signs of collapse and leakage.
        device: Where it ran.
        engine: The engine's own description.
        engine_reason: Why it was chosen.
        gallery: Gallery images searched.
        top_k: Rows listed for each query.
        seconds: Time that it took.
    """

    ranking: Ranking
    top: pd.DataFrame
    health: Health
    device: torch.device
    engine: str
    engine_reason: str
    gallery: int
    top_k: int
    seconds: float

    def write(self, folder: Path) -> None:
        """Writes `ranking.csv` and `top.csv`.

        Raises:
            DataError: The folder cannot be written.
        """
        write_atomically(folder / RANKING_NAME, self.ranking.to_csv())
        write_atomically(folder / TOP_NAME, self._top_csv())

    def _top_csv(self) -> bytes:
        text: str = self.top.to_csv(index=False, lineterminator="\n")
        return text.encode()

    def notes(self, stores: dict[str, str]) -> SearchNotes:
        """Makes the search's notes.

        Args:
            stores: SHA-256 of each role's `manifest.json`, by role; empty where the embeddings were in memory.
        """
        return SearchNotes(
            health=HealthRecord(**asdict(self.health)),
            warnings=self.health.warnings,
            machine=this_machine(self.device),
            engine=self.engine,
            engine_reason=self.engine_reason,
            gallery=self.gallery,
            top_k=self.top_k,
            seconds=self.seconds,
            peak_memory_bytes=peak_memory_bytes(),
            ranking_sha256=sha256_of_bytes(self.ranking.to_csv()),
            top_sha256=sha256_of_bytes(self._top_csv()),
            stores=stores,
        )


def rank_gallery(
    queries: np.ndarray,
    gallery: Gallery,
    labels: tuple[Labels, Labels],
    request: SearchRequest,
    *,
    storage: str = "float32",
    progress: Progress | None = None,
    ranks: Ranks | None = None,
    keep: Callable[[int], Path] | None = None,
) -> RankedGallery:
    """Ranks a gallery for every query.

    Args:
        queries: (Q, D) float32 or float16, rows of unit length.
        gallery: G rows of unit length.
        labels: Of the queries and of the whole gallery.
        request: How to search.
        storage: Type in which the rows are stored, which decides how far from unit length they may be.
        progress: Told of gallery rows done.
        ranks: This process among those whose galleries make up the whole.
        keep: Names the file from which a half-finished search resumes, given the reach of its top-k.

    Raises:
        DataError: No query has a match.
        IntegrityError: Embeddings are zero, NaN, infinite or not of unit length, or the widths differ.
    """
    started = time.perf_counter()
    ours, theirs = labels
    ranks = ranks or Ranks()
    device = choose_device(request.device, ranks.local_rank)
    work = float(len(queries)) * len(gallery) * queries.shape[1]
    engine, reason = choose_engine(request.engine, device, request.filter, work)
    relevant = relevance(ours.person_id, ours.camera_id, theirs.person_id, theirs.camera_id)
    if not len(relevant.match_query):
        raise DataError("no query has a match in the gallery", hint="check for damaged images, or export again")
    reach = request.top_k + int(relevant.match_counts.max()) + 1
    result = search(
        queries,
        gallery,
        relevant,
        engine,
        top_k=reach,
        block_rows=block_rows_for(request.memory, len(queries), queries.shape[1]),
        unit_tolerance=UNIT_TOLERANCE[storage],
        progress=progress,
        ranks=ranks,
        keep=keep(reach) if keep is not None else None,
    )
    return RankedGallery(
        ranking=make_ranking(result, relevant, ours.key, theirs.key, list(ours.damaged)),
        top=top_table(result, relevant, ours.key, theirs.key, request.top_k),
        health=examine(queries, result.top_position, result.top_score),
        device=device,
        engine=engine.description,
        engine_reason=reason,
        gallery=len(theirs.key),
        top_k=request.top_k,
        seconds=time.perf_counter() - started,
    )
