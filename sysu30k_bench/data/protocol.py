"""Who matches whom, and who is left out of a ranking: the rule that Market-1501 set and SYSU-30k follows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sysu30k_bench.data.naming.names import JUNK


@dataclass(frozen=True)
class Relevance:
    """Matches and junk of every query, as gallery positions.

    Attributes:
        query_count: Q.
        gallery_count: G.
        match_query: (T,) int64, the query of each match, ascending.
        match_position: (T,) int64, the match's place in the gallery, ascending within a query.
        junk_query: (J,) int64, the query of each junk pair.
        junk_position: (J,) int64, the junk image's place in the gallery.
        junk_for_all: (G,) bool, the images that are junk for every query (label -1).
    """

    query_count: int
    gallery_count: int
    match_query: np.ndarray
    match_position: np.ndarray
    junk_query: np.ndarray
    junk_position: np.ndarray
    junk_for_all: np.ndarray

    @property
    def ranked_counts(self) -> np.ndarray:
        """How many gallery images each query ranks, (Q,) int64: all but its junk."""
        own = np.bincount(self.junk_query, minlength=self.query_count)
        return self.gallery_count - int(self.junk_for_all.sum()) - own

    @property
    def match_counts(self) -> np.ndarray:
        """How many matches each query has, (Q,) int64."""
        return np.bincount(self.match_query, minlength=self.query_count)


def relevance(
    query_persons: np.ndarray, query_cameras: np.ndarray, gallery_persons: np.ndarray, gallery_cameras: np.ndarray
) -> Relevance:
    """Finds each query's matches and junk.

    A match is the same person seen by another camera. Junk is the same person seen by the same camera, and any image
    with the label -1. Distractors are neither: they stay in every ranking. Labels below 0 are nobody's; 0 is a person
    like any other. (Market-1501's distractors have the label 0, and its reader gives no query that one.)

    Args:
        query_persons: (Q,) integer identities; below 0 for queries that show nobody, and have no match.
        query_cameras: (Q,) integer cameras.
        gallery_persons: (G,) integer identities.
        gallery_cameras: (G,) integer cameras.

    Returns:
        The matches and junk of all queries.
    """
    order = np.argsort(gallery_persons, kind="stable")
    in_order = gallery_persons[order]
    first = np.searchsorted(in_order, query_persons, side="left")
    counts = np.searchsorted(in_order, query_persons, side="right") - first
    counts[query_persons < 0] = 0
    query = np.repeat(np.arange(len(query_persons)), counts)
    offsets = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    position = order[np.repeat(first, counts) + offsets]
    same_camera = gallery_cameras[position] == query_cameras[query]
    return Relevance(
        query_count=len(query_persons),
        gallery_count=len(gallery_persons),
        match_query=query[~same_camera],
        match_position=position[~same_camera],
        junk_query=query[same_camera],
        junk_position=position[same_camera],
        junk_for_all=gallery_persons == JUNK,
    )
