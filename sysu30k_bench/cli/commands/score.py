"""`score`: the third step of the main job, and the recomputation of any ranking."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sysu30k_bench.cli.console import loading
from sysu30k_bench.cli.judge import judge_run
from sysu30k_bench.cli.options import json_option
from sysu30k_bench.cli.paths import TypedPath
from sysu30k_bench.cli.tables import Column, print_table
from sysu30k_bench.cli.values import RankList

if TYPE_CHECKING:
    from sysu30k_bench.results.figures import Figures

_COLUMNS = (
    Column("figure", "name"),
    Column("valid queries %", "number"),
    Column("all queries %", "number", goes=1),
    Column("persons %", "number", goes=2),
)


@click.command("score")
@click.argument("run", type=TypedPath())
@click.option(
    "--figures",
    type=click.Choice(["main", "all"]),
    default="main",
    show_default=True,
    show_envvar=True,
    help="`all`: also print the figures of other projects, each by the name of its convention.",
)
@click.option("--ranks", type=RankList(), show_envvar=True, help="Also print rank-k for these k, such as 1,3,5.")
@json_option
def score(run: Path, figures: str, ranks: tuple[int, ...] | None, as_json: bool) -> None:
    """Compute every number from the ranks of RUN, a run folder or a ranking.csv; no embedding is read."""
    judge_run(run)
    with loading():
        from sysu30k_bench.cli.panel import print_metrics, print_result
        from sysu30k_bench.evaluation.ranking.rerank_step import notes_beside
        from sysu30k_bench.evaluation.run_folder import RunFolder
        from sysu30k_bench.evaluation.score_step import score_step
        from sysu30k_bench.evaluation.step_notes import EXPORT_NOTES
        from sysu30k_bench.metrics.summary import summarise
        from sysu30k_bench.results.build import metrics_of, open_set_of, ties_of
        from sysu30k_bench.results.ranked_run import read_run
        from sysu30k_bench.search.ranking import RANKING_NAME, read_ranking

    if run.is_dir() and (run / EXPORT_NOTES).exists():
        folder = RunFolder(run)
        with folder.locked():
            record = score_step(folder)
        more = _more(run, ranks, every=figures == "all")
        if as_json:
            values = json.loads(record.model_dump_json())
            click.echo(json.dumps(values | _as_json(more), indent=1))
        else:
            print_result(record, run)
            _print(more)
        return
    summary = summarise(read_ranking(run / RANKING_NAME if run.is_dir() else run))
    metrics, ties = metrics_of(summary), ties_of(summary)
    searches = read_run(run).searches
    open_set = open_set_of(searches) if searches is not None else None
    more = _more(run, ranks, every=figures == "all")
    notes = notes_beside(run)
    if as_json:
        found = {"metrics": metrics, "ties": ties} | ({"open_set": open_set} if open_set is not None else {})
        values = {name: one.model_dump(mode="json") for name, one in found.items()}
        if notes is not None:
            values["reranked"] = {name: getattr(notes, name) for name in ("k1", "k2", "weight")}
        click.echo(json.dumps(values | _as_json(more)))
        return
    if notes is not None:
        settings = f"k1 {notes.k1}, k2 {notes.k2}, lambda {notes.weight:g}"
        click.echo(f"re-ranked by k-reciprocal neighbours ({settings}): not the protocol's ranking")
    print_metrics(metrics, open_set)
    for reason in open_set.not_computed if open_set is not None else []:
        click.echo(f"open set: {reason}")
    _print(more)


def _more(run: Path, ranks: tuple[int, ...] | None, *, every: bool) -> Figures | None:
    """What was asked for beyond the record."""
    if not every and ranks is None:
        return None
    from sysu30k_bench.evaluation.embedding.labels import query_labels
    from sysu30k_bench.metrics.per_query import CMC_RANKS
    from sysu30k_bench.results.figures import all_figures
    from sysu30k_bench.search.ranking import RANKING_NAME, TOP_NAME, read_ranking
    from sysu30k_bench.search.top_list import read_top

    folder = run if run.is_dir() else run.parent
    ranking = read_ranking(folder / RANKING_NAME if run.is_dir() else run)
    top = read_top(folder) if every and (folder / TOP_NAME).is_file() else None
    labels = query_labels(folder) if every else None
    persons = None if labels is None else dict(zip(labels.index, labels["person"].tolist(), strict=True))
    if persons is not None and not set(ranking.query_keys) <= set(persons):
        persons = None  # some queries were skipped
    found = all_figures(ranking, top, persons, ranks or CMC_RANKS)
    if every:
        return found
    asked = {f"rank-{k}" for k in ranks or ()}
    kept = {name: one for name, one in found.figures.items() if name in asked}
    return found.model_copy(update={"figures": kept, "true_pairs": {}})


def _as_json(more: Figures | None) -> dict[str, object]:
    return {} if more is None else {"figures": more.model_dump(mode="json")}


def _print(more: Figures | None) -> None:
    if more is None:
        return
    rows = [
        (name, *("" if value is None else f"{value * 100:.2f}" for value in (one.valid, one.all, one.identity)))
        for name, one in more.figures.items()
    ]
    for rate, value in more.true_pairs.items():
        if isinstance(value, float):
            rows.append((f"TPR at FPR {rate}", f"{value * 100:.2f}", "", ""))
    print_table(
        _COLUMNS, rows, title=f"ties against the match; {more.valid_queries:,} of {more.queries:,} queries valid"
    )
    for rate, value in more.true_pairs.items():
        if isinstance(value, str):
            click.echo(f"TPR at FPR {rate}: {value}")
