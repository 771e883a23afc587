"""A result of what a search in memory found."""

from __future__ import annotations

from sysu30k_bench.api.result import Notes, Result
from sysu30k_bench.evaluation.ranking.rank_gallery import RankedGallery
from sysu30k_bench.evaluation.score_step import make_record
from sysu30k_bench.evaluation.step_notes import ExportNotes


def result_of(ranked: RankedGallery, exported: ExportNotes, name: str) -> Result:
    """Computes every number of a search in memory.

    Args:
        ranked: What the search found.
        exported: What is known of the embeddings; its `stores` are empty.
        name: What comparisons call the result.
    """
    searched = ranked.notes({})
    record = make_record(exported, searched, ranked.ranking, top=ranked.top).sealed()
    return Result(ranked.ranking, name=name, record=record, top=ranked.top, notes=Notes(exported, searched))
