"""Evidence and scores that cannot be: numbers that no search gives, and numbers that deny each other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from sysu30k_bench.board.rows import SCORES, Evidence, Row
from sysu30k_bench.data.naming.names import parse_sysu30k
from sysu30k_bench.search.norms import UNIT_TOLERANCE
from sysu30k_bench.search.ranking import Ranking
from sysu30k_bench.search.score import TIE
from sysu30k_bench.words import count

_ROUNDED = 1e-3
_MATCHES = ("match is", "matches are")
_DIGESTS = ("ranking_sha256", "query_fingerprint", "gallery_fingerprint", "shards_root", "weights_sha256",
            "card_sha256", "protocol_sha256")  # fmt: skip


def key_faults(ranking: Ranking) -> list[str]:
    """Holds every key against the names of SYSU-30k, as the official lists have them.

    Args:
        ranking: A ranking of one match a query.

    Returns:
        What is wrong: keys that are none, matches of other people or of the query's own camera, and people or matches
        that occur twice.
    """
    strange, apart, people = [], [], []
    for query, match in zip(ranking.table["query"], ranking.table["match"], strict=True):
        asked, found = (parse_sysu30k(key.rpartition("/")[2]) for key in (query, match))
        if asked is None or asked.person_id < 0 or not _in_folder(query, "query"):
            strange.append(query)
            continue
        if found is None or not _in_folder(match, "gallery"):
            strange.append(match)
            continue
        people.append(asked.person_id)
        if asked.person_id != found.person_id or asked.camera_id == found.camera_id:
            apart.append(f"{query} and {match}")
    faults = []
    if strange:
        faults.append(_said(strange, "key is", "keys are", "none of SYSU-30k (query/000028311/000028311_c2_2.jpg)"))
    if apart:
        faults.append(_said(apart, *_MATCHES, "of another person than the query, or of its own camera"))
    if len(set(people)) != len(people):
        said = count(len(people) - len(set(people)), "query shows", "queries show")
        faults.append(f"{said} a person of another query")
    if ranking.table["match"].duplicated().any():
        said = count(int(ranking.table["match"].duplicated().sum()), "query has", "queries have")
        faults.append(f"{said} the match of another query")
    return faults


def _in_folder(key: str, role: str) -> bool:
    parts = key.split("/")
    return parts[0] == role and len(parts) > 1 and not {"", ".", ".."} & set(parts)


def written_fault(ranking: Ranking, content: bytes) -> str | None:
    """Says where a ranking's file is not what `search` writes for these numbers: digits of other scripts, for one.

    Args:
        ranking: What was read.
        content: The file's bytes.
    """
    wanted = ranking.table.to_csv(index=False, lineterminator="\n").encode("utf-8")
    if content == wanted:
        return None
    pairs = zip(content.split(b"\n"), wanted.split(b"\n"), strict=False)
    line = next((number for number, (one, two) in enumerate(pairs, 1) if one != two), 1 + wanted.count(b"\n"))
    return f"line {line} differs from what `search` writes"


def ranking_faults(ranking: Ranking, evidence: Evidence) -> list[str]:
    """Holds ranks, scores and margins against each other, where each query has one match among many images.

    A score is the product of two embeddings of unit length. The margin to the best other image is positive exactly
    where the match is first, and 0 where it is tied with it.

    Args:
        ranking: A ranking of one match a query.
        evidence: How the embeddings were stored.
    """
    table = ranking.matched
    most = (1 + UNIT_TOLERANCE[evidence.storage]) ** 2
    score, margin = table["score"].to_numpy(float), table["margin"].to_numpy(float)
    low, high = table["rank_low"].to_numpy(int), table["rank_high"].to_numpy(int)
    best = score - margin
    alone, tied, behind = (low == 1) & (high == 1), (low == 1) & (high > 1), low > 1
    found = []
    for wrong, one, several, said in (
        (np.abs(score) > most, "score is", "scores are", "no product of two unit vectors"),
        (np.isnan(margin), "margin is", "margins are", "missing: there are other images"),
        (np.abs(best) > most, "margin gives", "margins give", "the best other image a score that no unit vectors have"),
        (alone & (margin < TIE / 2), *_MATCHES, "alone at rank 1, and another image scores as high or higher"),
        (tied & (np.abs(margin) > 2 * TIE), *_MATCHES, "tied at rank 1, with a margin that is not 0"),
        (behind & (margin > -TIE / 2), *_MATCHES, "behind rank 1, and no image scores higher"),
    ):
        if wrong.any():
            found.append(_said(table.loc[wrong, "query"].tolist(), one, several, said))
    return found + list(_repeated(table, low == high))


def _repeated(table: pd.DataFrame, untied: np.ndarray) -> Iterator[str]:
    again = table.loc[untied].duplicated(["score", "margin"])
    if again.sum() > len(table) / 2:
        said = count(int(again.sum()), "match has", "matches have")
        yield f"{said} score and margin of another query: measured values do not repeat"


def digest_faults(evidence: Evidence) -> list[str]:
    """Digests of different things that are one, and digests that nothing has."""
    digests = [getattr(evidence, name) for name in _DIGESTS]
    twice = [name for name, digest in zip(_DIGESTS, digests, strict=True) if digests.count(digest) > 1]
    faults = [f"{' and '.join(twice)} are equal, but belong to different things"] if twice else []
    empty = [name for name, digest in zip(_DIGESTS, digests, strict=True) if len(set(digest)) < 4]
    return faults + [f"{name} is no digest" for name in empty]


def score_faults(row: Row) -> list[str]:
    """Scores of a row without evidence that deny each other; they may be rounded."""
    ordered = [("rank1", "rank5"), ("rank5", "rank10"), ("rank10", "rank20"), ("rank1", "ap_trapezoid"),
               ("rank1", "ap_standard"), ("rank1", "minp"), ("ap_trapezoid", "ap_standard")]  # fmt: skip
    ordered += [("rank1", "rank10"), ("rank1", "rank20"), ("rank5", "rank20")]
    known = {name: value for name in SCORES if (value := getattr(row, name)) is not None}
    faults = [
        f"{less} is {known[less]} and {more} is {known[more]}: it cannot be less"
        for less, more in ordered
        if less in known and more in known and known[less] > known[more] + _ROUNDED
    ]
    # behind rank 1 a match counts 1/2 at most, and half of that in the trapezoid form
    for name, behind in (("ap_standard", 2), ("minp", 2), ("ap_trapezoid", 4)):
        most = row.rank1 + (1 - row.rank1) / behind
        if known.get(name, 0) > most + _ROUNDED:
            faults.append(f"{name} is {known[name]}, and rank1 allows {most:.4g} at most")
    return faults


def _said(keys: list[str], one: str, several: str, said: str) -> str:
    first = "first: " if len(keys) > 1 else ""
    return f"{count(len(keys), one, several)} {said} ({first}{ascii(keys[0])[1:-1][:120]})"
