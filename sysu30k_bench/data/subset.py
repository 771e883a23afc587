"""Parts of a test set, for a quick look: never official."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np

from sysu30k_bench.data.naming.names import JUNK
from sysu30k_bench.data.protocol import relevance
from sysu30k_bench.data.split import TestSet
from sysu30k_bench.errors import UsageError


def part_of(test_set: TestSet, limit: int | None, distractors: int | None) -> TestSet:
    """Cuts a test set down as a request asks for, or leaves it whole.

    Args:
        test_set: The whole.
        limit: See `limit_test_set`.
        distractors: See `thin_distractors`.

    Raises:
        UsageError: Both are asked for, or the part would be the whole.
    """
    if limit is not None and distractors is not None:
        raise UsageError("--limit and --distractors exclude each other", hint="--distractors keeps every query")
    if limit is not None:
        return limit_test_set(test_set, limit)
    return test_set if distractors is None else thin_distractors(test_set, distractors)


def limit_test_set(test_set: TestSet, limit: int) -> TestSet:
    """Cuts a test set down for a quick look: never official.

    The first `limit` queries stay, all of their matches, and as many other gallery images, in order, as make the
    gallery `limit` images long.

    Args:
        test_set: The whole.
        limit: Images to keep of each role, at least 1.

    Returns:
        The part, marked as not official.
    """
    query = test_set.query.take(np.arange(min(limit, len(test_set.query))))
    gallery = test_set.gallery
    rel = relevance(query.person_ids, query.camera_ids, gallery.person_ids, gallery.camera_ids)
    kept = np.zeros(len(gallery), bool)
    kept[rel.match_position] = True
    room = max(0, limit - int(kept.sum()))
    kept[np.flatnonzero(~kept)[:room]] = True
    reason = (
        f"--limit {limit}: {len(query):,} of {len(test_set.query):,} queries, "
        f"{kept.sum():,} of {len(gallery):,} gallery images"
    )
    return replace(
        test_set,
        query=query,
        gallery=gallery.take(np.flatnonzero(kept)),
        not_official=[*test_set.not_official, reason],
    )


def thin_distractors(test_set: TestSet, count: int) -> TestSet:
    """Keeps a fixed part of the distractors, the same one everywhere: those whose keys have the lowest SHA-256.

    All queries stay, all gallery images of a query's person, and junk, which is never ranked; a smaller part lies
    within a larger one.

    Args:
        test_set: The whole.
        count: Distractors to keep, at least 1.

    Returns:
        The part, marked as not official, which knows how large the whole gallery is.

    Raises:
        UsageError: There are no more than that.
    """
    gallery = test_set.gallery
    asked = test_set.query.person_ids
    kept_people = np.append(asked[asked >= 0], JUNK)
    distractors = np.flatnonzero(~np.isin(gallery.person_ids, kept_people))
    if count >= len(distractors):
        raise UsageError(
            f"--distractors {count:,}: the gallery has {len(distractors):,}", hint="omit it for the whole gallery"
        )
    keys = gallery.keys
    order = sorted(distractors.tolist(), key=lambda position: hashlib.sha256(keys[position].encode()).digest())
    kept = np.ones(len(gallery), bool)
    kept[order[count:]] = False
    return replace(
        test_set,
        gallery=gallery.take(np.flatnonzero(kept)),
        not_official=[*test_set.not_official, f"--distractors: {count:,} of {len(distractors):,} distractors"],
        whole_gallery=len(gallery),
    )
