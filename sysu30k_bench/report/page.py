"""The page: headline, figures, queries, health, environment; one file that needs nothing else."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd

from sysu30k_bench.board.practice import other_reasons, sentence_of
from sysu30k_bench.errors import UsageError
from sysu30k_bench.files import sha256_of_file
from sysu30k_bench.metrics.catalogue import METRICS, RATES
from sysu30k_bench.metrics.health import hubness
from sysu30k_bench.metrics.open_set.smaller import InGallery, in_smaller_gallery, other_lists
from sysu30k_bench.metrics.resolution import said
from sysu30k_bench.report.figures import cmc, det, margins, scaling
from sysu30k_bench.report.montage import open_images, strips
from sysu30k_bench.results.build import open_set_of
from sysu30k_bench.results.compare import compare
from sysu30k_bench.results.ranked_run import RankedRun, aligned, read_runs
from sysu30k_bench.results.record import EvaluationRecord, Metric
from sysu30k_bench.search.ranking import RANKING_NAME, TOP_NAME, read_ranking
from sysu30k_bench.search.top_list import read_top

_SHOWN, _STRIPS = 15, 8


def make_report(folder: Path, other: Path | None = None, *, images: bool = False, data: Path | None = None) -> str:
    """Makes the report of a run.

    Args:
        folder: A run folder with `result.json` and `ranking.csv`.
        other: A run on the same lists, drawn beside this one, whose flipped queries are shown.
        images: Show queries, matches and impostors: the page is then for this machine alone, and says so.
        data: Where the images are now; where the run found them if None.

    Returns:
        HTML. Every name in it is escaped; no script, and nothing is fetched.

    Raises:
        UsageError: The folder has no record, or the runs are not of the same lists, or the images are others.
        DataError: There is no ranking, no image, or matplotlib is not installed.
    """
    from jinja2 import Environment, StrictUndefined

    paths = [folder] if other is None else [folder, other]
    runs = aligned(read_runs(paths))
    run, second = runs[0], runs[1] if other is not None else None
    record = run.record
    if record is None:
        raise UsageError(f"{folder} has no result.json", hint="make it with `sysu30k-bench eval` or `score`")
    text = resources.files("sysu30k_bench.report").joinpath("report.html.j2").read_text("utf-8")
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(text)
    open_set = record.open_set or (open_set_of(run.searches) if run.searches is not None else None)
    table = read_ranking(folder / RANKING_NAME).table
    near, worst = _near_misses(table), _missed(table)
    pair = compare([run, second]).pairs[0] if second is not None else None
    shown_runs, tables = [run], [table]
    if second is not None and other is not None:
        shown_runs.append(second)
        tables.append(read_ranking(other / RANKING_NAME if other.is_dir() else other).table)
    shown = {"Near misses": _queries(near), "Worst ranks": _queries(worst)}
    if pair is not None:
        shown |= {"At rank 1 here alone": pair.only_first, f"At rank 1 in {pair.second} alone": pair.only_second}
    top = read_top(folder) if (folder / TOP_NAME).is_file() or images else None
    montage = []
    if images and top is not None:
        named = [*table["query"], *table.loc[table["match"] != "", "match"], *top["gallery"]]
        source = open_images(record, data, named)
        montage = [(title, strips(source, table, top, keys[:_STRIPS])) for title, keys in shown.items() if keys]
    return template.render(
        run=run,
        local=images,
        montage=montage,
        hubs=hubness(top) if top is not None else None,
        record=record,
        reasons=other_reasons(record),
        practice=sentence_of(record),
        second=second,
        numbers=_beside(record, second),
        open_set=open_set,
        titles={name: info.title for name, info in METRICS.items()},
        smaller=_smaller(run, top, table),
        resolution=said(len(run.hit)),
        figures=[
            ("Cumulative match characteristic: queries found at rank k or better", cmc(shown_runs)),
            ("Rank-1 against the size of the gallery, exact from the ranks", scaling(shown_runs)),
            (
                "Misses against false alarms (DET); dashed: FPIR 1 and 10 %; dotted: fewer than ten searches alarm",
                det(shown_runs),
            ),
            (
                "Margin: score of the match less that of the best image of another person",
                margins(tables, [one.name for one in shown_runs]),
            ),
        ],
        worst=_rows(worst),
        near=_rows(near),
        pair=pair,
        digest=sha256_of_file(folder / RANKING_NAME),
    )


def numbers_of(record: EvaluationRecord) -> list[tuple[str, Metric]]:
    """Titles and values of every metric of a record, in the catalogue's order."""
    found = []
    for name, info in METRICS.items():
        metric = getattr(record.metrics if info.source == "ranks" else record.open_set, name, None)
        if metric is not None:
            found.append((info.title, metric))
    return found


def _beside(record: EvaluationRecord, second: RankedRun | None) -> list[tuple[str, Metric, Metric | None]]:
    """Every metric of the record, and the same of the run beside it, where that has it."""
    theirs = dict(numbers_of(second.record)) if second is not None and second.record is not None else {}
    return [(title, metric, theirs.get(title)) for title, metric in numbers_of(record)]


def _smaller(run: RankedRun, top: pd.DataFrame | None, table: pd.DataFrame) -> list[tuple[str, InGallery | str]]:
    """Operating points in smaller galleries, as far as the stored lists reach."""
    if top is None or run.searches is None or run.searches.without_mate.sum() < len(run.searches.query):
        return []
    matches = (table["match"] != "").groupby(table["query"]).sum().reindex(run.searches.query).to_numpy()
    lists = other_lists(top, run.searches.query, run.ranked.loc[run.searches.query].to_numpy(), matches)
    largest = int(lists.others.min()) + 1
    sizes = [size for size in (largest, 100_000, 10_000, 1_000, 100) if size <= largest]
    return [
        (f"FPIR {per_cent} % among {size:,}", in_smaller_gallery(lists, run.searches, rate, size))
        for per_cent, rate in RATES.items()
        for size in sizes
    ]


def _missed(table: pd.DataFrame) -> pd.DataFrame:
    """Matches that are not at rank 1, the worst first."""
    missed: pd.DataFrame = table[(table["match"] != "") & (table["rank_high"] > 1)]
    ordered: pd.DataFrame = missed.sort_values("rank_high", ascending=False, kind="stable")
    return ordered


def _near_misses(table: pd.DataFrame) -> pd.DataFrame:
    """Matches behind some impostor, by how little."""
    missed: pd.DataFrame = table[(table["match"] != "") & (table["rank_high"] > 1) & np.isfinite(table["margin"])]
    ordered: pd.DataFrame = missed.sort_values("margin", ascending=False, kind="stable")
    return ordered


def _queries(table: pd.DataFrame) -> list[str]:
    return [str(query) for query in dict.fromkeys(table.loc[table["match"] != "", "query"])]


def _rows(table: pd.DataFrame) -> list[dict[str, object]]:
    shown = table[table["match"] != ""].head(_SHOWN)
    return [{str(name): value for name, value in row.items()} for row in shown.to_dict("records")]
