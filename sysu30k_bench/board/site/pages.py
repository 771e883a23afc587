"""The pages of a board's site, and the files that they link to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sysu30k_bench.board.difficulty import CHANCE, Difficulty, difficulty
from sysu30k_bench.board.groups import Apart
from sysu30k_bench.board.practice import SENTENCE, Rules
from sysu30k_bench.board.rows import OPEN_SET_SCORES, Row
from sysu30k_bench.board.site.heat import heat_map
from sysu30k_bench.board.site.plot import scaling_plot
from sysu30k_bench.board.site.template import page_environment
from sysu30k_bench.board.site.view import bucket_counts, pair_cells, pairs_table, per_cent, squares, view
from sysu30k_bench.metrics.catalogue import METRICS, MISSES
from sysu30k_bench.metrics.resolution import SHOWN_DISCORDANCES, said
from sysu30k_bench.results.ranked_run import RankedRun
from sysu30k_bench.results.titles import TITLES

_COSTS = [
    ("parameters", "parameters", True),
    ("dimension", "dimension", True),
    ("stored", "bytes an image", True),
    ("rate", "images/s", True),
    ("seconds", "search, s", True),
]
# name to sort by, title, and whether it is a number: None for numbers that stand for words
_COLUMNS = [
    ("group", "group", True),
    ("method", "method", False),
    ("rank1", "rank-1", True),
    ("", "95 % interval", False),
    ("supervision", "supervision", False),
    ("trained", "trained on", False),
    ("ap_standard", "AP (standard)", True),
    ("ap_trapezoid", "AP (trapezoid)", True),
    ("rank5", "rank-5", True),
    ("rank10", "rank-10", True),
    (MISSES, METRICS[MISSES].title, True),
    *_COSTS,
    ("trust", "status", None),
    ("date", "date", False),
    ("", "links", False),
]
_MEANINGS = {
    "reported": "an unverified claim without a ranking",
    "self-reported": "every number follows from its ranking, whose origin is an unverified claim",
    "re-scored": "a maintainer recomputed every number from the attached ranking",
    "audited": "a maintainer encoded a sample of images again with the checkpoint and found the committed embeddings",
    "reproduced": "another person repeated the whole evaluation",
}


def pages(
    rows: list[Row],
    groups: Mapping[str, int],
    tests: Mapping[tuple[str, str], Apart],
    evidence: Mapping[str, RankedRun],
    bibtex: Mapping[str, str],
    confirmations: Mapping[str, list[str]],
    rules: Rules,
) -> dict[str, bytes]:
    """Makes every page, and the table of pairs.

    Args:
        rows: Best first.
        groups: Number of each row's group, by id.
        tests: Of every pair of rows, by both ids.
        evidence: Rankings, by id.
        bibtex: Entries, by id, of rows with a paper.
        confirmations: Sentences about audits and repetitions, by id.
        rules: What the board's rows must be; every page of a practice board says that it is one.

    Returns:
        Contents by file name, relative to the site's folder. Names and words of submitters are escaped; the pages fetch
        nothing, and no script but their own may run in them.

    Raises:
        DataError: matplotlib is not installed.
    """
    environment = page_environment()
    environment.globals["practice"] = SENTENCE if rules.practice else ""
    views = [view(row, groups[row.id]) for row in rows]
    first = {number: next(one.row for one in views if one.group == number) for number in groups.values()}
    hard = difficulty({row.id: evidence[row.id] for row in rows if row.id in evidence}) if evidence else None
    costed = {name for one in views for name, text, _ in one.costs if text}
    absent = {name for name, _, _ in _COSTS} - costed
    absent |= set() if any(one.misses for one in views) else {MISSES}
    gallery = rules.galleries[len(rules.galleries) // 2]
    made = {
        "index.html": environment.get_template("index.html.j2").render(
            views=views,
            backed=len(evidence),
            queries=rules.queries,
            gallery=gallery,
            columns=[column for column in _COLUMNS if column[0] not in absent],
            misses=MISSES if MISSES not in absent else "",
            resolution=[said(n, SHOWN_DISCORDANCES) for n in sorted({row.n for row in rows})],
            costed=costed,
            corrected=_corrected(rows),
            most=_round_up(max((one.high for one in views), default=1.0)),
            supervisions=sorted({row.supervision for row in rows}),
            statuses=[status for status in _MEANINGS if any(row.status == status for row in rows)],
            plot=scaling_plot(rows, evidence, gallery) if evidence else "",
            matrix=pair_cells(rows, tests),
            pairs=len(rows) * (len(rows) - 1) // 2,
            difficulty=hard,
        )
    }
    for one in views:
        row = one.row
        cells = squares(evidence[row.id]) if row.id in evidence else []
        made[f"rows/{row.id}.html"] = environment.get_template("row.html.j2").render(
            view=one,
            meaning=_MEANINGS[row.status],
            scores=_scores(row),
            corrected=_corrected(rows),
            costs=[(title, text) for (_, title, _), (_, text, _) in zip(_COSTS, one.costs, strict=True) if text],
            like="" if first[one.group] is row else first[one.group].method,
            cells=cells,
            buckets=bucket_counts(cells),
            gallery=int(evidence[row.id].ranked.max()) if cells else 0,
            only=hard.only(row.id) if hard and row.id in hard.rows and len(hard.rows) > 1 else None,
            evidence=_of_evidence(row),
            confirmations=confirmations.get(row.id, []),
            bibtex=bibtex.get(row.id, ""),
            difficulty=hard,
        )
    if hard is not None:
        made["queries.html"] = environment.get_template("queries.html.j2").render(
            found=hard,
            lists=_lists(hard),
            heat=heat_map(hard.rows, evidence),
            buckets=bucket_counts([]),
            titles={row.id: row.method for row in rows},
        )
    made["data/pairs.csv"] = pairs_table(rows, tests).to_csv(index=False, lineterminator="\n")
    return {name: text.encode() for name, text in made.items()}


def _scores(row: Row) -> list[tuple[str, str]]:
    """Titles and texts of every score; error rates where they are known."""
    found = [(title, per_cent(getattr(row, name))) for name, title in TITLES.items()]
    known = [name for name in OPEN_SET_SCORES if getattr(row, name) is not None]
    return found + [(f"{METRICS[name].title} (less is better)", per_cent(getattr(row, name))) for name in known]


def _corrected(rows: list[Row]) -> dict[str, Row]:
    """The row that corrects another, by the id of that one."""
    return {row.corrects: row for row in rows if row.corrects}


def _round_up(per_cents: float) -> float:
    return min(100.0, (per_cents // 10 + 1) * 10)


def _of_evidence(row: Row) -> list[tuple[str, Any]]:
    if row.evidence is None:
        return []
    return [(name.replace("_", " "), value) for name, value in row.evidence.model_dump().items()]


def _lists(found: Difficulty) -> list[tuple[str, str, list[tuple[str, str, str]]]]:
    count = len(found.rows)
    alone = found.table[found.table["solved"] == 1]
    return [
        ("Solved by no row", "Hardest first.", _listed(found.unsolved)),
        ("Solved by one row only", "Queries on which one method succeeds and all others fail.", _listed(alone)),
        (
            "Label-noise suspects",
            f"The ranks that {count} rows give the match are together no better than random ones (Fisher's "
            f"combination, p of {CHANCE:g} or more): the label may be wrong, or the image shows too little. These "
            "are images to inspect, not proven errors.",
            _listed(found.suspects),
        ),
    ]


def _listed(table: Any) -> list[tuple[str, str, str]]:  # noqa: ANN401  a table of queries
    return [
        (str(query), f"{row['best']:,.0f}" if row["best"] == row["best"] else "no match", str(row["by"]))
        for query, row in table.iterrows()
    ]
