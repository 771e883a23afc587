"""The lists of an evaluation: whether their queries have matches, and what the record says of them."""

from __future__ import annotations

import numpy as np

from sysu30k_bench.data.protocol import relevance
from sysu30k_bench.data.split import TestSet
from sysu30k_bench.errors import DataError
from sysu30k_bench.results.record import Data
from sysu30k_bench.words import count, queries_without_match


def require_matches(test_set: TestSet) -> None:
    """Marks a test set in which some queries have no match, and refuses one in which none has.

    Raises:
        DataError: No query has a match.
    """
    query, gallery = test_set.query, test_set.gallery
    rel = relevance(query.person_ids, query.camera_ids, gallery.person_ids, gallery.camera_ids)
    if not len(rel.match_query):
        raise DataError(
            "no query has a match in the gallery: none of "
            f"{count(len(query), 'identity', 'identities')} is in it under another camera",
            hint="query and gallery must come from the same benchmark, unpacked whole",
        )
    without = np.flatnonzero(rel.match_counts == 0)
    if len(without):
        named = ", ".join(query.keys[position] for position in without[:5])
        reason = f"{queries_without_match(len(without))} (first: {named})"
        test_set.warnings.append(reason)
        test_set.not_official.append(reason)


def data_of(test_set: TestSet) -> Data:
    """Describes the lists for the record."""
    return Data(
        dataset=test_set.dataset,
        root=str(test_set.root),
        query_fingerprint=test_set.query.fingerprint,
        gallery_fingerprint=test_set.gallery.fingerprint,
        drawn=test_set.drawn,
        split=test_set.split_number,
        whole_gallery=test_set.whole_gallery,
    )
