"""Rows that exist already: under another id, under a name that only looks different, or with another's ranking."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass

from sysu30k_bench.board.checks.name_key import address_key, name_key
from sysu30k_bench.board.rows import SCORES, Row, published_rows
from sysu30k_bench.models.card import Paper
from sysu30k_bench.search.ranking import Ranking

_SAME = 5e-4
"""Scores closer than half a query of a thousand are one figure, rounded or not."""
_SEVERAL, _MANY, _CHANCE = 2, 3, 0.01
"""How many scores tell a result; those that a random ranking could have, too, tell nothing."""
_FAR, _FEW = 20, 20
"""Two methods put a match behind rank 20 to the same place by chance once in a great many queries."""
_ARXIV = re.compile(r"(?<=/)[0-9]{4}\.[0-9]{4,5}")
_MODEL = ("weights_sha256", "card_sha256", "compute", "storage", "gallery_fingerprint")


@dataclass(frozen=True)
class _Measured:
    """What two methods do not share: ranks far behind, and scores to the last bit.

    Attributes:
        ranks: Every query's ranks but the first, which many methods share.
        far: Those behind rank 20, by query.
        scores: Scores of matches, by query.
    """

    ranks: frozenset[tuple[str, int, int]]
    far: frozenset[tuple[str, int, int]]
    scores: frozenset[tuple[str, float]]

    @classmethod
    def of(cls, ranking: Ranking) -> _Measured:
        table = ranking.matched
        low, high = table["rank_low"].tolist(), table["rank_high"].tolist()
        ranks = [one for one in zip(table["query"].tolist(), low, high, strict=True) if one[2] > 1]
        scores = frozenset(zip(table["query"].tolist(), table["score"].tolist(), strict=True))
        return cls(frozenset(ranks), frozenset(one for one in ranks if one[1] > _FAR), scores)

    def nearly(self, other: _Measured) -> str | None:
        """Says what is shared in part: a copy in which some queries were exchanged, or put elsewhere."""
        shared, least = len(self.far & other.far), min(len(self.far), len(other.far))
        if least >= _FEW and shared >= least / 2:
            return f"behind rank {_FAR}, it has {shared:,} ranks of"
        if (shared := len(self.scores & other.scores)) >= _FEW:
            return f"it has {shared:,} scores, to the last bit, of"
        return None


def duplicates(rows: list[Row], before: Container[str], rankings: Mapping[str, Ranking]) -> list[tuple[str, str]]:
    """Finds rows that repeat another.

    Args:
        rows: All rows of a board.
        before: Ids of rows that stood before a change; of two that are one, the other is at fault.
        rankings: Rankings by id, of the rows whose evidence can be read.

    Returns:
        Id and fault of each row that repeats one, and of whom.
    """
    published = {row.id for row in published_rows()}
    ordered = sorted(rows, key=lambda row: (row.id not in before, row.id not in published, row.id))
    ranks = {name: _Measured.of(ranking) for name, ranking in rankings.items()}
    found = []
    for number, row in enumerate(ordered):
        first: dict[str, str] = {}
        for other in ordered[:number]:
            for said in _repeats(row, other, ranks):
                first.setdefault(said, other.id)
        found += [(row.id, f"{said} {of}") for said, of in first.items()]
    return found


def _repeats(row: Row, other: Row, ranks: Mapping[str, _Measured]) -> Iterator[str]:
    if name_key(row.method) == name_key(other.method):
        yield "its name looks like that of"
    if name_key(row.id) == name_key(other.id):
        yield "its id looks like"
    if claim := _one_claim(row, other):
        yield claim
    if row.evidence is None or other.evidence is None:
        return
    mine, theirs = ranks.get(row.id), ranks.get(other.id)
    if row.evidence.shards_root == other.evidence.shards_root:
        yield "it commits to the embeddings of"
    elif mine and theirs and mine.ranks and mine.ranks == theirs.ranks:
        yield "it has the same ranks as"
    elif all(getattr(row.evidence, part) == getattr(other.evidence, part) for part in _MODEL):
        yield "a reproduction is confirmed by `leaderboard reproduce` and is not a row: the same weights and card as"
    elif mine and theirs and row.corrects != other.id and (said := mine.nearly(theirs)):
        yield said  # a correction may rank most queries as the row that it replaces


def _one_claim(row: Row, other: Row) -> str | None:
    """Says how both state one result: that of one paper and source, or scores that tell it.

    A row with evidence may well have the scores of one that is only reported: it is what that one lacks.
    """
    pairs = [(getattr(row, name), getattr(other, name)) for name in SCORES]
    both = [(one, two) for one, two in pairs if one is not None and two is not None]
    if any(abs(one - two) > _SAME for one, two in both):
        return None
    telling = sum(min(pair) > _CHANCE for pair in both)
    paper, source = _same_paper(row, other), address_key(row.source) == address_key(other.source)
    if paper and source:
        return "the same paper, source and scores as"
    either = source or (paper and row.paper is not None)
    alike = (row.evidence is None) == (other.evidence is None)
    return "the same scores as" if alike and telling >= (_SEVERAL if either else _MANY) else None


def _same_paper(row: Row, other: Row) -> bool:
    if row.paper is None or other.paper is None:
        return row.paper is other.paper
    titles, links = ([way(paper) for paper in (row.paper, other.paper)] for way in (_title, _link))
    return titles[0] == titles[1] or links[0] == links[1] != ""


def _title(paper: Paper) -> str:
    return name_key(paper.title)


def _link(paper: Paper) -> str:
    number = _ARXIV.search(paper.url)
    return number[0] if number else address_key(paper.url)
