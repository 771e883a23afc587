"""What stands behind a row, held against it: its ranking gives every score, and does not deny itself."""

from __future__ import annotations

from collections.abc import Container, Mapping
from pathlib import Path

from sysu30k_bench.board.checks.contradictions import digest_faults, key_faults, ranking_faults, written_fault
from sysu30k_bench.board.checks.foreign_text import word_fault
from sysu30k_bench.board.open_set_scores import open_set_scores
from sysu30k_bench.board.practice import Rules, rules_of
from sysu30k_bench.board.rows import EVIDENCE, OPEN_SET_SCORES, SCORES, Evidence, Row
from sysu30k_bench.errors import BenchError
from sysu30k_bench.files import sha256_of_file
from sysu30k_bench.metrics.per_query import per_query_metrics
from sysu30k_bench.search.ranking import Ranking, read_ranking

MAX_EVIDENCE_BYTES = 1 << 20
_PRECISION = 1e-12
_LONGEST_KEY = 300


def backing_faults(board: Path, row: Row) -> list[str]:
    """Recomputes a row from its evidence, whatever lists that is of, and says what does not fit.

    Args:
        board: The folder that holds `rows/` and `evidence/`.
        row: A row with evidence.
    """
    return read_backing(board, row, protocol=False)[1]


def read_backing(board: Path, row: Row, *, protocol: bool = True) -> tuple[Ranking | None, list[str]]:
    """Reads a row's ranking, recomputes the row from it, and says what does not fit.

    Args:
        board: The folder that holds `rows/` and `evidence/`.
        row: A row with evidence.
        protocol: Whether the ranking must be one of the published lists, too.

    Returns:
        The ranking, or None where it cannot be read, and the faults.
    """
    path, evidence = board / EVIDENCE / f"{row.id}.csv", row.evidence
    if path.is_symlink() or not path.is_file():
        return None, [f"there is no {EVIDENCE}/{path.name}"]
    if path.stat().st_size > MAX_EVIDENCE_BYTES:
        return None, [f"{EVIDENCE}/{path.name} is larger than {MAX_EVIDENCE_BYTES:,} bytes"]
    if evidence is None or sha256_of_file(path) != evidence.ranking_sha256:
        return None, [f"{EVIDENCE}/{path.name} is not the file that the row was made of"]
    try:
        ranking = read_ranking(path)
    except BenchError as error:
        return None, [error.message.replace(str(path), f"{EVIDENCE}/{path.name}")]
    # numbers of other galleries are not computed: a line of a forged one could ask for gigabytes
    faults = _protocol(row, ranking, rules_of(board)) if protocol else []
    faults = faults or _words(ranking) or (key_faults(ranking) if protocol else [])
    if faults:
        return ranking, faults
    written = written_fault(ranking, path.read_bytes())
    faults = [f"{EVIDENCE}/{path.name}: {written}"] if written else []
    return ranking, faults + digest_faults(evidence) + _numbers(row, evidence, ranking)


def _words(ranking: Ranking) -> list[str]:
    """Keys end up in tables, logs and spreadsheets, as the words of a row do."""
    keys = dict.fromkeys(key for key in [*ranking.table["query"], *ranking.table["match"]] if key)
    odd = [key for key in keys if word_fault(key) or len(key) > _LONGEST_KEY]
    return [f"keys with control characters, of formulas, or too long: {ascii(odd[0])[:60]}"] if odd else []


def _numbers(row: Row, evidence: Evidence, ranking: Ranking) -> list[str]:
    means = per_query_metrics(ranking.query_keys, ranking.matched).mean()
    faults = ranking_faults(ranking, evidence)
    for name in SCORES:
        claimed, value = getattr(row, name), float(means[name])
        if claimed is None or abs(claimed - value) > _PRECISION:
            faults.append(f"{name} is {claimed} and the evidence gives {value}")
    claims = {name: claim for name in OPEN_SET_SCORES if (claim := getattr(row, name)) is not None}
    given = open_set_scores(ranking) if claims else {}
    for name, claim in claims.items():
        if name not in given or abs(claim - given[name]) > _PRECISION:
            faults.append(f"{name} is {claim} and the evidence gives {given.get(name)}")
    return faults


def _protocol(row: Row, ranking: Ranking, rules: Rules) -> list[str]:
    faults = []
    whose = "this practice board" if rules.practice else "SYSU-30k"
    queries = ranking.query_keys
    if len(queries) != rules.queries or row.n != rules.queries:
        faults.append(f"{len(queries):,} queries, n = {row.n:,}; {whose} has {rules.queries:,}")
    if len(ranking.table) != len(queries) or ranking.unmatched:
        faults.append("not every query has exactly one match")
    other = sorted(set(ranking.table["ranked"].tolist()) - set(rules.galleries))
    if other or ranking.table["ranked"].nunique() > 1:
        found = ", ".join(f"{size:,}" for size in other[:3]) or "galleries of several sizes"
        faults.append(f"ranked {found}; {whose}'s gallery has {' or '.join(f'{size:,}' for size in rules.galleries)}")
    return faults


def list_faults(rows: list[Row], before: Container[str], rankings: Mapping[str, Ranking]) -> list[tuple[str, str]]:
    """Holds rows on one gallery against each other.

    Nobody has published a fingerprint: whoever was there first set the lists of a gallery.

    Args:
        rows: All rows.
        before: Ids of rows that stood before a change.
        rankings: Rankings by id, of the rows whose evidence can be read.

    Returns:
        Id and fault of each row that is of other queries, or of other matches, than the first row on its gallery, or of
        another gallery than the first row on one of its size.
    """
    faults = []
    first: dict[str, tuple[Row, Evidence]] = {}
    of_size: dict[int, Row] = {}
    for row in sorted(rows, key=lambda row: (row.id not in before, row.id)):
        if row.evidence is None:
            continue
        if row.id in rankings and not row.practice:  # twins of one size may be of other people
            same_size = of_size.setdefault(int(rankings[row.id].table["ranked"].iloc[0]), row)
            if same_size.evidence and same_size.evidence.gallery_fingerprint != row.evidence.gallery_fingerprint:
                faults.append((row.id, f"another gallery than {same_size.id}, of the same size"))
                continue
        known, theirs = first.setdefault(row.evidence.gallery_fingerprint, (row, row.evidence))
        if theirs.query_fingerprint != row.evidence.query_fingerprint:
            faults.append((row.id, f"other queries than {known.id} on the same gallery"))
            continue
        for columns, what in ((["query", "ranked"], "queries"), (["query", "match"], "matches")):
            mine, listed = (_pairs(rankings.get(one.id), columns) for one in (row, known))
            if mine is not None and listed is not None and mine != listed:
                faults.append((row.id, f"its evidence is of other {what} than that of {known.id}"))
                break
    return faults


def _pairs(ranking: Ranking | None, columns: list[str]) -> set[tuple[object, ...]] | None:
    return None if ranking is None else set(ranking.table[columns].itertuples(index=False, name=None))
